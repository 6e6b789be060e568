/** BatchLog: why the last batches were formed as they were; `model.explain()` and the `batch:done` event. */
import { emit, heard } from "../base/index.js";

export interface BatchRecord {
  readonly id: number;
  /** Rows of the batch. */
  readonly n: number;
  /** Requests in it. */
  readonly members: number;
  /** `steps`: an ensemble, whose models have batches of their own. */
  readonly gear: "lane" | "wide" | "inline" | "lease" | "steps";
  /** Milliseconds that each member waited in the queue. */
  readonly waitedMs: readonly number[];
  /** Lengths with padding over lengths without: 1 where nothing was filled up. */
  readonly padRatio: number;
  readonly predictedMs: number;
  /** Milliseconds from dispatch to callback. */
  readonly actualMs: number;
  readonly reason: BatchReason;
  /** Bytes copied on the way in and out. */
  readonly copiedBytes: number;
  /** Error code when the run failed. */
  readonly error?: string;
}

/** What decided the size: nothing else waited, all that waited fit, the knee, a backlog, a deadline, another shape next, no batching, or the model's own rules. */
export type BatchReason =
  | "idle"
  | "all"
  | "knee"
  | "backlog"
  | "deadline"
  | "shape"
  | "unbatched"
  | "lease"
  | "rules";

const CAPACITY = 4096;

export class BatchLog {
  readonly #model: string;
  readonly #ring: BatchRecord[] = [];
  #count = 0;

  constructor(model: string) {
    this.#model = model;
  }

  add(record: Omit<BatchRecord, "id">): void {
    const numbered = { id: this.#count, ...record };
    this.#ring[this.#count++ % CAPACITY] = numbered;
    if (heard("batch:done")) emit("batch:done", { model: this.#model, record: { ...numbered } });
  }

  /** The last records, oldest first. */
  last(count = CAPACITY): BatchRecord[] {
    const length = Math.min(count, this.#ring.length);
    return Array.from({ length }, (_, i) => this.#ring[(this.#count - length + i) % CAPACITY]!);
  }
}
