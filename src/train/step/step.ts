/** TrainStep: forward, backward and update of a model, one batch after the other. */
import { TenonError } from "../../base/index.js";
import { usableCores } from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { FlatMemory, type UpdateOptions, type UpdateResult } from "../memory.js";
import type { WeightStore } from "../model/parts.js";
import type { Optimizer } from "../optimizers/optimizer.js";
import { type Batch, declaredTypes, type ReadBatch, readBatch, shapeKey } from "./batch.js";
import { checkOptions, notSplit } from "./checks.js";
import { Compiled, over } from "./compiled.js";
import { buffersOf, type StepGraph, stepGraph } from "./graph.js";
import { groupsOf } from "./groups.js";
import { ManyRuns } from "./many-runs.js";
import type { CompileOptions } from "./options.js";
import { Orthogonal } from "./orthogonal.js";
import type { Evaluated, Parallel, RunOptions, StepCounters, StepResult } from "./results.js";
import { areClose, isLarge, partOf } from "./split.js";

/** Rounds of a trial of lanes against threads, and milliseconds after which it ends early. */
const TRIAL_ROUNDS = 3;
const TRIAL_MS = 3000;
/** Beyond this a gradient section for each lane would not fit beside the rest. */
const MOST_LANE_BYTES = 2 ** 30;
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
  readonly #many: ManyRuns;
  readonly #threads: number;
  readonly #inputs: readonly string[];
  readonly #declared: ReturnType<typeof declaredTypes>;
  #parallel: Parallel | undefined;
  #orthogonal: Orthogonal | undefined;
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
    this.#threads = options.threads ?? usableCores();
    this.#inputs = model.parts.onnx.graph.inputs.map(({ name }) => name);
    this.#declared = declaredTypes(model);
    const bytes = parameters.reduce(
      (sum, { shape }) => sum + 4 * shape.reduce((product, dim) => product * dim, 1),
      0,
    );
    const mayHaveLanes = this.#threads > 1 && bytes * this.#threads <= MOST_LANE_BYTES;
    if (!mayHaveLanes || options.parallel === "threads") this.#parallel = "threads";
    else if (options.parallel === "lanes") this.#parallel = "lanes";
    this.memory = new FlatMemory(parameters, options.optimizer, {
      groups,
      lanes: this.#parallel === "threads" ? 1 : this.#threads,
      accumulate: (options.accumulate ?? 1) > 1,
      average: options.average !== undefined,
    });
    this.#many = new ManyRuns(this.memory, options, this.#threads, (batch) => this.#graph(batch, "train"));
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

  /** How the threads are used; undefined before the first batch by which that is decided. */
  get parallel(): Parallel | undefined {
    return this.#parallel;
  }

  /** Continues from a checkpoint's counters, and in its way of using the threads. */
  restore(counters: StepCounters, parallel?: Parallel): void {
    this.#counters = counters;
    const { parallel: wanted = "auto" } = this.options;
    const possible = parallel === "threads" || this.memory.lanes > 1;
    if (parallel !== undefined && wanted === "auto" && possible) this.#parallel = parallel;
  }

  /**
   * Forward, backward, and (unless gradients are accumulated) the update. The first batch of a shape compiles it. Throws
   * INPUT_… for a batch that does not fit, MODEL_UNSUPPORTED for what has no gradient, USAGE for a loss that lanes cannot
   * compute, and TRAINING_DIVERGED after ten
   * updates in a row whose gradients are not finite. Not while another run is under way.
   */
  async run(batch: Batch, options: RunOptions = {}): Promise<StepResult> {
    return this.#alone(async () => {
      const read = this.#read(batch);
      const compiled = await this.#compile(read, "train");
      await compiled.run(read, this.options.seed ?? 0, this.#counters.batches);
      this.#addLanes(compiled);
      this.#moveStatistics(compiled);
      return await this.#update(compiled.loss, read.rows, options.rate ?? 1);
    });
  }

  /**
   * Several steps in one run of the runtime, for models so small that starting a run costs more than a step: batches of one
   * shape, one update each. The numbers are those of `run` on one batch after the other, with `clipNorm` but for
   * rounding; `gradNorm` is not computed (NaN). Where a gradient is not finite the batches are run one after the other. Each
   * number of batches is compiled once. Throws as `run` does; USAGE for batches of several shapes and with `accumulate` or
   * `average`; MODEL_UNSUPPORTED for batch norms in training and for LAMB and Muon.
   */
  async runMany(
    batches: readonly Batch[],
    options: { readonly rates?: readonly number[] } = {},
  ): Promise<StepResult[]> {
    const { rates = batches.map(() => 1) } = options;
    const done = await this.#alone(() => this.#runTogether(batches, rates));
    if (done !== undefined) return done;
    const results: StepResult[] = [];
    for (const [i, batch] of batches.entries()) results.push(await this.run(batch, { rate: rates[i]! }));
    return results;
  }

  async #runTogether(batches: readonly Batch[], rates: readonly number[]): Promise<StepResult[] | undefined> {
    const before = this.#counters;
    const read = batches.map((batch) => this.#read(batch));
    const each = rates.map((rate, i) => ({ step: before.step + i + 1, lr: this.optimizer.lr * rate }));
    const losses = await this.#many.run(read, each, before.batches);
    if (losses === undefined) return undefined;
    const { length } = read;
    this.#counters = {
      ...before,
      step: before.step + length,
      batches: before.batches + length,
      notFinite: 0,
    };
    return read.map(({ rows }, i) => ({
      loss: losses[i]!,
      gradNorm: Number.NaN,
      applied: true,
      rows,
      ...each[i]!,
    }));
  }

  /** Loss and outputs in inference mode; nothing is changed. */
  async evaluate(batch: Batch): Promise<Evaluated> {
    return this.#alone(async () => {
      const read = this.#read(batch);
      const compiled = await this.#compile(read, "evaluate");
      await compiled.run(read, 0, 0);
      const outputs = this.model.parts.onnx.graph.outputs.map(
        ({ name }) => [name, compiled.tensor(name).clone()] as const,
      );
      return { loss: compiled.loss, outputs: Object.fromEntries(outputs), rows: read.rows };
    });
  }

  /** The averaged parameters by name, for `model.toOnnx`. Throws USAGE without `average`. */
  averaged(): ReadonlyMap<string, Float32Array> {
    return new Map(this.memory.names.map((name) => [name, this.memory.state(name, "average").slice()]));
  }

  #read(batch: Batch): ReadBatch {
    return readBatch(batch, this.#declared, this.#inputs);
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
    const graph = this.#graph(batch, mode);
    if (mode === "evaluate" || this.#parallel === "threads") return this.#onThreads(graph, batch);
    const part = partOf(batch, this.#threads, this.#declared, this.#inputs);
    if (part === undefined) return this.#onThreads(graph, batch);
    if (this.#parallel === "lanes") {
      if (graph.joining === undefined) throw notSplit();
      return this.#onLanes(part);
    }
    if (graph.mixesRows || graph.joining === undefined || !isLarge(graph.model)) {
      this.#parallel = "threads";
      return this.#onThreads(graph, batch);
    }
    return this.#faster(await this.#onThreads(graph, batch), part, batch);
  }

  #graph(batch: ReadBatch, mode: "train" | "evaluate"): StepGraph {
    return stepGraph(this.model, batch, { loss: this.options.loss, buffers: this.#buffers, mode });
  }

  #onThreads(graph: StepGraph, batch: ReadBatch): Promise<Compiled> {
    return this.#opened(graph, batch, this.#threads, 1);
  }

  #onLanes(part: ReadBatch): Promise<Compiled> {
    return this.#opened(this.#graph(part, "train"), part, 1, this.#threads);
  }

  #opened(graph: StepGraph, batch: ReadBatch, threads: number, lanes: number): Promise<Compiled> {
    const gradients = (lane: number): ReadonlyMap<string, Tensor> =>
      new Map(
        [...graph.gradients].map(([name, output]) => [
          output,
          over(this.memory.gradient(name, lane), this.model.shapeOf(name)),
        ]),
      );
    return Compiled.open(graph, batch, {
      threads,
      spin: false,
      weights: this.#weights,
      lanes: Array.from({ length: lanes }, (_, lane) => gradients(lane)),
    });
  }

  /** The lanes where they give the same gradients in less time than the threads, else the threads. */
  async #faster(whole: Compiled, part: ReadBatch, batch: ReadBatch): Promise<Compiled> {
    this.#parallel = "threads";
    const lanes = await this.#onLanes(part).catch(() => undefined);
    if (lanes === undefined) return whole;
    const took = { whole: Number.POSITIVE_INFINITY, lanes: Number.POSITIVE_INFINITY };
    const timed = async (compiled: Compiled): Promise<number> => {
      const start = performance.now();
      await compiled.run(batch, this.options.seed ?? 0, this.#counters.batches);
      this.#addLanes(compiled);
      return performance.now() - start;
    };
    const now = (): Float32Array[] => this.memory.names.map((name) => this.memory.gradient(name).slice());
    try {
      await timed(whole);
      const expected = now();
      const ran = await timed(lanes).then(
        () => true,
        () => false,
      );
      if (ran && areClose(now(), expected)) {
        const end = performance.now() + TRIAL_MS;
        for (let round = 0; round < TRIAL_ROUNDS && performance.now() < end; round++) {
          took.whole = Math.min(took.whole, await timed(whole));
          took.lanes = Math.min(took.lanes, await timed(lanes));
        }
      }
    } catch (error) {
      await Promise.all([whole.dispose(), lanes.dispose()]);
      throw error;
    }
    if (took.lanes < took.whole) this.#parallel = "lanes";
    await (this.#parallel === "lanes" ? whole : lanes).dispose();
    return this.#parallel === "lanes" ? lanes : whole;
  }

  #addLanes({ lanes, graph }: Compiled): void {
    const weight = graph.joining === "sum" ? 1 : 1 / lanes;
    if (lanes > 1) this.memory.sumLanes(new Array<number>(lanes).fill(weight));
  }

  #moveStatistics(compiled: Compiled): void {
    for (const each of compiled.graph.training?.statistics ?? []) {
      move(this.buffers.get(each.runningMean)!, compiled.output(each.mean.name), each.keep, 1);
      const unbiased = each.count / Math.max(1, each.count - 1);
      move(this.buffers.get(each.runningVariance)!, compiled.output(each.variance.name), each.keep, unbiased);
    }
  }

  async #update(loss: number, rows: number, rate: number): Promise<StepResult> {
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
    const { gradNorm, applied } = await this.#apply({
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

  async #apply(options: UpdateOptions): Promise<UpdateResult> {
    const { memory } = this;
    if (memory.matrices.length === 0) return memory.update(options);
    const section = options.accumulated === true ? "sum" : "g0";
    this.#orthogonal ??= await Orthogonal.open(memory, section, this.#threads);
    const result = memory.begin(options);
    if (!result.applied) return result;
    try {
      await this.#orthogonal.run();
    } catch (error) {
      memory.undo();
      throw error;
    }
    memory.finish();
    return result;
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
    await this.#many.dispose();
    await this.#orthogonal?.dispose();
    this.#compiled.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function move(running: Float32Array, batch: Float32Array, keep: number, scale: number): void {
  for (let i = 0; i < running.length; i++) running[i] = running[i]! * keep + batch[i]! * scale * (1 - keep);
}
