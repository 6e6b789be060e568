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
  /** Threads of each run. */
  readonly threads: number;
  readonly spin: boolean;
  /** Memory of weights, by name. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Memory of gradients, by the output that writes them: one for each lane, whose parts of the batch run at once. */
  readonly lanes: readonly ReadonlyMap<string, Tensor>[];
}

/** A part of the batch with its memory. */
interface Lane {
  readonly call: ProgramCall;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

export class Compiled {
  readonly graph: StepGraph;
  readonly #program: Program;
  readonly #lanes: readonly Lane[];
  #milliseconds = Number.POSITIVE_INFINITY;

  private constructor(graph: StepGraph, program: Program, lanes: readonly Lane[]) {
    this.graph = graph;
    this.#program = program;
    this.#lanes = lanes;
  }

  /** `batch` has the shapes of one lane's part. */
  static async open(graph: StepGraph, batch: ReadBatch, options: CompiledOptions): Promise<Compiled> {
    const program = await Program.open(graph.model, { threads: options.threads, spin: options.spin });
    const lanes: Lane[] = [];
    try {
      const shapes = outputShapes(graph.model);
      for (const gradients of options.lanes) {
        const inputs = new Map(graph.batch.map((name) => [name, likeInput(batch.tensors.get(name)!)]));
        const { masks = 0, largest = 0 } = graph.training ?? {};
        if (masks > 0) {
          inputs.set(KEYS, zeros("uint32", [masks]));
          const places = Uint32Array.from({ length: largest }, (_, i) => Math.imul(i, STRIDE) >>> 0);
          inputs.set(POSITIONS, tensorFromStorage("uint32", [largest], places));
        }
        const outputs = new Map(shapes.map(([name, make]) => [name, gradients.get(name) ?? make()]));
        const bound = new Map([...options.weights, ...inputs]);
        const given = program.signature.inputs.map(({ name }) => [name, bound.get(name)!] as const);
        const call = program.bind(Object.fromEntries(given), Object.fromEntries(outputs));
        lanes.push({ call, inputs, outputs });
      }
      return new Compiled(graph, program, lanes);
    } catch (error) {
      for (const { call } of lanes) call.dispose();
      await program.dispose();
      throw error;
    }
  }

  get lanes(): number {
    return this.#lanes.length;
  }

  /** Runs on a batch of the compiled shapes; `seed` and `step` decide the masks. */
  async run(batch: ReadBatch, seed: number, step: number): Promise<void> {
    this.#lanes.forEach(({ inputs }, lane) => {
      for (const name of this.graph.batch) {
        const memory = inputs.get(name)!;
        const given = batch.tensors.get(name)!;
        const rows = (memory.shape[0] ?? 0) * lane;
        copyInto(memory, this.lanes === 1 ? given : given.slice([rows, rows + memory.shape[0]!]));
      }
      // `open` makes the keys as uint32.
      const keys = inputs.get(KEYS)?.data as unknown as Uint32Array | undefined;
      // Masks are those of the whole batch: a lane's positions begin where the part before it ends.
      this.graph.training?.sizes.forEach((size, node) => {
        keys![node] = (keyOf(seed, step, node) + Math.imul(lane * size, STRIDE)) >>> 0;
      });
    });
    const began = performance.now();
    const [first, ...others] = this.#lanes;
    if (others.length === 0 && this.#milliseconds < SYNC_BELOW_MS) first!.call.runSync();
    else {
      const runs = await Promise.allSettled(this.#lanes.map(({ call }) => call.run()));
      const failed = runs.find((run) => run.status === "rejected");
      if (failed !== undefined) throw failed.reason;
    }
    this.#milliseconds = performance.now() - began;
  }

  get loss(): number {
    const own = this.output(this.graph.loss)[0]!;
    return this.graph.joining === "sum" ? own * this.lanes : own;
  }

  /** An output of float32 (losses, statistics); of lanes, their mean. */
  output(name: string): Float32Array {
    // Names do not carry dtypes.
    const parts = this.#lanes.map(({ outputs }) => outputs.get(name)!.data as unknown as Float32Array);
    if (parts.length === 1) return parts[0]!;
    return parts[0]!.map((_, i) => parts.reduce((sum, part) => sum + part[i]!, 0) / parts.length);
  }

  /** An output of the first lane. */
  tensor(name: string): Tensor {
    return this.#lanes[0]!.outputs.get(name)!;
  }

  async dispose(): Promise<void> {
    for (const { call } of this.#lanes) call.dispose();
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
