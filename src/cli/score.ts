/** `tenon score`: a model over a whole table, as resumable shards; the result is committed or not there. */
import { readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { TenonError } from "../base/index.js";
import type { RemoteOptions } from "../data/index.js";
import type { ScorePlan, Success, WorkOptions } from "../score/index.js";
import { interruptible } from "./interruption.js";
import type { ScoringModel } from "./score-model.js";
import {
  addScoreOptions,
  checkWays,
  keepOf,
  lockOf,
  positive,
  SCORE_SETTINGS,
  type ScoreOptions,
  shardsOf,
  whereOf,
} from "./score-options.js";
import { ScoreReport } from "./score-report.js";
import { scoreWorkerCommand } from "./score-worker.js";
import { addSettings, resolveSettings, type Settings } from "./settings.js";
import { note, print, printJson } from "./terminal.js";
import { packageVersion } from "./version.js";

export function scoreCommand(): Command {
  const command = new Command("score")
    .description("score every row of a table with a model; resumable, in shards")
    .argument("<model>", "model file, or folder of a Hugging Face model")
    .usage("[options] <model>\n       tenon score worker [options] <folder>")
    .helpCommand(false);
  addScoreOptions(command);
  addSettings(command, SCORE_SETTINGS);
  command.addCommand(scoreWorkerCommand());
  return command.action(async (file: string, options: ScoreOptions) => {
    const settings = await resolveSettings(command);
    checkWays(options);
    if (options.emit !== undefined) {
      requireOutput(options);
      const { indexedJob } = await import("./score-job.js");
      print(indexedJob(process.argv.slice(3), options.shard));
    } else if (options.stdin === true || options.stdout === true) {
      const { scoreStream } = await import("./score-stream.js");
      await scoreStream(file, options, settings);
    } else {
      const folder = requireOutput(options);
      await interruptible("run the same command with --resume", (signal) =>
        runJob(file, folder, options, settings, command, signal),
      );
    }
  });
}

function requireOutput({ input, output }: ScoreOptions): string {
  if (input.length > 0 && !input.includes("") && output !== undefined && output !== "") return output;
  throw new TenonError("USAGE", {
    problem: "score needs --input and --output",
    do: "tenon score MODEL --input 'in/*.parquet' --output out/",
  });
}

async function runJob(
  file: string,
  folder: string,
  options: ScoreOptions,
  settings: Settings,
  command: Command,
  signal: AbortSignal,
): Promise<void> {
  const { values, json } = settings;
  const [{ openEngine }, { loadScoringModel }, score] = await Promise.all([
    import("./engine.js"),
    import("./score-model.js"),
    import("../score/index.js"),
  ]);
  const engine = await openEngine(values, { isolation: values.isolation });
  try {
    const mapped = Object.keys(score.parseMapping(options.map));
    const model = await loadScoringModel(engine, file, values.runDeadline, mapped);
    const remote = { privateHosts: values.privateHosts };
    const { expandGlobs } = await import("../data/index.js");
    const input = await expandGlobs(options.input, remote);
    const wanted = await makePlan(file, { ...options, input }, model, engine.runtimeVersion, remote);
    const { created, plan } = await score.writePlan(folder, wanted);
    const only = shardsOf(options.shard, plan.shards.length);
    const joins = only !== undefined || options.queue !== undefined;
    if (options.planOnly === true) {
      if (options.queue !== undefined) await fillQueue(plan, folder, options.queue);
      if (json)
        printJson({ schema: "tenon.score.plan/1", plan: plan.hash, shards: plan.shards.length, created });
      else print(`plan ${plan.hash.slice(0, 12)}: ${plan.shards.length} shards in ${folder}`);
      return;
    }
    if (!created && !joins && options.resume !== true && (await hasParts(folder)))
      throw new TenonError("USAGE", {
        problem: "the folder holds this job already",
        given: folder,
        do: "add --resume to go on with it",
      });
    if (options.resume === true) await score.sweepTemporaries(folder);
    const report = new ScoreReport(plan, only);
    const work: WorkOptions = {
      folder,
      inputRoot: wanted.info.inputRoot,
      inputPaths: input,
      remote,
      scorer: model.scorer,
      inFlight: 2 * model.lanes,
      signal,
      onProgress: (step) => report.step(step),
      onPart: (part, own) => {
        if (!own) report.found(part.rows);
      },
    };
    let success: Success | undefined;
    if (options.workers !== undefined) {
      await engine.close(); // the workers have engines of their own
      success = await onWorkers(plan, file, options, command, work, report);
    } else if (options.queue !== undefined) {
      success = await onQueue(plan, options, work);
    } else {
      success = await score.runJob(plan, {
        ...work,
        ...(only === undefined ? {} : { shards: only }),
        onPart: (part) => {
          if (part.sha256 === undefined) report.found(part.rows);
        },
      });
    }
    report.end(folder, success, json);
  } finally {
    await engine.close();
  }
}

async function makePlan(
  file: string,
  options: ScoreOptions,
  model: ScoringModel,
  runtimeVersion: string,
  remote: RemoteOptions,
): Promise<ScorePlan> {
  const score = await import("../score/index.js");
  return score.makePlan({
    scorer: model.scorer,
    modelSha256: model.sha256,
    modelPath: resolve(file),
    ort: runtimeVersion,
    tool: `tenon ${packageVersion()}`,
    input: options.input,
    remote,
    map: score.parseMapping(options.map),
    keep: keepOf(options.keep),
    where: whereOf(options.where),
    format: options.format,
    batch: options.batch === "auto" ? "auto" : positive("--batch", options.batch),
    rowsPerShard: positive("--rows-per-shard", options.rowsPerShard),
    onError: options.onError,
    verify: options.verify,
    limit: options.limit === undefined ? undefined : positive("--limit", options.limit),
  });
}

async function onWorkers(
  plan: ScorePlan,
  file: string,
  options: ScoreOptions,
  command: Command,
  work: WorkOptions,
  report: ScoreReport,
): Promise<Success | undefined> {
  const [score, { startWorker }] = await Promise.all([
    import("../score/index.js"),
    import("./start-worker.js"),
  ]);
  const workers = positive("--workers", options.workers!);
  const known = new Map<string, string>();
  await score.runWorkers(plan, {
    folder: work.folder,
    workers,
    start: startWorker(command, work.folder, file, work.inputRoot, workers),
    signal: work.signal,
    onProgress: (step) => report.step(step),
    onPart: ({ name, rows, sha256 }) => {
      if (sha256 === undefined) report.found(rows);
      else known.set(name, sha256);
    },
  });
  return score.finishJob(plan, work.folder, known);
}

/** This process takes shards as every worker does, until none is left anywhere. */
async function onQueue(
  plan: ScorePlan,
  options: ScoreOptions,
  work: WorkOptions,
): Promise<Success | undefined> {
  const score = await import("../score/index.js");
  const url = options.queue!;
  await using queue = await score.openQueue(url, plan, { lockMs: lockOf(options.queueLock) });
  await queue.add(await score.missingShards(plan, work.folder));
  note("more workers may join: tenon score worker DIR --queue URL");
  await score.workOn(plan, queue, work);
  return (await score.readSuccess(plan, work.folder)) ?? score.finishJob(plan, work.folder);
}

async function fillQueue(plan: ScorePlan, folder: string, url: string): Promise<void> {
  const score = await import("../score/index.js");
  await using queue = await score.openQueue(url, plan);
  await queue.add(await score.missingShards(plan, folder));
}

async function hasParts(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.startsWith("part-") || name === "_SUCCESS");
}
