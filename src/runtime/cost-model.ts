/** CostModel: what a batch of n rows costs, calibrated and then learned online, and the lanes and size it advises. */

/** Measured time of one batch size. */
export interface CostPoint {
  readonly n: number;
  /** Milliseconds of one run of n rows on one lane, without the hop. */
  readonly ms: number;
}

export interface Choice {
  /** Lanes to start now. */
  readonly lanes: number;
  /** Rows per batch. */
  readonly rows: number;
  readonly reason: "idle" | "knee" | "backlog" | "all";
}

const LEARNING_RATE = 1 / 8;
/** Rates for runs whose own time is known: other programs only ever add to it, so shorter ones count for more. */
const FASTER_RATE = 1 / 2;
const SLOWER_RATE = 1 / 64;
/** Of the hop to where runs tell their own time, what it costs this thread; the rest is waiting, which batches do side by side. */
const WAY_MS = 0.06;
/** Of this many choices under backlog one tries a batch twice as large, since what was measured of it may be wrong. */
const TRY_LARGER_EVERY = 32;
/** A single sample this many times off is a pause of the machine, not of the model. */
const OUTLIER = 4;
/** The knee is the smallest batch within this factor of the best time per row. */
const KNEE_FACTOR = 1.15;
/** Runs longer than this teach t(n); shorter ones teach the hop, which is then the larger part. */
const HOP_DOMINATES_BELOW_MS = 1;
/** Rows of a heavy model are not worth waiting for in larger batches: beyond it none was ever measured to gain. */
const HEAVY_MAX_ROWS = 8;
/** Under backlog a larger batch than the knee must gain at least this much per row. */
const BACKLOG_GAIN = 1.05;
/** Time per row relative to a single row, assumed for heavy models until it is measured. */
const HEAVY_PRIOR = [1, 0.93, 0.9, 0.89] as const;
/** Share of a light model's run that does not grow with its rows, assumed until it is measured. */
const LIGHT_FIXED_SHARE = 0.3;
const HEAVY_FIXED_SHARE = 0.05;

/** What a light run is assumed to take after its rows were doubled this many times, in times of what it took. */
function grown(doublings: number): number {
  return LIGHT_FIXED_SHARE + (1 - LIGHT_FIXED_SHARE) * 2 ** doublings;
}

export class CostModel {
  /** Milliseconds by exponent of a power-of-two batch size. */
  readonly #ms: (number | undefined)[] = [];
  readonly maxRows: number;
  #hopMs: number;
  #knee = 1;
  #best = 1;
  #calibrated: boolean;
  #samples = 0;
  /** Sizes whose runs have told their own time, by exponent. Trying one corrects what was believed of it. */
  readonly #told: boolean[] = [];
  #choices = 0;

  constructor(maxRows: number, hopMs = 0.05, points: readonly CostPoint[] = []) {
    this.maxRows = Math.max(1, maxRows);
    this.#hopMs = hopMs;
    for (const point of points) this.#ms[Math.round(Math.log2(point.n))] = point.ms;
    this.#calibrated = points.length > 0;
    this.#findKnee();
  }

  /** Milliseconds from dispatch to callback beyond the run itself. */
  get hopMs(): number {
    return this.#hopMs;
  }

  get knee(): number {
    return this.#knee;
  }

  /** Batch size with the best time per row. */
  get best(): number {
    return this.#best;
  }

  /** True once a single row was measured. */
  get known(): boolean {
    return this.#ms[0] !== undefined;
  }

  points(): CostPoint[] {
    return this.#ms.flatMap((ms, exponent) => (ms === undefined ? [] : [{ n: 2 ** exponent, ms }]));
  }

  /** A measurement of calibration: replaces what was known. `n` is a power of two. */
  calibrate(n: number, ms: number): void {
    this.#calibrated = true;
    this.#ms[Math.round(Math.log2(n))] = ms;
    this.#findKnee();
  }

