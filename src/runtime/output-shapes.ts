/** OutputShapes: which output shapes follow from input shapes, so that outputs can be allocated before a run. */
import type { Signature, SignatureDim } from "./signature.js";

type Shape = readonly number[];

/** A shape per output; undefined where only the run can tell. */
export type OutputPlan = readonly (Shape | undefined)[];

const REMEMBERED = 512;

/**
 * Declared dims are promises that exporters do not always keep. A plan is therefore used only after one run with the
 * same input shapes, whose outputs ONNX Runtime allocated itself, has confirmed it.
 */
export class OutputShapes {
  readonly #signature: Signature;
  readonly #confirmed = new Map<string, OutputPlan>();
  readonly #unknown: OutputPlan;
  /** Outputs that once had another shape than the plan's: never planned again. */
  readonly #dynamic = new Set<number>();

  constructor(signature: Signature) {
    this.#signature = signature;
    this.#unknown = signature.outputs.map(() => undefined);
  }

  static key(shapes: readonly Shape[]): string {
    let key = "";
    for (const shape of shapes) key += `${shape.join(",")};`;
    return key;
  }

  /** What is known for these input shapes: all undefined before `confirm`. */
  plan(key: string): OutputPlan {
    return this.#confirmed.get(key) ?? this.#unknown;
  }

  /** Whether a run with these shapes has confirmed a plan. */
  has(key: string): boolean {
    return this.#confirmed.has(key);
  }

  /** Learns from a run: `actual` holds the shape of each output that was computed. */
  confirm(key: string, inputs: readonly Shape[], actual: ReadonlyMap<number, Shape>): void {
    const symbols = bindSymbols(this.#signature, inputs);
    const plan = this.#signature.outputs.map((output, index) => {
      const shape = actual.get(index);
      if (shape === undefined || output.dtype === "string" || this.#dynamic.has(index)) return undefined;
      const derived = output.dims && resolve(output.dims, symbols);
      return derived !== undefined && equal(derived, shape) ? shape : undefined;
    });
    if (this.#confirmed.size >= REMEMBERED) this.#confirmed.delete(this.#confirmed.keys().next().value!);
    this.#confirmed.set(key, plan);
  }

  /** A planned run was refused for its output shapes: they depend on values, so they are never planned again. */
  refute(): void {
    for (let i = 0; i < this.#signature.outputs.length; i++) this.#dynamic.add(i);
    this.#confirmed.clear();
  }
}

/** Sizes of the symbols that the inputs bind; a symbol with two sizes is left out. */
function bindSymbols(signature: Signature, inputs: readonly Shape[]): Map<string, number> {
  const symbols = new Map<string, number>();
  const conflicting = new Set<string>();
  signature.inputs.forEach((input, i) => {
    input.dims?.forEach((dim, axis) => {
      if (typeof dim !== "string") return;
      const size = inputs[i]![axis]!;
      if (symbols.has(dim) && symbols.get(dim) !== size) conflicting.add(dim);
      symbols.set(dim, size);
    });
  });
  for (const symbol of conflicting) symbols.delete(symbol);
  return symbols;
}

function resolve(dims: readonly SignatureDim[], symbols: ReadonlyMap<string, number>): Shape | undefined {
  const shape: number[] = [];
  for (const dim of dims) {
    const size = typeof dim === "string" ? symbols.get(dim) : dim;
    if (size === null || size === undefined) return undefined;
    shape.push(size);
  }
  return shape;
}

function equal(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}
