/** The unions of the export schema: arguments of nodes, sizes, and what inputs and outputs are. */
import { SCALAR_TYPES, type TorchDType } from "../dtypes.js";
import { unsupported } from "../invalid.js";
import type { Json } from "../json-value.js";
import { choice, Fields, flag, float, int, list, smallInt, table, text, union } from "./fields.js";
import type {
  Argument,
  Device,
  InputSpec,
  Layout,
  MemoryFormat,
  OutputSpec,
  ProgramGraph,
  ProgramInt,
  SymExpr,
  SymName,
  SymSize,
  TensorMeta,
} from "./program.js";

type Decode<T> = (value: Json, place: string) => T;

const named: Decode<string> = (value, place) => new Fields(value, place).need("name", text);

const MEMORY_FORMATS: readonly MemoryFormat[] = [
  "unknown",
  "contiguous",
  "channelsLast",
  "channelsLast3d",
  "preserve",
];
const LAYOUTS: readonly Layout[] = [
  "unknown",
  "sparseCoo",
  "sparseCsr",
  "sparseCsc",
  "sparseBsr",
  "sparseBsc",
  "mkldnn",
  "strided",
];

const layout = choice(LAYOUTS);

const device: Decode<Device> = (value, place) => {
  const fields = new Fields(value, place);
  return { type: fields.need("type", text), index: fields.maybe("index", smallInt, null) };
};

const optionalTensor = union<string | null>(
  new Map<string, Decode<string | null>>([
    ["as_tensor", named],
    ["as_none", () => null],
  ]),
);

function symArgument<T>(key: string, decode: Decode<T>): Decode<T | SymName> {
  return union<T | SymName>(
    new Map<string, Decode<T | SymName>>([
      ["as_name", (value, place) => ({ name: text(value, place) })],
      [key, decode],
    ]),
  );
}

const symInt = symArgument<ProgramInt>("as_int", int);
const symFloat = symArgument<number>("as_float", float);
const symBool = symArgument<boolean>("as_bool", flag);

function expression(value: Json, place: string): SymExpr {
  const fields = new Fields(value, place);
  const hints = union<ProgramInt | boolean>(
    new Map<string, Decode<ProgramInt | boolean>>([
      ["as_int", int],
      ["as_bool", flag],
      ["as_float", float],
    ]),
  );
  return { expr: fields.need("expr_str", text), hint: fields.maybe("hint", hints, null) };
}

function symValue<T>(key: string, decode: Decode<T>): Decode<T | SymExpr> {
  return union<T | SymExpr>(
    new Map<string, Decode<T | SymExpr>>([
      ["as_expr", expression],
      [key, decode],
    ]),
  );
}

export const symIntValue = symValue<ProgramInt>("as_int", int);
export const symFloatValue = symValue<number>("as_float", float);
export const symBoolValue = symValue<boolean>("as_bool", flag);
const size: Decode<SymSize> = symValue<number>("as_int", smallInt);

const scalarType: Decode<TorchDType | undefined> = (value, place) => SCALAR_TYPES.get(smallInt(value, place));

/** Metadata of a tensor; element types that are not ours are refused. */
export function tensorMeta(value: Json, place: string): TensorMeta {
  const fields = new Fields(value, place);
  const code = fields.need("dtype", smallInt);
  const dtype = SCALAR_TYPES.get(code);
  if (dtype === undefined)
    throw unsupported("the exported program holds a tensor of an element type that is refused", {
      given: `scalar type ${code} of ${place}`,
    });
  return {
    dtype,
    sizes: fields.need("sizes", list(size)),
    strides: fields.need("strides", list(size)),
    storageOffset: fields.need("storage_offset", size),
    device: fields.need("device", device),
    layout: fields.need("layout", layout),
    requiresGrad: fields.need("requires_grad", flag),
  };
}

function complex(value: Json, place: string): Argument {
  const fields = new Fields(value, place);
  return { kind: "complex", re: fields.need("real", float), im: fields.need("imag", float) };
}

function customObject(value: Json, place: string): Argument {
  const fields = new Fields(value, place);
  return {
    kind: "customObject",
    name: fields.need("name", text),
    className: fields.need("class_fqn", text),
  };
}

