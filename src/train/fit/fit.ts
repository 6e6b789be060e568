/** fit: epochs over data with evaluation, early stopping, checkpoints and a bit-exact resume. */
import { TenonError } from "../../base/index.js";
import type { TrainStep } from "../step/step.js";
import {
  checkpointsIn,
  type FitState,
  newestCheckpoint,
  prune,
  readArrays,
  readState,
  writeCheckpoint,
} from "./checkpoint.js";
import { evaluate } from "./evaluation.js";
import type { EndEvent, FitEvent } from "./events.js";
import { checkIdentity, identityOf } from "./identity.js";
import { MetricsLog } from "./log.js";
import type { FitOptions } from "./options.js";
import { type Cursor, type Source, sourceOf, type TrainData } from "./source.js";
import { TensorBoard } from "./tensorboard.js";

const DEFAULT_BATCH = 32;
const DEFAULT_KEEP = 3;

/**
 * Trains a step on data and tells of every step, epoch, evaluation and checkpoint as an event. It goes on when the next
 * event is asked for; leaving the loop stops it after the step under way, without a checkpoint.
 *
 * The same step, data and seed give the same bits, also over a resume from any checkpoint. Throws USAGE for options that
 * contradict each other and for a run's folder that holds checkpoints already (give `resume`), PLAN_MISMATCH for a
 * checkpoint of something else, and what `step.run` throws.
 */
export async function* fit(
  step: TrainStep,
  data: TrainData,
  options: FitOptions = {},
): AsyncGenerator<FitEvent, void> {
  checkOptions(options);
  const source = sourceOf(data, {
    batch: options.batch ?? DEFAULT_BATCH,
    shuffle: options.shuffle ?? true,
    dropLast: options.dropLast ?? false,
    seed: options.seed ?? step.options.seed ?? 0,
  });
  const run = new Run(step, source, options);
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  options.signal?.addEventListener("abort", abort);
  if (options.signal?.aborted === true) abort();
  const interrupt = options.interrupt ?? options.checkpoint !== undefined;
  if (interrupt) process.once("SIGINT", abort);
  try {
    await run.start();
    yield* run.events(stop.signal);
  } finally {
    options.signal?.removeEventListener("abort", abort);
    if (interrupt) process.removeListener("SIGINT", abort);
    await run.close();
  }
}

class Run {
  readonly #step: TrainStep;
  readonly #source: Source;
  readonly #options: FitOptions;
  readonly #made: FitState["made"];
  #totalSteps: number | undefined;
  #epoch = 0;
  #cursor: Cursor | undefined;
  #epochLoss = { sum: 0, rows: 0 };
  #best: FitState["best"] = null;
  #waited = 0;
  #ended = false;
  #log: MetricsLog | undefined;
  #board: TensorBoard | undefined;
  #began = 0;
  #rows = 0;
  /** Updates at the last checkpoint and the last evaluation. */
  #saved = -1;
  #logged = 0;
  #evaluated = -1;

  constructor(step: TrainStep, source: Source, options: FitOptions) {
    this.#step = step;
    this.#source = source;
    this.#options = options;
    this.#made = identityOf(step, options, source.fingerprint);
  }

  async start(): Promise<void> {
    const { checkpoint, resume = false } = this.#options;
    const folder =
      typeof resume === "string"
        ? resume
        : resume && checkpoint !== undefined
          ? await newestCheckpoint(checkpoint.dir)
          : undefined;
    if (folder !== undefined) await this.#restore(folder);
    else if (checkpoint !== undefined && !resume && (await checkpointsIn(checkpoint.dir)).length > 0) {
      throw new TenonError("USAGE", {
        problem: "the folder holds checkpoints of another run",
        given: checkpoint.dir,
        do: "give resume: true, or another folder",
      });
    }
    this.#totalSteps ??= await this.#countSteps();
    if (checkpoint !== undefined) this.#log = await MetricsLog.open(checkpoint.dir, this.#logged);
    if (checkpoint?.tensorboard === true) this.#board = new TensorBoard(checkpoint.dir);
    this.#began = performance.now();
  }

