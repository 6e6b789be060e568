/** `tenon sweep`: trials of a search space, as shards that can be stopped, spread over processes, and gone on with. */
import { type ChildProcess, fork } from "node:child_process";
import { readdir } from "node:fs/promises";
import { Command } from "commander";
import { parseCount, TenonError } from "../base/index.js";
import type { FinishedPart } from "../score/index.js";
import { exitCodeOf } from "./exit-codes.js";
import { endWith } from "./failure.js";
import { interruptible } from "./interruption.js";
import { addSettings, resolveSettings } from "./settings.js";
import type { LoadedSweep, SweepRow } from "./sweep-job.js";
import { note, print, printJson } from "./terminal.js";

interface SweepOptions {
  readonly output?: string;
  readonly trials: string;
  readonly seed: string;
  readonly workers?: string;
  readonly resume?: true;
  readonly best: string;
}

const MOST_TRIALS = 100_000;

export function sweepCommand(): Command {
  const command = new Command("sweep")
    .description("run trials of a search space; resumable, one shard each")
    .argument("<module>", "JavaScript module that exports `sweep`, made by defineSweep of tenon/train")
    .option("--output <folder>", "results, one Parquet part a trial")
    .option("--trials <n>", "how many", "20")
    .option("--seed <n>", "decides the parameters of every trial", "0")
    .option("--workers <n>", "trials at the same time, each in a process of its own")
    .option("--resume", "go on with the sweep in the folder")
    .option("--best <n>", "trials that are printed at the end", "5")
    .usage("[options] <module>")
    .helpCommand(false);
  addSettings(command, ["log"]);
  command.addCommand(sweepWorkerCommand());
  return command.action(async (file: string, options: SweepOptions) => {
    const { json } = await resolveSettings(command);
    const { output: folder } = options;
    if (folder === undefined)
      throw new TenonError("USAGE", {
        problem: "sweep needs --output",
        do: "tenon sweep sweep.js --output runs/",
      });
    const trials = whole("--trials", options.trials, 1, MOST_TRIALS);
    const seed = whole("--seed", options.seed, 0, 2 ** 32 - 1);
    const best = whole("--best", options.best, 1, MOST_TRIALS);
    const workers = options.workers === undefined ? undefined : whole("--workers", options.workers, 1, 1024);
    await interruptible("run the same command with --resume", async (signal) => {
      const [score, job] = await Promise.all([import("../score/index.js"), import("./sweep-job.js")]);
      const loaded = await job.loadSweep(file, seed);
      const { created, plan } = await score.writePlan(folder, await job.planSweep(loaded, folder, trials));
      if (!created && options.resume !== true && (await hasParts(folder)))
        throw new TenonError("USAGE", {
          problem: "the folder holds this sweep already",
          given: folder,
          do: "add --resume to go on with it",
        });
      if (options.resume === true) await score.sweepTemporaries(folder);
      const onPart = ({ shard, quarantined }: FinishedPart): void =>
        note(`trial ${shard}: ${quarantined > 0 ? "failed" : "done"}`);
      if (workers === undefined) {
        await score.runJob(plan, {
          folder,
          inputRoot: plan.info.inputRoot,
          scorer: job.trialScorer(loaded, signal),
          inFlight: 1,
          signal,
          onPart,
        });
      } else {
        await score.runWorkers(plan, { folder, workers, start: starter(folder, loaded), signal, onPart });
        await score.finishJob(plan, folder);
      }
      report(await job.readResults(folder, loaded.sweep), loaded, { folder, best, json });
    });
  });
}

/** Started by `tenon sweep --workers`; takes trials from the process that started it. */
function sweepWorkerCommand(): Command {
  return new Command("worker")
    .description("run trials for the process that started this one")
    .argument("<folder>")
    .argument("<seed>")
    .action(async (folder: string, seed: string) => {
      const score = await import("../score/index.js");
      if (process.send === undefined)
        throw new TenonError("USAGE", { problem: "a worker is started by tenon sweep --workers" });
      try {
        const job = await import("./sweep-job.js");
        const plan = await score.readPlan(folder);
        await interruptible("start the worker again", async (signal) => {
          await using source = score.parentSource();
          const loaded = await job.loadSweep(plan.info.modelPath, Number(seed));
          if (loaded.sha256 !== plan.model.sha256)
            throw new TenonError("PLAN_MISMATCH", {
              problem: "the module, or one that it imports, was changed while the sweep ran",
            });
          const scorer = job.trialScorer(loaded, signal);
          await score.workOn(plan, source, {
            folder,
            inputRoot: plan.info.inputRoot,
            scorer,
            inFlight: 1,
            signal,
          });
        });
      } catch (error) {
        // The parent prints it.
        await score.reportToParent(error);
        if (process.connected === true) process.disconnect();
        throw endWith(exitCodeOf(error));
      }
    });
}

function starter(folder: string, { seed }: LoadedSweep): () => ChildProcess {
  return () =>
    fork(process.argv[1]!, ["sweep", "worker", folder, String(seed)], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: process.execArgv,
    });
}

function report(
  rows: readonly SweepRow[],
  { sweep }: LoadedSweep,
  { folder, best, json }: { readonly folder: string; readonly best: number; readonly json: boolean },
): void {
  const metrics = Object.keys(sweep.metrics);
  const failed = rows.filter((row) => row[metrics[0]!] === undefined).length;
  const shown = rows.slice(0, best);
  if (json) {
    printJson({ schema: "tenon.sweep/1", output: folder, trials: rows.length, failed, best: shown });
    return;
  }
  print(`${rows.length} trials, ${failed} failed: ${folder}`);
  const told = (row: SweepRow, names: readonly string[]): string =>
    names.map((name) => `${name} ${text(row[name])}`).join("  ");
  for (const row of shown)
    print(`trial ${row.trial}: ${told(row, metrics)}  (${told(row, Object.keys(sweep.space))})`);
}

function text(value: number | string | undefined): string {
  if (value === undefined) return "failed";
  return typeof value === "number" ? String(Number(value.toPrecision(4))) : value;
}

function whole(name: string, given: string, least: number, most: number): number {
  const value = parseCount(given);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TenonError("USAGE", { problem: name, given, expected: `a whole number, ${least} to ${most}` });
}

async function hasParts(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.startsWith("part-") || name === "_SUCCESS");
}
