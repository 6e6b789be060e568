"""Writes src/onnx/spec.data.ts from the operator schemas of the onnx package (pip install onnx==1.23.2).

Usage: python scripts/onnx-spec.py > src/onnx/spec.data.ts
"""
import json

import onnx
from onnx import defs

SHORT = {
    "float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16",
    "float8e4m3fn": "f8e4m3", "float8e4m3fnuz": "f8e4m3fnuz", "float8e5m2": "f8e5m2",
    "float8e5m2fnuz": "f8e5m2fnuz", "float8e8m0": "f8e8m0", "float4e2m1": "f4e2m1",
    "float6e2m3": "f6e2m3", "float6e3m2": "f6e3m2",
    "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "int4": "i4", "int2": "i2",
    "uint64": "u64", "uint32": "u32", "uint16": "u16", "uint8": "u8", "uint4": "u4", "uint2": "u2",
    "bool": "bool", "string": "str", "complex64": "c64", "complex128": "c128",
}
KINDS = {
    1: "float", 2: "int", 3: "string", 4: "tensor", 5: "graph", 6: "floats", 7: "ints", 8: "strings",
    9: "tensors", 10: "graphs", 11: "sparse", 12: "sparses", 13: "type", 14: "types",
}


def type_text(name):
    """`tensor(float)` becomes `f32`, `seq(tensor(float))` becomes `seq(f32)`, a type variable stays."""
    if "(" not in name:
        return SHORT.get(name, name)
    outer, inner = name[:-1].split("(", 1)
    if outer == "tensor":
        return SHORT[inner]
    if outer == "map":
        return "map(" + ",".join(type_text(part.strip()) for part in inner.split(",")) + ")"
    return f"{outer.removesuffix('_tensor')}({type_text(inner)})"


def parameters(formals, least):
    option = defs.OpSchema.FormalParameterOption
    words = []
    for index, formal in enumerate(formals):
        word = formal.name
        if formal.option == option.Optional:
            word += "?"
        elif formal.option == option.Variadic:
            word += f"*{max(0, least - index)}" + ("" if formal.is_homogeneous else "~")
        words.append(word + ":" + type_text(formal.type_str))
    return " ".join(words)


def number(value):
    """The shortest decimal that is the same float32."""
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if onnx.numpy_helper.np.float32(text) == onnx.numpy_helper.np.float32(value):
            return text.replace("+", "")
    return repr(value)


def attributes(schema):
    words = []
    for name, attribute in sorted(schema.attributes.items()):
        word = f"{name}{'!' if attribute.required else ''}:{KINDS[int(attribute.type.value)]}"
        default = attribute.default_value
        if default.type == 1:
            word += f"={number(default.f)}"
        elif default.type == 2:
            word += f"={default.i}"
        elif default.type == 3:
            word += f"={default.s.decode()}"
        elif default.type == 7:
            word += "=" + ",".join(str(value) for value in default.ints)
        elif default.type == 8:
            word += "=" + ",".join(value.decode() for value in default.strings)
        words.append(word)
    return " ".join(words)


sets, rows = {}, []
schemas = sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))
for schema in schemas:
    variables = []
    for constraint in schema.type_constraints:
        allowed = " ".join(sorted(type_text(name) for name in constraint.allowed_type_strs))
        variables.append(f"{constraint.type_param_str}={sets.setdefault(allowed, len(sets))}")
    flags = []
    if schema.deprecated:
        flags.append("deprecated")
    if schema.node_determinism == defs.OpSchema.NodeDeterminism.NonDeterministic:
        flags.append("nondeterministic")
    if schema.has_function or schema.has_context_dependent_function:
        flags.append("function")
    row = [
        f"{schema.domain}:{schema.name}" if schema.domain else schema.name,
        schema.since_version,
        parameters(schema.inputs, schema.min_input),
        parameters(schema.outputs, schema.min_output),
        attributes(schema),
        " ".join(variables),
        " ".join(flags),
    ]
    while row[-1] == "":
        row.pop()
    rows.append(row)

print(f"/** Operator schemas of onnx {onnx.__version__}; written by scripts/onnx-spec.py, never edited by hand (grammar: spec.ts). */")
print("\n/** The allowed types of the type variables; rows refer to them by index. */")
print("export const TYPE_SETS: readonly string[] = [")
for allowed in sets:
    print(f"  {json.dumps(allowed)},")
print("];\n")
print("/** Name (with its domain), first opset, inputs, outputs, attributes, type variables, flags. */")
print("export type SpecRow = readonly [name: string, since: number, ...texts: string[]];\n")
print("export const SPEC_ROWS: readonly SpecRow[] = [")
for row in rows:
    print(f"  {json.dumps(row)},")
print("];")