  /** Calibration has ended, perhaps early: sizes that it did not reach are assumed from the largest it did. */
  complete(): void {
    const last = this.#ms.length - 1;
    if (last < 0) return;
    const fixed = this.#ms[0]! < HOP_DOMINATES_BELOW_MS ? LIGHT_FIXED_SHARE : HEAVY_FIXED_SHARE;
    for (let e = last + 1; 2 ** e <= this.maxRows; e++) {
      this.#ms[e] = this.#ms[last]! * (fixed + (1 - fixed) * 2 ** (e - last));
    }
    this.#findKnee();
  }

  /** Predicted milliseconds of a run of n rows, interpolated between the measured sizes; 0 when nothing is known. */
  predict(n: number): number {
    let low = -1;
    let high = -1;
    const exponent = Math.log2(n);
    for (let e = 0; e < this.#ms.length; e++) {
      if (this.#ms[e] === undefined) continue;
      if (e <= exponent) low = e;
      else {
        high = e;
        break;
      }
    }
    if (low < 0) return high < 0 ? 0 : (this.#ms[high]! * n) / 2 ** high;
    if (high < 0) return (this.#ms[low]! * n) / 2 ** low;
    const share = (n - 2 ** low) / (2 ** high - 2 ** low);
    return this.#ms[low]! + share * (this.#ms[high]! - this.#ms[low]!);
  }

  /** A batch of n rows took `ms` from dispatch to callback, and `runMs` of it where it ran, when that is known. */
  learn(n: number, ms: number, runMs?: number): void {
    const run = runMs ?? Math.max(ms - this.#hopMs, ms / 4);
    // Without a calibration the first run teaches little (it allocates), and the second replaces it.
    if (!this.#calibrated && this.#samples++ < 2) {
      this.#assume(run / n);
      return;
    }
    if (runMs !== undefined && runMs < HOP_DOMINATES_BELOW_MS) {
      this.#learnRun(n, runMs, Math.max(0, ms - runMs));
      return;
    }
    const predicted = this.predict(n);
    if (predicted < HOP_DOMINATES_BELOW_MS) {
      if (!this.#calibrated && run < predicted) {
        this.#assume((this.#ms[0]! * (run + predicted)) / (2 * predicted));
        return;
      }
      // Faster than predicted, hop included: the curve was measured on a busy machine.
      if (ms < predicted) this.#scale(ms / predicted);
      const hop = Math.max(0, ms - predicted);
      if (hop < OUTLIER * Math.max(this.#hopMs, 0.05)) this.#hopMs += LEARNING_RATE * (hop - this.#hopMs);
      return;
    }
    const sample = Math.max(ms - this.#hopMs, 0);
    if (sample > OUTLIER * predicted || sample < predicted / OUTLIER) return;
    const exponent = Math.round(Math.log2(n));
    const nearest = this.#ms[exponent] ?? this.predict(2 ** exponent);
    const scaled = (sample * nearest) / predicted;
    this.#ms[exponent] = nearest + LEARNING_RATE * (scaled - nearest);
    this.#findKnee();
  }

  /** A light run that took `runMs` itself, and `hop` to be handed over. */
  #learnRun(n: number, runMs: number, hop: number): void {
    if (hop < OUTLIER * Math.max(this.#hopMs, 0.05)) this.#hopMs += LEARNING_RATE * (hop - this.#hopMs);
    const exponent = Math.round(Math.log2(n));
    const known = this.#ms[exponent] ?? this.predict(2 ** exponent);
    const sample = known === 0 ? (runMs * 2 ** exponent) / n : (runMs * known) / this.predict(n);
    const rate = known === 0 ? 1 : sample < known ? FASTER_RATE : sample < OUTLIER * known ? SLOWER_RATE : 0;
    const ms = known + rate * (sample - known);
    this.#ms[exponent] = ms;
    this.#told[exponent] = true;
    // Fewer rows never take longer, and more rows not as long as a bad moment of the calibration made them seem.
    for (let e = 0; e < this.#ms.length; e++) {
      const most =
        e < exponent ? ms : this.#told[e] === true ? Number.POSITIVE_INFINITY : ms * grown(e - exponent);
      if (this.#ms[e] !== undefined && this.#ms[e]! > most) this.#ms[e] = most;
    }
    this.#findKnee();
  }

  #scale(factor: number): void {
    for (let e = 0; e < this.#ms.length; e++) this.#ms[e]! *= factor;
    this.#findKnee();
  }

  /** A curve from one measured row time, which measurements then replace. */
  #assume(rowMs: number): void {
    for (let e = 0; 2 ** e <= this.maxRows; e++) {
      const n = 2 ** e;
      if (rowMs < HOP_DOMINATES_BELOW_MS)
        this.#ms[e] = rowMs * (LIGHT_FIXED_SHARE + (1 - LIGHT_FIXED_SHARE) * n);
      else if (e < HEAVY_PRIOR.length) this.#ms[e] = rowMs * n * HEAVY_PRIOR[e]!;
    }
    this.#findKnee();
  }

  #findKnee(): void {
    const heavy = (this.#ms[0] ?? 0) >= HOP_DOMINATES_BELOW_MS;
    const limit = heavy ? Math.min(HEAVY_MAX_ROWS, this.maxRows) : this.maxRows;
    const points = this.points().filter((point) => point.n <= limit);
    if (points.length === 0) {
      this.#knee = this.#best = limit;
      return;
    }
    let best = points[0]!;
    for (const point of points) if (point.ms / point.n < best.ms / best.n) best = point;
    const knee = points.find((point) => point.ms / point.n <= (KNEE_FACTOR * best.ms) / best.n)!;
    this.#knee = knee.n;
    this.#best = knee.ms / knee.n >= (BACKLOG_GAIN * best.ms) / best.n ? best.n : knee.n;
  }

  /**
   * How many lanes to start and with how many rows each, for `waiting` rows and `free` lanes of `lanes` in all:
   * the split with the least time per served row; ties go to more lanes. Something always starts.
   */
  choose(waiting: number, free: number, lanes: number): Choice {
    const backlog = waiting > lanes * this.#knee;
    const tell = this.#told.length > 0;
    const hopMs = tell ? Math.min(this.#hopMs, WAY_MS) : this.#hopMs;
    let cap = Math.min(backlog ? this.#best : this.#knee, this.maxRows);
    if (tell && waiting >= 2 * cap && ++this.#choices % TRY_LARGER_EVERY === 0)
      cap = Math.min(2 * cap, this.maxRows);
    let chosen = { lanes: 1, rows: 1 };
    let least = Number.POSITIVE_INFINITY;
    for (let k = 1; k <= Math.min(free, waiting); k++) {
      const rows = Math.max(1, Math.min(Math.ceil(waiting / k), cap));
      const served = Math.min(waiting, k * rows);
      const score = (hopMs * k + this.predict(rows)) / served;
      if (score <= least) {
        least = score;
        chosen = { lanes: k, rows };
      }
    }
    const all = chosen.lanes * chosen.rows >= waiting;
    return { ...chosen, reason: waiting === 1 ? "idle" : all ? "all" : backlog ? "backlog" : "knee" };
  }
}

const REMEMBERED_SHAPES = 64;

/** A cost model per batch key: the same model takes longer on longer inputs. The oldest are forgotten. */
export class CostModels {
  readonly #models = new Map<string, CostModel>();
  readonly #maxRows: number;
  readonly #hopMs: number;

  constructor(maxRows: number, hopMs: number) {
    this.#maxRows = maxRows;
    this.#hopMs = hopMs;
  }

  of(batchKey: string): CostModel {
    let model = this.#models.get(batchKey);
    if (model === undefined) {
      model = new CostModel(this.#maxRows, this.#hopMs);
      if (this.#models.size >= REMEMBERED_SHAPES) this.#models.delete(this.#models.keys().next().value!);
      this.#models.set(batchKey, model);
    }
    return model;
  }

  /** Calibrated earlier: replaces what is known of a key. */
  restore(batchKey: string, points: readonly CostPoint[]): void {
    this.#models.set(batchKey, new CostModel(this.#maxRows, this.#hopMs, points));
  }

  entries(): IterableIterator<[string, CostModel]> {
    return this.#models.entries();
  }
}
