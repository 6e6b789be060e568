/** metrics.jsonl: a line per step, epoch and evaluation in the run's folder. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { replaceFile } from "../../base/index.js";
import type { FitEvent } from "./events.js";

const LINES = 100;
const FILE = "metrics.jsonl";
/** What depends on the clock stays out, so that two runs of one seed write the same file. */
const OF_THE_MOMENT: ReadonlySet<string> = new Set(["rate", "seconds", "totalSteps"]);

export class MetricsLog {
  readonly #path: string;
  #lines: string[] = [];
  /** Lines so far, those that are not flushed yet too. */
  written: number;

  private constructor(path: string, written: number) {
    this.#path = path;
    this.written = written;
  }

  /** Opens a run's log with the first `lines` lines that are there: those of the checkpoint that is continued. */
  static async open(dir: string, lines: number): Promise<MetricsLog> {
    await mkdir(dir, { recursive: true });
    const path = join(dir, FILE);
    const before = lines === 0 ? "" : await readFile(path, "utf8").catch(() => "");
    const kept = before.split("\n").slice(0, Math.min(lines, before.split("\n").length - 1));
    await replaceFile(path, [Buffer.from(kept.map((line) => `${line}\n`).join(""))]);
    return new MetricsLog(path, kept.length);
  }

  async add(event: FitEvent): Promise<void> {
    if (event.type === "checkpoint" || event.type === "end") return;
    const lasting = Object.entries(event).filter(([name]) => !OF_THE_MOMENT.has(name));
    this.#lines.push(JSON.stringify(Object.fromEntries(lasting)));
    this.written++;
    if (this.#lines.length >= LINES) await this.flush();
  }

  async flush(): Promise<void> {
    const lines = this.#lines.splice(0);
    if (lines.length > 0) await appendFile(this.#path, `${lines.join("\n")}\n`);
  }
}
