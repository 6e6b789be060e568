/** Calibration: measures batch sizes while the engine is idle, and remembers the result for this machine. */
import { type ErrorCode, isTenonError, type TenonError } from "../base/index.js";
import type { Tensor } from "../tensor/index.js";
import type { BatchAxis } from "./batch-axis.js";
import { BufferPool } from "./buffers.js";
import type { ModelCache } from "./cache.js";
import type { CostModels, CostPoint } from "./cost-model.js";
import type { LaneBudget } from "./lane-budget.js";
import type { Loaded } from "./load.js";
import type { Model } from "./model.js";
import { OutputShapes } from "./output-shapes.js";
import { overProbeLimit, probeOfShape } from "./probe.js";
import type { RunLane } from "./session.js";

/** Raised when what is measured, or how, changes. */
const NOTE_FORMAT = 2;
const RUNS = 15;
/** Tiny runs are repeated up to this total, since the first ones measure cold code. */
const TINY_TOTAL_MS = 4;
const BUDGET_PER_SIZE_MS = 250;
const BUDGET_MS = 500;
/** Larger batches than one that takes this long are not tried. */
const TOO_LONG_MS = 400;
/** Runs shorter than this are measured on this thread, without the hop; longer ones would block the event loop. */
const SYNC_BELOW_MS = 2;
const IDLE_POLL_MS = 20;

/** What a run of values that may be wrong for a model never gives when the model is sound. */
const FAULTS: ReadonlySet<ErrorCode> = new Set(["MODEL_CRASHED", "MODEL_UNAVAILABLE", "DEADLINE"]);