/** The decoder of arguments; `graph` decodes the graphs that higher-order ops hold. */
export function argumentDecoder(graph: Decode<ProgramGraph>): Decode<Argument> {
  const one =
    <T, A extends Argument>(decode: Decode<T>, make: (value: T) => A): Decode<Argument> =>
    (value, place) =>
      make(decode(value, place));
  const decode: Decode<Argument> = union<Argument>(
    // biome-ignore format: a table is read by columns
    new Map<string, Decode<Argument>>([
      ["as_none", () => ({ kind: "none" })],
      ["as_tensor", one(named, (name) => ({ kind: "tensor", name }))],
      ["as_tensors", one(list(named), (names) => ({ kind: "tensors", names }))],
      ["as_optional_tensor", one(optionalTensor, (name) => (name === null ? { kind: "none" } : { kind: "tensor", name }))],
      ["as_optional_tensors", one(list(optionalTensor), (names) => ({ kind: "optionalTensors", names }))],
      ["as_nested_tensors", one(list(list(named)), (names) => ({ kind: "nestedTensors", names }))],
      ["as_int", one(int, (value) => ({ kind: "int", value }))],
      ["as_ints", one(list(int), (values) => ({ kind: "ints", values }))],
      ["as_int_lists", one(list(list(int)), (values) => ({ kind: "intLists", values }))],
      ["as_float", one(float, (value) => ({ kind: "float", value }))],
      ["as_floats", one(list(float), (values) => ({ kind: "floats", values }))],
      ["as_float_lists", one(list(list(float)), (values) => ({ kind: "floatLists", values }))],
      ["as_bool", one(flag, (value) => ({ kind: "bool", value }))],
      ["as_bools", one(list(flag), (values) => ({ kind: "bools", values }))],
      ["as_string", one(text, (value) => ({ kind: "string", value }))],
      ["as_strings", one(list(text), (values) => ({ kind: "strings", values }))],
      ["as_sym_int", one(symInt, (value) => ({ kind: "symInt", value }))],
      ["as_sym_ints", one(list(symInt), (values) => ({ kind: "symInts", values }))],
      ["as_sym_float", one(symFloat, (value) => ({ kind: "symFloat", value }))],
      ["as_sym_floats", one(list(symFloat), (values) => ({ kind: "symFloats", values }))],
      ["as_sym_bool", one(symBool, (value) => ({ kind: "symBool", value }))],
      ["as_sym_bools", one(list(symBool), (values) => ({ kind: "symBools", values }))],
      ["as_complex", complex],
      ["as_scalar_type", one(scalarType, (dtype) => ({ kind: "scalarType", dtype }))],
      ["as_memory_format", one(choice(MEMORY_FORMATS), (value) => ({ kind: "memoryFormat", value }))],
      ["as_layout", one(layout, (value) => ({ kind: "layout", value }))],
      ["as_device", one(device, (value) => ({ kind: "device", value }))],
      ["as_graph", graphArgument(graph)],
      ["as_custom_obj", customObject],
      ["as_operator", one(text, (target) => ({ kind: "operator", target }))],
      ["as_string_to_argument", (value, place) => ({ kind: "named", values: table(decode)(value, place) })],
    ]),
  );
  return decode;
}

function graphArgument(graph: Decode<ProgramGraph>): Decode<Argument> {
  return (value, place) => {
    const fields = new Fields(value, place);
    return { kind: "graph", name: fields.need("name", text), graph: fields.need("graph", graph) };
  };
}

export function inputSpecDecoder(argument: Decode<Argument>): Decode<InputSpec> {
  const bound =
    <K extends "parameter" | "tensorConstant" | "customObject">(kind: K, target: string): Decode<InputSpec> =>
    (value, place) => {
      const fields = new Fields(value, place);
      return { kind, name: fields.need("arg", named), target: fields.need(target, text) };
    };
  const constant = union<null | ProgramInt | boolean | string>(
    new Map<string, Decode<null | ProgramInt | boolean | string>>([
      ["as_none", () => null],
      ["as_int", int],
      ["as_float", float],
      ["as_string", text],
      ["as_bool", flag],
    ]),
  );
  return union<InputSpec>(
    new Map<string, Decode<InputSpec>>([
      [
        "user_input",
        (value, place) => ({ kind: "userInput", arg: new Fields(value, place).need("arg", argument) }),
      ],
      ["parameter", bound("parameter", "parameter_name")],
      [
        "buffer",
        (value, place) => {
          const fields = new Fields(value, place);
          return {
            kind: "buffer",
            name: fields.need("arg", named),
            target: fields.need("buffer_name", text),
            persistent: fields.maybe("persistent", flag, true),
          };
        },
      ],
      ["tensor_constant", bound("tensorConstant", "tensor_constant_name")],
      ["custom_obj", bound("customObject", "custom_obj_name")],
      ["token", (value, place) => ({ kind: "token", name: new Fields(value, place).need("arg", named) })],
      [
        "constant_input",
        (value, place) => {
          const fields = new Fields(value, place);
          return {
            kind: "constantInput",
            name: fields.need("name", text),
            value: fields.need("value", constant),
          };
        },
      ],
    ]),
  );
}

export function outputSpecDecoder(argument: Decode<Argument>): Decode<OutputSpec> {
  type Bound = Exclude<OutputSpec["kind"], "userOutput" | "lossOutput" | "token">;
  const bound =
    (kind: Bound, target: string): Decode<OutputSpec> =>
    (value, place) => {
      const fields = new Fields(value, place);
      return { kind, name: fields.need("arg", named), target: fields.need(target, text) };
    };
  const single =
    (kind: "lossOutput" | "token"): Decode<OutputSpec> =>
    (value, place) => ({ kind, name: new Fields(value, place).need("arg", named) });
  return union<OutputSpec>(
    new Map<string, Decode<OutputSpec>>([
      [
        "user_output",
        (value, place) => ({ kind: "userOutput", arg: new Fields(value, place).need("arg", argument) }),
      ],
      ["loss_output", single("lossOutput")],
      ["buffer_mutation", bound("bufferMutation", "buffer_name")],
      ["parameter_mutation", bound("parameterMutation", "parameter_name")],
      ["gradient_to_parameter", bound("gradientToParameter", "parameter_name")],
      ["gradient_to_user_input", bound("gradientToUserInput", "user_input_name")],
      ["user_input_mutation", bound("userInputMutation", "user_input_name")],
      ["token", single("token")],
    ]),
  );
}
