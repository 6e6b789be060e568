/** `tenon score`: a model over a whole table, as resumable shards; the result is committed or not there. */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { formatCount, formatDuration, parseCount, TenonError } from "../base/index.js";
import type { SinkKind, Where } from "../data/index.js";
import type { ScorePlan, Scorer, ShardProgress, Success } from "../score/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson, progress, styled } from "./terminal.js";
import { packageVersion } from "./version.js";

interface ScoreOptions {
  readonly input: readonly string[];
  readonly output?: string;
  readonly map: readonly string[];
  readonly keep: string;
  readonly where?: string;
  readonly format: SinkKind;
  readonly batch: string;
  readonly rowsPerShard: string;
  readonly onError: "quarantine" | "null" | "fail";
  readonly shard?: string;
  readonly limit?: string;
  readonly resume?: boolean;
  readonly planOnly?: boolean;
  readonly emit?: "k8s";
}

const list = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];

export function scoreCommand(): Command {
  const command = new Command("score")
    .description("score every row of a table with a model; resumable, in shards")
    .argument("<model>", "model file")
    .option(
      "--input <files>",
      "Parquet, CSV or JSON lines files, or a pattern with *, ? or **; repeatable",
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
        .choices(["parquet", "csv", "jsonl", "npy"])
        .default("parquet"),
    )
    .option("--batch <rows>", "rows per run: auto or a number", "auto")
    .option("--rows-per-shard <rows>", "most rows of a part", "1M")
    .addOption(
      new Option("--on-error <what>", "a row that cannot be scored: set it aside, give nulls, or end the job")
        .choices(["quarantine", "null", "fail"])
        .default("quarantine"),
    )
    .option("--shard <i/n>", "only the shards i, i+n, …; i from 0")
    .option("--limit <rows>", "about the first rows only, for a trial")
    .option("--resume", "go on with a job that was stopped")
    .option("--plan-only", "write the plan and stop")
    .addOption(
      new Option("--emit <what>", "print a Kubernetes Indexed Job that runs this command in shards").choices([
        "k8s",
      ]),
    );
  addSettings(command, [
    "lanes",
    "isolation",
    "cache",
    "cacheMax",
    "ortLib",
    "runDeadline",
    "modelMemory",
    "log",
  ]);
  return command.action(async (file: string, options: ScoreOptions) => {
    const { values, json } = await resolveSettings(command);
    const folder = options.output;
    if (options.input.length === 0 || folder === undefined)
      throw new TenonError("USAGE", {
        problem: "score needs --input and --output",
        do: "tenon score MODEL --input 'in/*.parquet' --output out/",
      });
    if (options.emit !== undefined) {
      const { indexedJob } = await import("./score-job.js");
      print(indexedJob(process.argv.slice(3), options.shard));
      return;
    }
    const { openEngine } = await import("./engine.js");
    const score = await import("../score/index.js");
    const interrupted = new AbortController();
    const stop = (): void => interrupted.abort();
    process.once("SIGINT", stop);
    process.once("SIGTERM", stop);
    await using engine = await openEngine(values, { isolation: values.isolation });
    try {
      const model = await engine.load(file, { batch: { max: 1 }, calibrate: false });
      const scorer: Scorer = {
        signature: model.signature,
        run: (inputs) => model.run(inputs, { deadlineMs: values.runDeadline }),
      };
      const plan = await score.makePlan({
        scorer,
        modelSha256: await modelHash(file, score.sha256Of),
        modelPath: resolve(file),
        ort: engine.runtimeVersion,
        tool: `tenon ${packageVersion()}`,
        input: options.input,
        map: score.parseMapping(options.map),
        keep: options.keep === "all" || options.keep === "none" ? options.keep : options.keep.split(","),
        where: whereOf(options.where),
        format: options.format,
        batch: options.batch === "auto" ? "auto" : positive("--batch", options.batch),
        rowsPerShard: positive("--rows-per-shard", options.rowsPerShard),
        onError: options.onError,
        limit: options.limit === undefined ? undefined : positive("--limit", options.limit),
      });
      const { created } = await score.writePlan(folder, plan);
      if (options.planOnly === true) {
        if (json)
          printJson({ schema: "tenon.score.plan/1", plan: plan.hash, shards: plan.shards.length, created });
        else print(`plan ${plan.hash.slice(0, 12)}: ${plan.shards.length} shards in ${folder}`);
        return;
      }
      const only = shardsOf(options.shard, plan.shards.length);
      if (!created && only === undefined && options.resume !== true && (await hasParts(folder)))
        throw new TenonError("USAGE", {
          problem: "the folder holds this job already",
          given: folder,
          do: "add --resume to go on with it",
        });
      if (options.resume === true) await score.sweepTemporaries(folder);
      const report = new Report(plan, only);
      const success = await score.runJob(plan, {
        folder,
        scorer,
        inputRoot: plan.info.inputRoot,
        ...(only === undefined ? {} : { shards: only }),
        inFlight: 2 * model.profile.lanes,
        signal: interrupted.signal,
        onProgress: (step) => report.step(step),
      });
      report.end(folder, success, json);
    } catch (error) {
      if (!interrupted.signal.aborted) throw error;
      throw new TenonError("INTERRUPTED", {
        problem: "stopped; the parts that are there stay",
        do: "run the same command with --resume",
        cause: error,
      });
    } finally {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    }
  });
}