/** One model's calibration; it must have stopped before the model's session is released. */
export class Calibration {
  readonly #budget: LaneBudget;
  readonly #cache: ModelCache | undefined;
  #stopped = false;
  #working: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(budget: LaneBudget, cache: ModelCache | undefined) {
    this.#budget = budget;
    this.#cache = cache;
  }

  /** Ends the measurements; resolves when none runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    await this.#working;
  }

  /**
   * One run on probe values, so that kernels and memory are ready. Models that refuse the probe stay cold; the error is
   * given where the model itself is at fault.
   */
  async warmUp(model: Model, axis: BatchAxis): Promise<TenonError | undefined> {
    const shapes = axis.probe ?? fixedShapes(model, 1);
    if (shapes === undefined || overProbeLimit(shapes) !== undefined) return undefined;
    const inputs = Object.fromEntries(
      model.signature.inputs.map((spec, i) => [spec.name, probeOfShape(spec.dtype, shapes[i]!, i)]),
    );
    try {
      const outputs = await model.run(inputs);
      outputs[Symbol.dispose]();
      return undefined;
    } catch (error) {
      return isTenonError(error) && FAULTS.has(error.code) ? error : undefined;
    }
  }

  /** Restores what was measured before, or measures in the background. Only models whose only free dim is the batch axis. */
  start(model: Model, loaded: Loaded, axis: BatchAxis, costs: CostModels): void {
    const batched = model.maxBatch > 1 && axis.probe !== undefined;
    const fixed = loaded.signature.inputs.every(({ dims }) =>
      dims?.slice(batched ? 1 : 0).every((dim) => typeof dim === "number"),
    );
    const probe = fixed ? (axis.probe ?? fixedShapes(model)) : undefined;
    if (probe === undefined) return;
    // A model that cannot be measured is learned from its real runs.
    this.#working = this.#measure(model, loaded, probe, costs).catch(() => undefined);
  }

  async #measure(
    model: Model,
    loaded: Loaded,
    probe: readonly (readonly number[])[],
    costs: CostModels,
  ): Promise<void> {
    const batched = model.maxBatch > 1;
    const key = batchKeyOf(probe, batched);
    const lane = loaded.session.lane(new OutputShapes(loaded.session.signature), new BufferPool());
    // What a batch costs in another process, way included, is no guide for this one.
    const note = `cost-${NOTE_FORMAT}-${model.maxBatch}${lane.runSync === undefined ? "-process" : ""}`;
    const known = await this.#cache?.readNote<CostPoint[]>(loaded.key, note);
    if (known !== undefined) {
      costs.restore(key, known);
      lane.dispose();
      return;
    }
    const cost = costs.of(key);
    let spentMs = 0;
    const points: CostPoint[] = [];
    let previous = 0;
    let complete = true;
    try {
      for (let n = 1; n <= Math.max(1, model.maxBatch); n *= 2) {
        const shapes = batched ? probe.map((shape) => [n, ...shape.slice(1)]) : probe;
        if (overProbeLimit(shapes) !== undefined) break;
        const inputs = shapes.map((shape, i) => probeOfShape(loaded.signature.inputs[i]!.dtype, shape, i));
        const measured = await this.#leastOf(lane, inputs, n, previous * 2, cost.hopMs);
        if (measured === undefined) return;
        const { ms } = measured;
        spentMs += measured.spentMs;
        cost.calibrate(n, ms);
        points.push({ n, ms });
        previous = ms;
        if (ms > TOO_LONG_MS) break;
        if (spentMs > BUDGET_MS && n < model.maxBatch) {
          complete = false;
          break;
        }
      }
    } finally {
      lane.dispose();
    }
    cost.complete();
    // A curve that was cut short, on a busy machine for instance, is measured again at the next load.
    if (complete) await this.#cache?.writeNote(loaded.key, note, points);
  }

  /**
   * Least milliseconds of a run without the hop: other programs only ever add time. Undefined when the engine was
   * closed meanwhile. `spentMs` is what all of it took, waiting for requests to pass not counted.
   */
  async #leastOf(
    lane: RunLane,
    inputs: readonly Tensor[],
    rows: number,
    expectedMs: number,
    hopMs: number,
  ): Promise<{ ms: number; spentMs: number } | undefined> {
    const times: number[] = [];
    let expected = expectedMs;
    let total = 0;
    for (let run = 0; (run <= RUNS || total < TINY_TOTAL_MS) && total < BUDGET_PER_SIZE_MS; run++) {
      if (!(await this.#idle())) return undefined;
      const sync = lane.runSync !== undefined && expected > 0 && expected < SYNC_BELOW_MS;
      const { ms, runMs } = await timed(this.#budget, lane, inputs, rows, sync);
      expected = runMs ?? Math.max(ms - hopMs, ms / 4);
      total += ms;
      times.push(expected);
    }
    return { ms: Math.min(...times), spentMs: total };
  }

  /** Does not keep the process alive; `stop` ends it early. */
  async #sleep(): Promise<void> {
    const timer = await new Promise<NodeJS.Timeout>((resolve) => {
      const started = setTimeout(() => resolve(started), IDLE_POLL_MS).unref();
      this.#wake = () => resolve(started);
    });
    clearTimeout(timer);
    this.#wake = undefined;
  }

  /** Waits until no request is in the system; false when the engine was closed. */
  async #idle(): Promise<boolean> {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#stopped) return false;
      if (this.#budget.requests === 0 && this.#budget.inFlight === 0) return true;
      await this.#sleep();
    } while (!this.#stopped);
    return false;
  }
}

async function timed(
  budget: LaneBudget,
  lane: RunLane,
  inputs: readonly Tensor[],
  rows: number,
  sync: boolean,
): Promise<{ ms: number; runMs: number | undefined }> {
  const batch = { members: [{ inputs, rows, into: undefined }], rows, outputs: lane.allOutputs };
  const startedAt = performance.now();
  if (sync) {
    lane.runSync!(batch);
    const ms = performance.now() - startedAt;
    return { ms, runMs: ms };
  }
  const lent = budget.take(1);
  try {
    const runMs = await new Promise<number | undefined>((resolve, reject) =>
      lane.run(batch, (error, outputs) => (error === null ? resolve(outputs?.runMs) : reject(error))),
    );
    return { ms: performance.now() - startedAt, runMs };
  } finally {
    budget.give(1, lent);
  }
}

/** The inputs' shapes with `free` for dims that are not fixed; undefined when a rank or, without `free`, a dim is unknown. */
function fixedShapes(model: Model, free?: number): readonly (readonly number[])[] | undefined {
  const shapes = model.signature.inputs.map(({ dims }) =>
    dims?.map((dim) => (typeof dim === "number" ? dim : free)),
  );
  return shapes.some((shape) => shape === undefined || shape.includes(undefined))
    ? undefined
    : (shapes as number[][]);
}

/** The key under which requests of these shapes are queued (see Model). */
function batchKeyOf(shapes: readonly (readonly number[])[], batched: boolean): string {
  return shapes
    .map(
      (shape) =>
        `${shape
          .slice(batched ? 1 : 0)
          .map((dim) => `${dim},`)
          .join("")};`,
    )
    .join("");
}
