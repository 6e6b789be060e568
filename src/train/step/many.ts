/** Many: a compiled run of several steps over batches of one shape, and the memory that they are copied into. */
import { Program, type ProgramCall } from "../../runtime/index.js";
import { type NumericArray, type Tensor, zeros } from "../../tensor/index.js";
import type { FlatMemory } from "../memory.js";
import { allFinite } from "../optimizers/reductions.js";
import { keyOf } from "../random.js";
import type { ReadBatch } from "./batch.js";
import { over } from "./compiled.js";
import type { StepGraph } from "./graph.js";
import { type ManyGraph, manyGraph } from "./many-graph.js";

/** Of one step: its number, and its learning rate after the schedule. */
export interface ManyRate {
  readonly step: number;
  readonly lr: number;
}

export class Many {
  readonly #graph: ManyGraph;
  readonly #step: StepGraph;
  readonly #memory: FlatMemory;
  readonly #program: Program;
  readonly #call: ProgramCall;
  readonly #inputs: ReadonlyMap<string, Tensor>;
  readonly #outputs: ReadonlyMap<string, Tensor>;

  private constructor(
    parts: { readonly graph: ManyGraph; readonly step: StepGraph; readonly memory: FlatMemory },
    program: Program,
    inputs: ReadonlyMap<string, Tensor>,
    outputs: ReadonlyMap<string, Tensor>,
  ) {
    this.#graph = parts.graph;
    this.#step = parts.step;
    this.#memory = parts.memory;
    this.#program = program;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#call = program.bind(Object.fromEntries(inputs), Object.fromEntries(outputs));
  }

  /** `count` steps over batches of the shapes of `batch`. */
  static async open(
    step: StepGraph,
    memory: FlatMemory,
    batch: ReadBatch,
    options: { readonly count: number; readonly threads: number; readonly clipNorm: number | undefined },
  ): Promise<Many> {
    const { count } = options;
    const graph = manyGraph(step, memory, options.clipNorm);
    const program = await Program.open(graph.model, { threads: options.threads });
    try {
      const inputs = new Map<string, Tensor>();
      const outputs = new Map<string, Tensor>([[graph.losses, zeros("float32", [count]) as Tensor]]);
      for (const { section, range, input, output } of graph.carried) {
        const { at, size } = graph.ranges[range]!;
        inputs.set(input, over(memory.section(section).subarray(at, at + size), [size]));
        outputs.set(output, over(new Float32Array(size), [size]));
      }
      for (const [name, input] of graph.batch) {
        const { dtype, shape } = batch.tensors.get(name)!;
        inputs.set(input, zeros(dtype, [count, ...shape]) as Tensor);
      }
      for (const { input } of graph.scalars) inputs.set(input, zeros("float32", [count]) as Tensor);
      if (graph.keys !== undefined)
        inputs.set(graph.keys, zeros("uint32", [count, step.training!.masks]) as Tensor);
      return new Many({ graph, step, memory }, program, inputs, outputs);
    } catch (error) {
      await program.dispose();
      throw error;
    }
  }

  /**
   * The losses; the memory then holds the values after the last step. Undefined, and nothing changed, where a value
   * would not be finite.
   */
  async run(
    batches: readonly ReadBatch[],
    rates: readonly ManyRate[],
    masks: { readonly seed: number; readonly from: number },
  ): Promise<Float32Array | undefined> {
    const { optimizer } = this.#memory;
    for (const [name, input] of this.#graph.batch) {
      const memory = this.#inputs.get(input)!.data as unknown as NumericArray;
      batches.forEach(({ tensors }, at) => {
        const values = tensors.get(name)!.data as unknown as NumericArray;
        memory.set(values as never, at * values.length);
      });
    }
    const floats = (name: string): Float32Array => this.#inputs.get(name)!.data as unknown as Float32Array;
    rates.forEach(({ step, lr }, at) => {
      this.#graph.ranges.forEach(({ group }, r) => {
        const { lrScale = 1, weightDecay = optimizer.weightDecay } = group;
        const numbers = optimizer.scalars({ step, lr: lr * lrScale, weightDecay });
        for (const { input, name, range } of this.#graph.scalars)
          if (range === r) floats(input)[at] = numbers[name]!;
      });
      const { keys } = this.#graph;
      if (keys === undefined) return;
      const words = this.#inputs.get(keys)!.data as unknown as Uint32Array;
      const count = this.#step.training!.masks;
      for (let node = 0; node < count; node++)
        words[at * count + node] = keyOf(masks.seed, masks.from + at, node);
    });
    await this.#call.run();
    const moved = this.#graph.carried.map(
      ({ output }) => this.#outputs.get(output)!.data as unknown as Float32Array,
    );
    if (!moved.every(allFinite)) return undefined;
    this.#graph.carried.forEach(({ section, range }, i) => {
      this.#memory.section(section).set(moved[i]!, this.#graph.ranges[range]!.at);
    });
    return (this.#outputs.get(this.#graph.losses)!.data as unknown as Float32Array).slice();
  }

  async dispose(): Promise<void> {
    this.#call.dispose();
    await this.#program.dispose();
  }
}
