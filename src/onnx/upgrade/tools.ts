/** What upgrade rows work with: nodes made beside the one that changes, and what is known about its values. */
import { TenonError } from "../../base/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import { type AttrInput, toAttrs } from "../attr-input.js";
import { describeNode } from "../defect.js";
import { type Attr, makeNode, type Node, type TensorType } from "../graph.js";

/** Around one node: rows add nodes before it. */
export class UpgradeTools {
  /** Nodes that stand before the one that changes. */
  readonly before: Node[] = [];
  readonly #opset: number;
  readonly #fresh: (base: string) => string;
  readonly #typeOf: (name: string) => TensorType | undefined;
  readonly #isUsed: (name: string) => boolean;

  constructor(parts: {
    readonly opset: number;
    readonly fresh: (base: string) => string;
    readonly typeOf: (name: string) => TensorType | undefined;
    readonly isUsed: (name: string) => boolean;
  }) {
    this.#opset = parts.opset;
    this.#fresh = parts.fresh;
    this.#typeOf = parts.typeOf;
    this.#isUsed = parts.isUsed;
  }

  rank(name: string): number | undefined {
    return this.#typeOf(name)?.shape?.length;
  }

  isUsed(name: string): boolean {
    return name !== "" && this.#isUsed(name);
  }

  /** A node before the changed one; returns its output. */
  add(op: string, inputs: readonly string[], attrs: Readonly<Record<string, AttrInput>> = {}): string {
    const output = this.#fresh(op);
    this.before.push(makeNode({ op, inputs, outputs: [output], attrs: toAttrs(op, "", this.#opset, attrs) }));
    return output;
  }

  ints(values: readonly number[]): string {
    return this.add("Constant", [], { value: intTensor(values, [values.length]) });
  }

  int(value: number): string {
    return this.add("Constant", [], { value: intTensor([value], []) });
  }

  floats(values: readonly number[]): string {
    return this.add("Constant", [], {
      value: tensorFromStorage("float32", [values.length], Float32Array.from(values)),
    });
  }

  /** A float scalar in the element type of another value. */
  scalarLike(value: number, like: string): string {
    const scalar = this.add("Constant", [], {
      value: tensorFromStorage("float32", [], Float32Array.of(value)),
    });
    return this.#typeOf(like)?.dtype === "float32" ? scalar : this.add("CastLike", [scalar, like]);
  }

  fresh(base: string): string {
    return this.#fresh(base);
  }

  attrs(op: string, attrs: Readonly<Record<string, AttrInput>>): ReadonlyMap<string, Attr> {
    return toAttrs(op, "", this.#opset, attrs);
  }

  refuse(node: Node, problem: string): TenonError {
    return new TenonError("MODEL_UNSUPPORTED", {
      problem: `${describeNode(node)} cannot be upgraded: ${problem}`,
      do: "export the model again with a newer opset",
      details: { op: node.op, node: node.name },
    });
  }
}

function intTensor(values: readonly number[], shape: readonly number[]): Tensor {
  return tensorFromStorage("int64", shape, BigInt64Array.from(values, BigInt));
}