function positive(flag: string, text: string): number {
  const value = parseCount(text);
  if (value >= 1) return value;
  throw new TenonError("USAGE", { problem: flag, given: text, expected: "1 or more" });
}

function whereOf(text: string | undefined): Where {
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
function shardsOf(text: string | undefined, total: number): number[] | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [i, n] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || !(n >= 1 && i < n))
    throw new TenonError("USAGE", { problem: "--shard", given: text, expected: "I/N with I from 0 to N-1" });
  return Array.from({ length: total }, (_, shard) => shard).filter((shard) => shard % n === i);
}

async function hasParts(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.startsWith("part-") || name === "_SUCCESS");
}

/** sha256 of the model file; with weights in other files, of its and their hashes. */
async function modelHash(file: string, sha256Of: (path: string) => Promise<string>): Promise<string> {
  const { readModel, weightFiles } = await import("../onnx/index.js");
  const own = await sha256Of(file);
  const weights = weightFiles(await readModel(file));
  if (weights.length === 0) return own;
  const hash = createHash("sha256").update(own);
  for (const path of weights) hash.update(await sha256Of(path));
  return hash.digest("hex");
}

/** How far the job is, what it waits for, and what came out. */
class Report {
  readonly #line = progress();
  readonly #total: number;
  readonly #start = performance.now();
  #rows = 0;
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

  step({ rows, quarantined, waited }: ShardProgress): void {
    this.#rows += rows;
    this.#quarantined += quarantined;
    for (const what of ["reading", "model", "writing"] as const) this.#waited[what] += waited[what];
    const now = performance.now();
    if (now - this.#shown < 200) return;
    this.#shown = now;
    const elapsed = now - this.#start;
    const left = (elapsed / this.#rows) * Math.max(0, this.#total - this.#rows);
    const percent = Math.floor((100 * this.#rows) / Math.max(1, this.#total));
    this.#line.show(
      `${percent} %  ${formatCount(this.#rows)} rows  ${formatCount((1000 * this.#rows) / elapsed)} rows/s  ${formatDuration(left)} left  ${this.#waits()}`,
    );
  }

  #waits(): string {
    const sum = Math.max(1e-9, this.#waited.reading + this.#waited.model + this.#waited.writing);
    return (["reading", "model", "writing"] as const)
      .map((what) => `${what} ${Math.round((100 * this.#waited[what]) / sum)} %`)
      .join(", ");
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
        : `${success.rows} rows in ${success.parts.length} parts, ${success.quarantined} set aside: ${folder}`,
    );
    note(
      styled(
        "dim",
        `${formatDuration(milliseconds)}, ${formatCount((1000 * this.#rows) / milliseconds)} rows/s; waited for ${this.#waits()}`,
        process.stderr,
      ),
    );
  }
}
