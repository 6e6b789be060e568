/** The weights of a checkpoint as an architecture asks for them; what is missing, misshaped or left over is told at once. */
import type { TensorData } from "../../onnx/index.js";
import { damaged, quoted } from "../invalid.js";
import { elementCount, isSameView, materialize, type TensorRef } from "../tensor-ref.js";
import { tensorDataOf } from "../weight-data.js";
import { BUFFERS, listed, withNear } from "../weight-names.js";
import type { Weights } from "../weights.js";
import type { ComputeDType } from "./dtype.js";

/** Names that some checkpoints use, and what stands in their place. */
export type Alias = readonly [pattern: RegExp, name: string];

/** Checkpoints converted from TensorFlow call a norm's parameters gamma and beta. */
const LEGACY = [
  [/LayerNorm\.gamma$/, "LayerNorm.weight"],
  [/LayerNorm\.beta$/, "LayerNorm.bias"],
] as const;

export class WeightBook {
  readonly #tensors = new Map<string, TensorRef>();
  readonly #asked = new Set<string>();
  readonly #problems = { missing: [] as string[], misshaped: [] as string[] };
  #prefix = "";

  constructor(weights: Weights, aliases: readonly Alias[] = []) {
    for (const [name, ref] of weights.tensors) {
      const known = [...LEGACY, ...aliases].reduce((text, [from, to]) => text.replace(from, to), name);
      if (this.#tensors.has(known))
        throw damaged(`the weights hold ${quoted(known)} under two names`, { given: quoted(name) });
      this.#tensors.set(known, ref);
    }
  }

  /** Names below are those of the bare model; a checkpoint of a model with a head has them under this prefix. */
  usePrefix(prefix: string): void {
    const dotted = `${prefix}.`;
    this.#prefix = [...this.#tensors.keys()].some((name) => name.startsWith(dotted)) ? dotted : "";
  }

  /** The name in the checkpoint of a weight of the bare model. */
  inside(name: string): string {
    return this.#prefix + name;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** Whether any weight has a name that starts so. */
  hasUnder(start: string): boolean {
    for (const name of this.#tensors.keys()) if (name.startsWith(start)) return true;
    return false;
  }

  shape(name: string): readonly number[] | undefined {
    return this.#tensors.get(name)?.shape;
  }

  /** The weight, unread, if it is there with this shape; else the problem is noted and undefined given. */
  take(name: string, shape: readonly number[]): TensorData | undefined {
    this.#asked.add(name);
    const ref = this.#tensors.get(name);
    if (ref === undefined) {
      this.#problems.missing.push(`${name} [${shape.join(", ")}]`);
      return undefined;
    }
    if (ref.shape.length !== shape.length || ref.shape.some((size, axis) => size !== shape[axis])) {
      this.#problems.misshaped.push(
        `${name} is [${ref.shape.join(", ")}], the config says [${shape.join(", ")}]`,
      );
      return undefined;
    }
    return tensorDataOf(ref);
  }

  /** Whether two weights have the same elements. */
  same(one: string, other: string): boolean {
    const [a, b] = [this.#tensors.get(one), this.#tensors.get(other)];
    if (a === undefined || b === undefined) return false;
    this.#asked.add(one);
    if (isSameView(a, b)) return true;
    if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
    return Buffer.compare(materialize(a).bytes, materialize(b).bytes) === 0;
  }

  /** The float dtype that most elements have. */
  floatDType(): ComputeDType {
    const counts = new Map<ComputeDType, number>([["float32", 0]]);
    for (const ref of this.#tensors.values()) {
      const { dtype } = ref;
      if (dtype === "float32" || dtype === "float16" || dtype === "bfloat16")
        counts.set(dtype, (counts.get(dtype) ?? 0) + elementCount(ref));
    }
    return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0];
  }

  /** Marks weights as known and not needed here. */
  pass(pattern: RegExp): void {
    for (const name of this.#tensors.keys()) if (pattern.test(name)) this.#asked.add(name);
  }

  /** Marks one weight as known and not needed here. */
  passName(name: string): void {
    this.#asked.add(name);
  }

  /** Throws FILE_INVALID naming every weight that is missing, misshaped or not asked for. */
  finish(): void {
    const extra = [...this.#tensors.keys()].filter((name) => !this.#asked.has(name) && !BUFFERS.test(name));
    const { missing, misshaped } = this.#problems;
    const parts: string[] = [];
    if (missing.length > 0)
      parts.push(
        `missing: ${listed(missing.map((text) => withNear(text.slice(0, text.indexOf(" ")), extra, text)))}`,
      );
    if (misshaped.length > 0) parts.push(`of another shape: ${listed(misshaped)}`);
    if (extra.length > 0) parts.push(`not part of the architecture: ${listed(extra)}`);
    if (parts.length === 0) return;
    throw damaged("the weights do not fit the architecture that config.json names", {
      given: parts.join("; "),
      do: "check that config.json and the weights belong together",
    });
  }
}
