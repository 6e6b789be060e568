/** ManyRuns: the runs of several steps that a step has compiled, by number and shape of the batches. */
import { TenonError } from "../../base/index.js";
import type { FlatMemory } from "../memory.js";
import { type ReadBatch, shapeKey } from "./batch.js";
import type { StepGraph } from "./graph.js";
import { Many, type ManyRate } from "./many.js";
import type { CompileOptions } from "./options.js";

/** Compiled runs that are kept where `shapes` does not say otherwise. */
const DEFAULT_KEPT = 8;

export class ManyRuns {
  readonly #memory: FlatMemory;
  readonly #options: CompileOptions;
  readonly #threads: number;
  readonly #graphOf: (batch: ReadBatch) => StepGraph;
  readonly #compiled = new Map<string, Many>();

  constructor(
    memory: FlatMemory,
    options: CompileOptions,
    threads: number,
    graphOf: (batch: ReadBatch) => StepGraph,
  ) {
    this.#memory = memory;
    this.#options = options;
    this.#threads = threads;
    this.#graphOf = graphOf;
  }

  /** Losses of the steps; undefined, and nothing changed, where a gradient is not finite. `from`: batches run so far. */
  async run(
    batches: readonly ReadBatch[],
    rates: readonly ManyRate[],
    from: number,
  ): Promise<Float32Array | undefined> {
    const { accumulate = 1, average, clipNorm, seed = 0, shapes = DEFAULT_KEPT } = this.#options;
    const fits = rates.length === batches.length && accumulate === 1 && average === undefined;
    if (!fits || !isStackable(batches)) {
      throw new TenonError("USAGE", {
        problem: "these batches do not fit one run",
        expected: "batches of one shape, a rate for each, and a step without accumulate and average",
        do: "run one batch after the other",
      });
    }
    const [first] = batches;
    if (first === undefined) return new Float32Array(0);
    const key = `${batches.length} ${shapeKey(first)}`;
    const known = this.#compiled.get(key);
    // The one used last stands last.
    this.#compiled.delete(key);
    const many =
      known ??
      (await Many.open(this.#graphOf(first), this.#memory, first, {
        count: batches.length,
        threads: this.#threads,
        clipNorm,
      }));
    this.#compiled.set(key, many);
    if (this.#compiled.size > shapes) {
      const [oldest, unused] = [...this.#compiled][0]!;
      this.#compiled.delete(oldest);
      await unused.dispose();
    }
    return many.run(batches, rates, { seed, from });
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#compiled.values()].map((each) => each.dispose()));
    this.#compiled.clear();
  }
}

/** Whether all have the shapes of the first, and no strings. */
function isStackable(batches: readonly ReadBatch[]): boolean {
  return batches.every(({ tensors }) =>
    [...tensors].every(([name, value]) => {
      const first = batches[0]!.tensors.get(name);
      return (
        value.dtype !== "string" && first?.dtype === value.dtype && first.shape.join() === value.shape.join()
      );
    }),
  );
}
