/** A compiled shape: its session and the memory that batches are copied into. */
import { TenonError } from "../../base/index.js";
import { inferTypes, type OnnxModel } from "../../onnx/index.js";
import { Program, type ProgramCall } from "../../runtime/index.js";
import { type NumericArray, type Tensor, tensorFromStorage, zeros } from "../../tensor/index.js";
import { keyOf, STRIDE } from "../random.js";
import { copyInto, type ReadBatch } from "./batch.js";
import type { StepGraph } from "./graph.js";
import { KEYS, POSITIONS } from "./modes.js";

/** Below this a run holds the event loop for less time than handing it over takes. */
const SYNC_BELOW_MS = 0.5;

export interface CompiledOptions {
  readonly threads: number;
  readonly spin: boolean;
  /** Memory of weights, by name. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Memory of gradients, by the output that writes them. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

export class Compiled {
  readonly graph: StepGraph;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly #program: Program;
  readonly #call: ProgramCall;
  readonly #inputs: ReadonlyMap<string, Tensor>;
  #milliseconds = Number.POSITIVE_INFINITY;

  private constructor(
    graph: StepGraph,
    program: Program,
    inputs: ReadonlyMap<string, Tensor>,
    outputs: ReadonlyMap<string, Tensor>,
    call: ProgramCall,
  ) {
    this.graph = graph;
    this.#program = program;
    this.#inputs = inputs;
    this.outputs = outputs;
    this.#call = call;
  }

  static async open(graph: StepGraph, batch: ReadBatch, options: CompiledOptions): Promise<Compiled> {
    const program = await Program.open(graph.model, { threads: options.threads, spin: options.spin });
    try {
      const inputs = new Map(graph.batch.map((name) => [name, likeInput(batch.tensors.get(name)!)]));
      const { masks = 0, largest = 0 } = graph.training ?? {};
      if (masks > 0) {
        inputs.set(KEYS, zeros("uint32", [masks]));
        const places = Uint32Array.from({ length: largest }, (_, i) => Math.imul(i, STRIDE) >>> 0);
        inputs.set(POSITIONS, tensorFromStorage("uint32", [largest], places));
      }
      const outputs = new Map(
        outputShapes(graph.model).map(([name, make]) => [name, options.gradients.get(name) ?? make()]),
      );
      const bound = new Map([...options.weights, ...inputs]);
      const given = program.signature.inputs.map(({ name }) => [name, bound.get(name)!] as const);
      const call = program.bind(Object.fromEntries(given), Object.fromEntries(outputs));
      return new Compiled(graph, program, inputs, outputs, call);
    } catch (error) {
      await program.dispose();
      throw error;
    }
  }

  /** Runs on a batch of the compiled shapes; `seed` and `step` decide the masks. */
  async run(batch: ReadBatch, seed: number, step: number): Promise<void> {
    for (const name of this.graph.batch) copyInto(this.#inputs.get(name)!, batch.tensors.get(name)!);
    const keys = this.#inputs.get(KEYS);
    if (keys !== undefined) {
      const values = keys.data as unknown as Uint32Array;
      for (let node = 0; node < values.length; node++) values[node] = keyOf(seed, step, node);
    }
    const began = performance.now();
    if (this.#milliseconds < SYNC_BELOW_MS) this.#call.runSync();
    else await this.#call.run();
    this.#milliseconds = performance.now() - began;
  }

  get loss(): number {
    return (this.outputs.get(this.graph.loss)!.data as unknown as Float32Array)[0]!;
  }

  async dispose(): Promise<void> {
    this.#call.dispose();
    await this.#program.dispose();
  }
}

function likeInput({ dtype, shape }: Tensor): Tensor {
  if (dtype === "string") {
    throw new TenonError("INPUT_DTYPE", { problem: "a step takes no strings", expected: "numbers or bool" });
  }
  return zeros(dtype, shape);
}

function outputShapes(model: OnnxModel): [string, () => Tensor<never>][] {
  const { types } = inferTypes(model, { conflicts: "note" });
  return model.graph.outputs.map(({ name }) => {
    const type = types.get(name);
    const shape = type?.kind === "tensor" ? type.shape : undefined;
    if (
      type?.kind !== "tensor" ||
      type.dtype === null ||
      !shape?.every((dim): dim is number => typeof dim === "number")
    ) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `the size of the output "${name}" is not known before a run`,
        do: "leave it out of the model's outputs",
      });
    }
    const { dtype } = type;
    return [name, () => zeros(dtype, shape) as Tensor<never>];
  });
}

/** A tensor over memory. */
export function over(memory: Float32Array, shape: readonly number[]): Tensor {
  return tensorFromStorage("float32", shape, memory) as Tensor & { readonly data: NumericArray };
}
