/** TrainStep: forward, backward and update of a model, one batch after the other. */
import { TenonError } from "../../base/index.js";
import { usableCores } from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { FlatMemory } from "../memory.js";
import type { WeightStore } from "../model/parts.js";
import type { Optimizer } from "../optimizers/rows.js";
import { type Batch, declaredTypes, type ReadBatch, readBatch, shapeKey } from "./batch.js";
import { Compiled, over } from "./compiled.js";
import { buffersOf, stepGraph } from "./graph.js";
import { groupsOf } from "./groups.js";
import type { CompileOptions } from "./options.js";

export interface StepResult {
  /** The batch's loss, before the update. */
  readonly loss: number;
  /** Norm over all gradients before the clip; NaN while gradients are accumulated. */
  readonly gradNorm: number;
  /** Updates of the parameters so far. */
  readonly step: number;
  /** False for a batch whose gradients are accumulated, and where the norm was not finite: nothing was changed. */
  readonly applied: boolean;
  /** Learning rate of the update. */
  readonly lr: number;
  /** Rows of the batch. */
  readonly rows: number;
}

export interface RunOptions {
  /** What the schedule gives for this step: multiplies the learning rate. Default 1. */
  readonly rate?: number;
}

export interface Evaluated {
  readonly loss: number;
  /** Copies of the model's outputs. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly rows: number;
}

/** Counters that a checkpoint keeps beside the arrays. */
export interface StepCounters {
  readonly step: number;
  /** Batches accumulated since the last update, and their rows. */
  readonly accumulated: number;
  readonly accumulatedRows: number;
  /** Updates left out in a row because the norm was not finite. */
  readonly notFinite: number;
  /** Batches run so far: decides the masks of dropout. */
  readonly batches: number;
}

const MOST_NOT_FINITE = 10;
const DEFAULT_SHAPES = 8;

/** Made by `model.compile`. Runs one batch at a time. */
export class TrainStep {
  readonly optimizer: Optimizer;
  readonly model: WeightStore;
  readonly memory: FlatMemory;
  readonly options: CompileOptions;
  readonly #buffers: readonly string[];
  readonly #weights: ReadonlyMap<string, Tensor>;
  readonly #compiled = new Map<string, Compiled>();
  #counters: StepCounters = { step: 0, accumulated: 0, accumulatedRows: 0, notFinite: 0, batches: 0 };
  #running = false;
  #disposed = false;

  private constructor(model: WeightStore, options: CompileOptions) {
    checkOptions(options);
    this.model = model;
    this.options = options;
    this.optimizer = options.optimizer;
    const { trainable } = model.parts;
    const { groups, groupOf } = groupsOf(options.groups);
    const parameters = trainable.map((name) => {
      const shape = model.shapeOf(name);
      return { name, shape, group: groupOf(name, shape) };
    });
    this.memory = new FlatMemory(parameters, options.optimizer, {
      groups,
      accumulate: (options.accumulate ?? 1) > 1,
      average: options.average !== undefined,
    });
    this.#buffers = buffersOf(model);
    const weights = new Map<string, Tensor>();
    for (const { name, shape } of parameters) {
      model.moveInto(name, this.memory.parameter(name));
      weights.set(name, over(this.memory.parameter(name), shape));
    }
    for (const name of this.#buffers) {
      const shape = model.shapeOf(name);
      const values = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
      model.moveInto(name, values);
      weights.set(name, over(values, shape));
    }
    if (options.average !== undefined) this.memory.section("average").set(this.memory.section("p"));
    this.#weights = weights;
  }

  static async compile(model: WeightStore, options: CompileOptions): Promise<TrainStep> {
    return new TrainStep(model, options);
  }

  get counters(): StepCounters {
    return this.#counters;
  }

  /** Running statistics by name: what a checkpoint keeps beside parameters and optimiser state. */
  get buffers(): ReadonlyMap<string, Float32Array> {
    return new Map(
      this.#buffers.map((name) => [name, this.#weights.get(name)!.data as unknown as Float32Array]),
    );
  }

  /** Continues from a checkpoint's counters. */
  restore(counters: StepCounters): void {
    this.#counters = counters;
  }

  /**
   * Forward, backward, and (unless gradients are accumulated) the update. The first batch of a shape compiles it. Throws
   * INPUT_… for a batch that does not fit, MODEL_UNSUPPORTED for what has no gradient, and TRAINING_DIVERGED after ten
   * updates in a row whose gradients are not finite. Not while another run is under way.
   */
  async run(batch: Batch, options: RunOptions = {}): Promise<StepResult> {
    return this.#alone(async () => {
      const read = this.#read(batch);
      const compiled = await this.#compile(read, "train");
      await compiled.run(read, this.options.seed ?? 0, this.#counters.batches);
      this.#moveStatistics(compiled);
      return this.#update(compiled.loss, read.rows, options.rate ?? 1);
    });
  }

