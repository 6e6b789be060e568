/** The options of `tenon score`, and what their texts mean. */
import { type Command, Option } from "commander";
import { type KnobName, parseCount, parseDuration, TenonError } from "../base/index.js";
import type { SinkKind, Where } from "../data/index.js";
import type { OnError } from "../score/index.js";

export interface ScoreOptions {
  readonly input: readonly string[];
  readonly output?: string;
  readonly map: readonly string[];
  readonly keep: string;
  readonly where?: string;
  readonly format: SinkKind;
  readonly batch: string;
  readonly rowsPerShard: string;
  readonly onError: OnError;
  readonly shard?: string;
  readonly workers?: string;
  readonly queue?: string;
  readonly queueLock: string;
  readonly limit?: string;
  readonly resume?: boolean;
  readonly planOnly?: boolean;
  readonly emit?: "k8s";
  readonly verify: "headers" | "full";
  readonly stdin?: boolean;
  readonly stdout?: boolean;
}

/** Settings of a process that scores. */
export const SCORE_SETTINGS = [
  "lanes",
  "isolation",
  "cache",
  "cacheMax",
  "ortLib",
  "runDeadline",
  "modelMemory",
  "privateHosts",
  "log",
] as const satisfies readonly KnobName[];

const list = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];

export function addScoreOptions(command: Command): Command {
  return command
    .option(
      "--input <files>",
      "Parquet, CSV, JSON lines or Arrow files, or a pattern with *, ? or **; http, https or s3 URLs; repeatable",
      list,
      [],
    )
    .option("--output <folder>", "folder of the result; made where there is none")
    .option("--map <input=columns>", "columns of a model input: x=f0..f15 or x=a,b,c; repeatable", list, [])
    .option(
      "--keep <columns>",
      "columns in front of the outputs: all (that no input uses), none, or names",
      "all",
    )
    .option("--where <json>", `only rows that fulfil this, such as '{"f0":{"gt":0.5}}'`)
    .addOption(
      new Option("--format <kind>", "format of the parts")
        .choices(["parquet", "csv", "jsonl", "arrow", "npy"])
        .default("parquet"),
    )
    .option("--batch <rows>", "rows per run: auto or a number", "auto")
    .option("--rows-per-shard <rows>", "most rows of a part", "1M")
    .addOption(
      new Option("--on-error <what>", "a row that cannot be scored: set it aside, give nulls, or end the job")
        .choices(["quarantine", "null", "fail"])
        .default("quarantine"),
    )
    .option("--workers <n>", "worker processes of this machine; one that dies is replaced")
    .option("--shard <i/n>", "only the shards i, i+n, …; i from 0")
    .option("--queue <url>", "share the shards with tenon score worker: redis://… or postgres://…")
    .addOption(queueLock())
    .option("--limit <rows>", "about the first rows only, for a trial")
    .option("--resume", "go on with a job that was stopped")
    .option("--plan-only", "write the plan, fill the queue where there is one, and stop")
    .addOption(
      new Option("--emit <what>", "print a Kubernetes Indexed Job that runs this command in shards").choices([
        "k8s",
      ]),
    )
    .addOption(
      new Option("--verify <what>", "what of the input files is checked: size and footer, or every byte")
        .choices(["headers", "full"])
        .default("headers"),
    )
    .option("--stdin", "rows from stdin, a JSON object on each line")
    .option("--stdout", "rows to stdout, in their order");
}

export function queueLock(): Option {
  return new Option(
    "--queue-lock <duration>",
    "how long a worker of the queue may be silent until its shard is given to another",
  ).default("60s");
}

/** Options that say what one process of a job does. At most one may be given. */
const WAYS = ["workers", "shard", "queue"] as const;

export function checkWays(options: ScoreOptions): void {
  const given = WAYS.filter((way) => options[way] !== undefined);
  if (given.length > 1)
    throw new TenonError("USAGE", {
      problem: "a job is shared in one way at a time",
      given: given.map((way) => `--${way}`).join(" and "),
    });
  const shared = given.find((way) => way !== "shard") ?? (options.emit === undefined ? undefined : "emit");
  const signed = options.input.find((path) => /^https?:.*\?/is.test(path));
  if (shared !== undefined && signed !== undefined)
    throw new TenonError("USAGE", {
      problem: `URLs with a query are not handed on, since it may be a key; --${shared} needs others`,
      given: signed.replace(/\?.*/s, ""),
      do: "give s3:// URLs, whose keys come from the environment, or score in one process",
    });
  shardsOf(options.emit === undefined ? options.shard : undefined, 0); // refused before a plan is made
}

export function positive(flag: string, text: string): number {
  try {
    const value = parseCount(text);
    if (value >= 1) return value;
  } catch {
    // the error below names the option
  }
  throw new TenonError("USAGE", {
    problem: flag,
    given: text,
    expected: "a whole number of 1 or more, such as 512 or 4k",
  });
}

export function lockOf(text: string): number {
  const value = parseDuration(text);
  if (value >= 1000) return value;
  throw new TenonError("USAGE", { problem: "--queue-lock", given: text, expected: "1s or more" });
}

export function keepOf(text: string): "all" | "none" | readonly string[] {
  return text === "all" || text === "none" ? text : text.split(",");
}

export function whereOf(text: string | undefined): Where {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Where; // checked against the schema
  } catch {
    // the error below says it
  }
  throw new TenonError("USAGE", {
    problem: "--where is no JSON object",
    given: text.slice(0, 200),
    expected: `conditions by column, such as '{"f0":{"gt":0.5}}'`,
  });
}

/** `1/4` → shards 1, 5, 9, … */
export function shardsOf(text: string | undefined, total: number): number[] | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [i, n] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !(n >= 1 && i < n))
    throw new TenonError("USAGE", { problem: "--shard", given: text, expected: "I/N with I from 0 to N-1" });
  return Array.from({ length: total }, (_, shard) => shard).filter((shard) => shard % n === i);
}
