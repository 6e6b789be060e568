/** Attributes as JavaScript values: what the builder and patches take, and what they become. */
import { TenonError } from "../base/index.js";
import { Tensor } from "../tensor/core.js";
import type { Attr, AttrKind, Graph } from "./graph.js";
import { opRow } from "./spec.js";
import { tensorData } from "./tensor-data.js";

/** A graph in the making: its graph is taken when the attribute is set. */
export interface SubgraphBuilder {
  graph(): Graph;
}

/**
 * An attribute as JavaScript has it. What it becomes is what the op's schema says: `1` is a float for
 * `LeakyRelu.alpha` and an int for `Gather.axis`. For ops without a schema an integer number is an int, another
 * number a float; give `{ kind: "float", value: 1 }` to say it yourself.
 */
export type AttrInput =
  | number
  | bigint
  | boolean
  | string
  | Tensor
  | Graph
  | SubgraphBuilder
  | Attr
  | readonly (number | bigint | string | Tensor | Graph)[];

/** Attributes of an op at an opset; undefined values are left out. Throws USAGE for a value that does not fit. */
export function toAttrs(
  op: string,
  domain: string,
  opset: number,
  attrs: Readonly<Record<string, AttrInput | undefined>>,
): ReadonlyMap<string, Attr> {
  const row = opRow(domain, op, opset);
  const converted = new Map<string, Attr>();
  for (const [name, value] of Object.entries(attrs)) {
    if (value === undefined) continue;
    converted.set(name, toAttr(value, row?.attrs.get(name)?.kind, `${op}.${name}`));
  }
  return converted;
}

/** A JavaScript value as an attribute of `kind`, or of the kind that the value suggests. */
function toAttr(value: AttrInput, kind: AttrKind | undefined, what: string): Attr {
  if (isAttr(value)) return value;
  const wanted = kind ?? suggestedKind(value);
  const converted = wanted === undefined ? undefined : convert(value, wanted);
  if (wanted === undefined || converted === undefined) {
    throw new TenonError("USAGE", {
      problem: `the attribute ${what} does not take this value`,
      given: describe(value),
      expected: wanted ?? "a number, bigint, string, tensor, graph or a list of one of them",
    });
  }
  return Object.freeze({ kind: wanted, value: converted } as Attr);
}

function isAttr(value: AttrInput): value is Attr {
  return typeof value === "object" && "kind" in value && ("value" in value || value.kind === "reference");
}

function suggestedKind(value: AttrInput): AttrKind | undefined {
  if (Array.isArray(value)) {
    const first = suggestedKind(value.length === 0 ? 0 : (value[0] as AttrInput));
    if (first === "int") return value.every((item) => suggestedKind(item) === "int") ? "ints" : "floats";
    return first === undefined ? undefined : (`${first}s` as AttrKind);
  }
  if (typeof value === "number") return Number.isSafeInteger(value) ? "int" : "float";
  if (typeof value === "bigint" || typeof value === "boolean") return "int";
  if (typeof value === "string") return "string";
  if (value instanceof Tensor) return "tensor";
  return isBuilder(value) || isGraph(value) ? "graph" : undefined;
}

/** undefined when the value does not fit the kind. */
function convert(value: AttrInput, kind: AttrKind): unknown {
  switch (kind) {
    case "float":
      return typeof value === "number" && fitsFloat(value) ? value : undefined;
    case "int":
      if (typeof value === "boolean") return value ? 1 : 0;
      return isInt(value) ? value : undefined;
    case "string":
      return typeof value === "string" ? value : undefined;
    case "tensor":
      return value instanceof Tensor ? tensorData(value) : undefined;
    case "graph":
      if (isBuilder(value)) return value.graph();
      return isGraph(value) ? value : undefined;
    case "floats":
    case "ints":
    case "strings":
    case "tensors":
    case "graphs":
      return convertAll(value, kind.slice(0, -1) as AttrKind);
    default:
      return undefined;
  }
}

function convertAll(value: AttrInput, kind: AttrKind): unknown[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map((item) => convert(item, kind));
  return items.includes(undefined) ? undefined : items;
}

function fitsFloat(value: number): boolean {
  return !Number.isFinite(value) || Number.isFinite(Math.fround(value));
}

function isInt(value: unknown): value is number | bigint {
  return typeof value === "bigint" ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value);
}

function isGraph(value: unknown): value is Graph {
  return typeof value === "object" && value !== null && "nodes" in value && "initializers" in value;
}

function isBuilder(value: AttrInput): value is SubgraphBuilder {
  return typeof value === "object" && "graph" in value && typeof value.graph === "function";
}

function describe(value: AttrInput): string {
  if (value instanceof Tensor) return String(value);
  return Array.isArray(value) ? `[${value.map(String).join(", ")}]` : String(value);
}
