/** Call: one node with what is known about its inputs, as the inference rules see it. */
import type { DType } from "../../tensor/index.js";
import { nodeDefect } from "../defect.js";
import type { Attr, AttrKind, AttrOf, Dim, Graph, Node, ValueType } from "../graph.js";
import { formatType } from "../types.js";
import { numbersOf, type Small } from "./small.js";

export type Shape = readonly Dim[];

/** What a rule says about one output; whatever it leaves out stays unknown (the dtype follows from the op table). */
export interface Output {
  readonly shape?: Shape | undefined;
  readonly dtype?: DType | undefined;
  /** A whole type, instead of the two above. */
  readonly type?: ValueType | undefined;
}

/** Types and values that a body's inputs get, and what its outputs are then. */
export type InferBody = (
  body: Graph,
  inputs: readonly (ValueType | undefined)[],
  options?: { readonly tolerant?: boolean },
) => readonly (ValueType | undefined)[];

interface Parts {
  readonly node: Node;
  /** Opset of the op's row. */
  readonly since: number;
  readonly inputs: readonly (ValueType | undefined)[];
  readonly values: readonly (Small | undefined)[];
  /** In a function's body: the attributes of the call. */
  readonly references: ReadonlyMap<string, Attr> | undefined;
  readonly inferBody: InferBody;
}

export class Call {
  readonly node: Node;
  readonly since: number;
  readonly inputs: readonly (ValueType | undefined)[];
  readonly values: readonly (Small | undefined)[];
  readonly inferBody: InferBody;
  readonly #references: ReadonlyMap<string, Attr> | undefined;

  constructor(parts: Parts) {
    this.node = parts.node;
    this.since = parts.since;
    this.inputs = parts.inputs;
    this.values = parts.values;
    this.inferBody = parts.inferBody;
    this.#references = parts.references;
  }

  /** True when the optional input is given. */
  has(index: number): boolean {
    return (this.node.inputs[index] ?? "") !== "";
  }

  shape(index: number): Shape | undefined {
    const type = this.inputs[index];
    return type?.kind === "tensor" || type?.kind === "sparse" ? type.shape : undefined;
  }

  rank(index: number): number | undefined {
    return this.shape(index)?.length;
  }

  dtype(index: number): DType | undefined {
    const type = this.inputs[index];
    return type?.kind === "tensor" ? (type.dtype ?? undefined) : undefined;
  }

  /** The elements of a small input. */
  items(index: number): readonly Dim[] | undefined {
    return this.values[index]?.items;
  }

  /** The same, when every one is a number. */
  numbers(index: number): number[] | undefined {
    return numbersOf(this.values[index]);
  }

  attr<K extends AttrKind>(name: string, kind: K): AttrOf<K>["value"] | undefined {
    const own = this.node.attrs.get(name);
    const attr = own?.kind === "reference" ? this.#references?.get(own.to) : own;
    // The kinds agree, so the value is of that kind.
    return attr?.kind === kind ? (attr.value as AttrOf<K>["value"]) : undefined;
  }

  int(name: string, fallback: number): number;
  int(name: string): number | undefined;
  int(name: string, fallback?: number): number | undefined {
    const value = this.attr(name, "int");
    return value === undefined ? fallback : Number(value);
  }

  ints(name: string): number[] | undefined {
    return this.attr(name, "ints")?.map(Number);
  }

  text(name: string, fallback: string): string {
    const value = this.attr(name, "string");
    return typeof value === "string" ? value : fallback;
  }

  /** Axes from an attribute or, since some opset, an input; "unknown" when the input is not known. */
  axes(name: string, input: number): number[] | "absent" | "unknown" {
    const given = this.ints(name);
    if (given !== undefined) return given;
    if (!this.has(input)) return "absent";
    return this.numbers(input) ?? "unknown";
  }

  /** An axis counted from the front. Throws MODEL_INVALID when the rank has no such axis. */
  axis(axis: number, rank: number): number {
    const index = axis < 0 ? axis + rank : axis;
    if (index >= 0 && index < rank) return index;
    throw this.fail("has an axis that its input does not have", String(axis), `${-rank} to ${rank - 1}`);
  }

  /** The error for shapes that cannot be. */
  fail(problem: string, given: string, expected?: string): Error {
    return nodeDefect(this.node, problem, {
      given: `${given}; inputs ${this.inputs.map((type) => formatType(type)).join(", ")}`,
      ...(expected === undefined ? {} : { expected }),
    });
  }
}

/** A rule: what follows about a node's outputs. Fewer entries than outputs leave the rest unknown. */
export type Rule = (call: Call) => readonly (Output | undefined)[];

/** One output of the given shape. */
export function shaped(shape: Shape | undefined): readonly Output[] {
  return [{ shape }];
}

/** `rank` unknown dims. */
export function unknownDims(rank: number): Dim[] {
  return new Array<Dim>(rank).fill(null);
}