  async #restore(folder: string): Promise<void> {
    const state = await readState(folder);
    checkIdentity(state.made, this.#made, this.#options.allowMismatch ?? [], folder);
    await readArrays(folder, this.#step);
    this.#step.restore(state.counters, state.parallel);
    this.#epoch = state.epoch;
    this.#cursor = state.cursor;
    this.#epochLoss = { ...state.epochLoss };
    this.#best = state.best;
    this.#waited = state.waited;
    this.#ended = state.ended;
    this.#totalSteps = state.totalSteps ?? undefined;
    this.#saved = state.counters.step;
    this.#logged = state.logged;
  }

  /** Updates of all epochs; data that does not know its batches is counted when a schedule asks. */
  async #countSteps(): Promise<number | undefined> {
    const { totalSteps, epochs = 1, schedule, maxSteps } = this.#options;
    if (totalSteps !== undefined) return totalSteps;
    let { batches } = this.#source;
    if (batches === undefined && schedule !== undefined) {
      batches = 0;
      for await (const _ of this.#source.epoch(0, undefined)) batches++;
    }
    if (batches === undefined) return maxSteps;
    const steps = Math.floor((batches * epochs) / (this.#step.options.accumulate ?? 1));
    return Math.min(steps, maxSteps ?? steps);
  }

  async *events(stop: AbortSignal): AsyncGenerator<FitEvent, void> {
    const { epochs = 1 } = this.#options;
    while (!this.#ended && this.#epoch < epochs) {
      const began = performance.now();
      for await (const served of this.#source.epoch(this.#epoch, this.#cursor)) {
        yield await this.#train(served.batch);
        this.#cursor = served.next;
        yield* this.#between();
        if (stop.aborted) return yield* this.#end("stopped");
        if (this.#ended) return yield* this.#end("early-stop");
        if (this.#step.counters.step >= (this.#options.maxSteps ?? Number.POSITIVE_INFINITY)) {
          this.#ended = true;
          return yield* this.#end("finished");
        }
      }
      const { sum, rows } = this.#epochLoss;
      if (rows === 0) throw new TenonError("USAGE", { problem: "there is no data to train on" });
      const { step } = this.#step.counters;
      yield await this.#told({
        type: "epoch",
        epoch: this.#epoch,
        step,
        loss: sum / rows,
        seconds: (performance.now() - began) / 1000,
      });
      const evaluated = this.#epoch;
      this.#epoch++;
      this.#cursor = undefined;
      this.#epochLoss = { sum: 0, rows: 0 };
      yield* this.#afterEpoch(evaluated);
      if (this.#ended) return yield* this.#end("early-stop");
    }
    this.#ended = true;
    yield* this.#end("finished");
  }

  async #train(batch: Parameters<TrainStep["run"]>[0]): Promise<FitEvent> {
    const { schedule } = this.#options;
    const before = this.#step.counters.step;
    const rate = schedule === undefined ? 1 : schedule(before, this.#totalSteps ?? 1);
    const { loss, gradNorm, step, lr, applied, rows } = await this.#step.run(batch, { rate });
    this.#epochLoss.sum += loss * rows;
    this.#epochLoss.rows += rows;
    this.#rows += rows;
    const seconds = (performance.now() - this.#began) / 1000;
    return this.#told({
      type: "step",
      epoch: this.#epoch,
      step,
      totalSteps: this.#totalSteps,
      loss,
      gradNorm,
      lr,
      applied,
      rows,
      rate: this.#rows / seconds,
    });
  }

  /** What is due after so many updates. */
  async *#between(): AsyncGenerator<FitEvent, void> {
    const { evaluate: evaluation, checkpoint } = this.#options;
    const { step, accumulated } = this.#step.counters;
    if (accumulated > 0) return;
    const due = (every: "epoch" | number | undefined, last: number): boolean =>
      typeof every === "number" && step > 0 && step % every === 0 && step !== last;
    if (evaluation !== undefined && due(evaluation.every, this.#evaluated))
      yield* this.#evaluate(this.#epoch);
    if (checkpoint !== undefined && due(checkpoint.every, this.#saved)) yield await this.#save();
  }

  async *#afterEpoch(epoch: number): AsyncGenerator<FitEvent, void> {
    const { evaluate: evaluation, checkpoint } = this.#options;
    if (evaluation !== undefined && (evaluation.every ?? "epoch") === "epoch") yield* this.#evaluate(epoch);
    if (checkpoint !== undefined && (checkpoint.every ?? "epoch") === "epoch") yield await this.#save();
  }

  async *#evaluate(epoch: number): AsyncGenerator<FitEvent, void> {
    const { evaluate: evaluation, earlyStop, checkpoint, batch = DEFAULT_BATCH } = this.#options;
    const { step } = this.#step.counters;
    this.#evaluated = step;
    const metrics = await evaluate(this.#step, evaluation!, { batch });
    const best = this.#isBest(metrics);
    yield await this.#told({ type: "evaluation", epoch, step, metrics, best });
    if (best && checkpoint !== undefined) yield await this.#save();
    if (earlyStop !== undefined && this.#waited >= earlyStop.patience) this.#ended = true;
  }

  #isBest(metrics: Readonly<Record<string, number>>): boolean {
    const { earlyStop, evaluate: evaluation } = this.#options;
    const name = this.#options.watch ?? earlyStop?.metric ?? "loss";
    const value = metrics[name];
    if (value === undefined) {
      throw new TenonError("USAGE", {
        problem: "the metric that is watched is not evaluated",
        given: name,
        expected: Object.keys(metrics).join(", "),
      });
    }
    const sign = name !== "loss" && evaluation?.metrics?.[name]?.better === "higher" ? 1 : -1;
    const gain = this.#best === null ? Number.POSITIVE_INFINITY : sign * (value - this.#best.value);
    const better = !Number.isNaN(value) && gain > (earlyStop?.minDelta ?? 0);
    if (better) this.#best = { value, step: this.#step.counters.step };
    this.#waited = better ? 0 : this.#waited + 1;
    return better;
  }

  async #save(): Promise<FitEvent> {
    const { dir, keep = DEFAULT_KEEP } = this.#options.checkpoint!;
    const { counters } = this.#step;
    await this.#log?.flush();
    const path = await writeCheckpoint(dir, this.#step, {
      format: 1,
      counters,
      epoch: this.#epoch,
      ...(this.#cursor === undefined ? {} : { cursor: this.#cursor }),
      epochLoss: this.#epochLoss,
      best: this.#best,
      waited: this.#waited,
      ended: this.#ended,
      totalSteps: this.#totalSteps ?? null,
      logged: this.#log?.written ?? 0,
      made: this.#made,
      ...(this.#step.parallel === undefined ? {} : { parallel: this.#step.parallel }),
      versions: { node: process.versions.node },
    });
    this.#saved = counters.step;
    await prune(dir, keep, this.#best?.step);
    return { type: "checkpoint", step: counters.step, path };
  }

  async *#end(reason: EndEvent["reason"]): AsyncGenerator<FitEvent, void> {
    const { step } = this.#step.counters;
    if (this.#options.checkpoint !== undefined) yield await this.#save();
    yield { type: "end", reason, epoch: this.#epoch, step, best: this.#best };
  }

  async #told<E extends FitEvent>(event: E): Promise<E> {
    await this.#log?.add(event);
    await this.#board?.add(event);
    return event;
  }

  async close(): Promise<void> {
    await this.#log?.flush();
    await this.#board?.flush();
  }
}

function checkOptions(options: FitOptions): void {
  const {
    epochs,
    maxSteps,
    totalSteps,
    batch,
    earlyStop,
    evaluate: evaluation,
    checkpoint,
    resume,
  } = options;
  const whole = {
    epochs,
    maxSteps,
    totalSteps,
    batch,
    "earlyStop.patience": earlyStop?.patience,
    "checkpoint.keep": checkpoint?.keep,
    "checkpoint.every": checkpoint?.every === "epoch" ? undefined : checkpoint?.every,
    "evaluate.every": evaluation?.every === "epoch" ? undefined : evaluation?.every,
  };
  for (const [name, value] of Object.entries(whole)) {
    if (value === undefined || (Number.isInteger(value) && value >= 1)) continue;
    throw new TenonError("USAGE", {
      problem: name,
      given: String(value),
      expected: "a whole number, 1 or more",
    });
  }
  if (earlyStop !== undefined && evaluation === undefined)
    throw new TenonError("USAGE", { problem: "earlyStop needs evaluate" });
  if (resume === true && checkpoint === undefined)
    throw new TenonError("USAGE", {
      problem: "resume: true needs checkpoint",
      do: "give the folder of the run",
    });
}
