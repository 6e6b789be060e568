/** How far a scoring job is, what it waits for, and what came out. */
import { formatCount, formatDuration } from "../base/index.js";
import type { ScorePlan, ShardProgress, Success } from "../score/index.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

const SHOW_MS = 200;
const WAITS = ["reading", "model", "writing"] as const;

export class ScoreReport {
  readonly #line = progress();
  readonly #total: number;
  readonly #start = performance.now();
  #rows = 0;
  #others = 0;
  #quarantined = 0;
  #shown = 0;
  readonly #waited = { reading: 0, model: 0, writing: 0 };

  constructor(plan: ScorePlan, only: readonly number[] | undefined) {
    const shards = plan.shards.filter(({ i }) => only === undefined || only.includes(i));
    this.#total = shards.reduce(
      (sum, { splits }) => sum + splits.reduce((rows, split) => rows + split.rows, 0),
      0,
    );
  }

  /** Rows that were scored here, or by workers of this process. */
  step({ rows, quarantined, waited }: ShardProgress): void {
    this.#rows += rows;
    this.#quarantined += quarantined;
    for (const what of WAITS) this.#waited[what] += waited[what];
    this.#show();
  }

  /** Rows of a part that was there, or that another machine wrote. */
  found(rows: number): void {
    this.#others += rows;
    this.#show();
  }

  #show(): void {
    const now = performance.now();
    if (now - this.#shown < SHOW_MS) return;
    this.#shown = now;
    const elapsed = now - this.#start;
    const done = this.#rows + this.#others;
    const left = (elapsed / Math.max(1, done)) * Math.max(0, this.#total - done);
    const percent = Math.min(100, Math.floor((100 * done) / Math.max(1, this.#total)));
    this.#line.show(
      `${percent} %  ${formatCount(done)} rows  ${formatCount((1000 * this.#rows) / elapsed)} rows/s  ${formatDuration(left)} left  ${this.#waits()}`,
    );
  }

  /** What the time went to, of all that was waited. */
  #waits(): string {
    const sum = Math.max(
      1e-9,
      WAITS.reduce((total, what) => total + this.#waited[what], 0),
    );
    return WAITS.map((what) => `${what} ${Math.round((100 * this.#waited[what]) / sum)} %`).join(", ");
  }

  end(folder: string, success: Success | undefined, json: boolean): void {
    this.#line.clear();
    const milliseconds = performance.now() - this.#start;
    if (json) {
      printJson({
        schema: "tenon.score/1",
        output: folder,
        rows: this.#rows,
        quarantined: this.#quarantined,
        milliseconds,
        waited: this.#waited,
        done: success !== undefined,
        ...(success === undefined
          ? {}
          : {
              plan: success.plan,
              total: success.rows,
              totalQuarantined: success.quarantined,
              parts: success.parts.length,
            }),
      });
      return;
    }
    print(
      success === undefined
        ? `${formatCount(this.#rows)} rows scored; other shards are missing`
        : `${success.rows} rows in ${success.parts.length} ${success.parts.length === 1 ? "part" : "parts"}, ${success.quarantined} set aside: ${folder}`,
    );
    note(
      styled(
        "dim",
        `${formatDuration(milliseconds)}, ${formatCount((1000 * this.#rows) / milliseconds)} rows/s; waited for ${this.#waits()}`,
        process.stderr,
      ),
    );
  }

  /** Takes the line of progress away, for what is printed next. */
  clear(): void {
    this.#line.clear();
  }
}
