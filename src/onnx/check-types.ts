/** Element types through a node: type variables bound by its inputs, and what its outputs are then. */
import { dtypeInfo } from "../tensor/core.js";
import { defect, nodeDefect } from "./defect.js";
import type { Attr, Node, ValueType } from "./graph.js";
import type { Formal, OpRow } from "./spec.js";

/** A type without its shape, as the op table writes it (`f32`, `seq(f32)`); undefined: not known. */
export type TypeName = string | undefined;

export function typeName(type: ValueType | undefined): TypeName {
  if (type === undefined) return undefined;
  switch (type.kind) {
    case "tensor":
      return type.dtype === null ? undefined : dtypeInfo(type.dtype).short;
    case "sequence":
      return wrap("seq", typeName(type.element ?? undefined));
    case "optional":
      return wrap("optional", typeName(type.element ?? undefined));
    case "map": {
      const value = typeName(type.value ?? undefined);
      return type.key === null || value === undefined
        ? undefined
        : `map(${dtypeInfo(type.key).short},${value})`;
    }
    case "sparse":
    case "opaque":
      return undefined;
  }
}

function wrap(outer: string, inner: TypeName): TypeName {
  return inner === undefined ? undefined : `${outer}(${inner})`;
}

/**
 * Binds the type variables of a row to the types of a node's inputs and returns the types of its outputs. Throws
 * MODEL_INVALID for a type that the op does not take, or two types for one variable.
 */
export function checkTypes(node: Node, row: OpRow, inputs: readonly TypeName[]): TypeName[] {
  const bound = new Map<string, string>();
  inputs.forEach((given, i) => {
    const formal = formalAt(row.inputs, i);
    if (given === undefined || formal === undefined || isFixed(formal, row)) {
      if (given !== undefined && formal !== undefined && given !== formal.type) {
        throw wrongType(node, formal.name, given, formal.type);
      }
      return;
    }
    const allowed = row.variables.get(formal.type);
    if (allowed !== undefined && !allowed.has(given)) {
      throw wrongType(
        node,
        formal.name,
        given,
        allowed.size <= 12 ? [...allowed].join(", ") : "another type",
      );
    }
    if (formal.option === "variadic" && !formal.homogeneous) return;
    const before = bound.get(formal.type);
    if (before !== undefined && before !== given) throw wrongType(node, formal.name, given, before);
    bound.set(formal.type, given);
  });
  return node.outputs.map((_, i) => {
    const formal = formalAt(row.outputs, i);
    if (formal === undefined) return undefined;
    if (isFixed(formal, row)) return formal.type;
    if (formal.option === "variadic" && !formal.homogeneous) return undefined;
    const only = row.variables.get(formal.type);
    return bound.get(formal.type) ?? (only?.size === 1 ? [...only][0] : fromAttributes(node));
  });
}

/** True when the formal names a type; rows without sets for their variables leave these open. */
function isFixed(formal: Formal, row: OpRow): boolean {
  return !row.variables.has(formal.type) && /^[a-z]/.test(formal.type);
}

function formalAt(formals: readonly Formal[], index: number): Formal | undefined {
  const last = formals.at(-1);
  return formals[index] ?? (last?.option === "variadic" ? last : undefined);
}

/** Ops whose output type an attribute says. */
function fromAttributes(node: Node): TypeName {
  const attr: Attr | undefined = node.attrs.get("value");
  if (node.op === "Constant" && attr?.kind === "tensor") return dtypeInfo(attr.value.dtype).short;
  if (node.op === "ConstantOfShape")
    return attr?.kind === "tensor" ? dtypeInfo(attr.value.dtype).short : "f32";
  return undefined;
}

function wrongType(node: Node, input: string, given: string, expected: string): Error {
  return nodeDefect(node, `does not take this type for its input "${input}"`, { given, expected });
}

/** Throws MODEL_INVALID when a value's declared type is not the one that its node gives. */
export function checkDeclared(name: string, declared: TypeName, inferred: TypeName): void {
  if (declared === undefined || inferred === undefined || declared === inferred) return;
  throw defect(`the declared type of "${name}" is not the one that its node gives`, {
    given: declared,
    expected: inferred,
    details: { value: name },
  });
}