  /** Loss and outputs in inference mode; nothing is changed. */
  async evaluate(batch: Batch): Promise<Evaluated> {
    return this.#alone(async () => {
      const read = this.#read(batch);
      const compiled = await this.#compile(read, "evaluate");
      await compiled.run(read, 0, 0);
      const outputs = this.model.parts.onnx.graph.outputs.map(
        ({ name }) => [name, compiled.outputs.get(name)!.clone()] as const,
      );
      return { loss: compiled.loss, outputs: Object.fromEntries(outputs), rows: read.rows };
    });
  }

  /** The averaged parameters by name, for `model.toOnnx`. Throws USAGE without `average`. */
  averaged(): ReadonlyMap<string, Float32Array> {
    return new Map(this.memory.names.map((name) => [name, this.memory.state(name, "average").slice()]));
  }

  #read(batch: Batch): ReadBatch {
    const inputs = this.model.parts.onnx.graph.inputs.map(({ name }) => name);
    return readBatch(batch, declaredTypes(this.model), inputs);
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#disposed) throw new TenonError("ENGINE_CLOSED", { problem: "the step was disposed of" });
    if (this.#running) {
      throw new TenonError("USAGE", {
        problem: "the step is running",
        do: "await a run before the next one",
      });
    }
    this.#running = true;
    try {
      return await work();
    } finally {
      this.#running = false;
    }
  }

  async #compile(batch: ReadBatch, mode: "train" | "evaluate"): Promise<Compiled> {
    const key = `${mode} ${shapeKey(batch)}`;
    const known = this.#compiled.get(key);
    // The one used last stands last.
    this.#compiled.delete(key);
    const compiled = known ?? (await this.#open(batch, mode));
    this.#compiled.set(key, compiled);
    if (this.#compiled.size > (this.options.shapes ?? DEFAULT_SHAPES)) {
      const [oldest, unused] = [...this.#compiled][0]!;
      this.#compiled.delete(oldest);
      await unused.dispose();
    }
    return compiled;
  }

  async #open(batch: ReadBatch, mode: "train" | "evaluate"): Promise<Compiled> {
    const graph = stepGraph(this.model, batch, { loss: this.options.loss, buffers: this.#buffers, mode });
    const gradients = [...graph.gradients].map(
      ([name, output]) => [output, over(this.memory.gradient(name), this.model.shapeOf(name))] as const,
    );
    return Compiled.open(graph, batch, {
      threads: this.options.threads ?? usableCores(),
      spin: false,
      weights: this.#weights,
      gradients: new Map(gradients),
    });
  }

  #moveStatistics(compiled: Compiled): void {
    for (const each of compiled.graph.training?.statistics ?? []) {
      const batch = (of: string): Float32Array => compiled.outputs.get(of)!.data as unknown as Float32Array;
      move(this.buffers.get(each.runningMean)!, batch(each.mean.name), each.keep, 1);
      const unbiased = each.count / Math.max(1, each.count - 1);
      move(this.buffers.get(each.runningVariance)!, batch(each.variance.name), each.keep, unbiased);
    }
  }

  #update(loss: number, rows: number, rate: number): StepResult {
    const { accumulate = 1, clipNorm, average } = this.options;
    const lr = this.optimizer.lr * rate;
    const before = this.#counters;
    const accumulated = before.accumulated + 1;
    const accumulatedRows = before.accumulatedRows + rows;
    const batches = before.batches + 1;
    if (accumulate > 1) this.memory.accumulate(rows, accumulated === 1);
    if (accumulated < accumulate) {
      this.#counters = { ...before, accumulated, accumulatedRows, batches };
      return { loss, gradNorm: Number.NaN, step: before.step, applied: false, lr, rows };
    }
    const { gradNorm, applied } = this.memory.update({
      step: before.step + 1,
      lr,
      ...(clipNorm === undefined ? {} : { clipNorm }),
      ...(accumulate > 1 ? { accumulated: true, gradientScale: 1 / accumulatedRows } : {}),
    });
    const step = before.step + Number(applied);
    const notFinite = applied ? 0 : before.notFinite + 1;
    this.#counters = { step, accumulated: 0, accumulatedRows: 0, notFinite, batches };
    if (notFinite >= MOST_NOT_FINITE) throw this.#diverged();
    if (applied && average !== undefined) this.memory.moveAverage(average);
    return { loss, gradNorm, step, applied, lr, rows };
  }

  #diverged(): TenonError {
    const names = this.memory.notFinite((this.options.accumulate ?? 1) > 1 ? "sum" : "g0");
    return new TenonError("TRAINING_DIVERGED", {
      given: `${MOST_NOT_FINITE} updates in a row; gradients of ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`,
      do: "lower the learning rate, clip gradients (clipNorm), or look for infinities in the data",
      details: { parameters: names },
    });
  }

  /** Frees the sessions. The model keeps its values. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await Promise.all([...this.#compiled.values()].map((each) => each.dispose()));
    this.#compiled.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function move(running: Float32Array, batch: Float32Array, keep: number, scale: number): void {
  for (let i = 0; i < running.length; i++) running[i] = running[i]! * keep + batch[i]! * scale * (1 - keep);
}

function checkOptions({ accumulate = 1, average, clipNorm, threads = 1, shapes = 1 }: CompileOptions): void {
  const whole = { accumulate, threads, shapes };
  for (const [name, value] of Object.entries(whole)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new TenonError("USAGE", {
      problem: name,
      given: String(value),
      expected: "a whole number, 1 or more",
    });
  }
  if (average !== undefined && !(average >= 0 && average < 1))
    throw new TenonError("USAGE", { problem: "average", given: String(average), expected: "0 to below 1" });
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new TenonError("USAGE", { problem: "clipNorm", given: String(clipNorm), expected: "above 0" });
}
