/** `tenon score worker`: takes shards of a planned job, from a queue or from the process that started it. */
import { Command } from "commander";
import { TenonError } from "../base/index.js";
import type { ScorePlan, ShardSource } from "../score/index.js";
import { exitCodeOf } from "./exit-codes.js";
import { endWith } from "./failure.js";
import { interruptible } from "./interruption.js";
import { lockOf, queueLock, SCORE_SETTINGS } from "./score-options.js";
import { ScoreReport } from "./score-report.js";
import { addSettings, resolveSettings, type Settings } from "./settings.js";

interface WorkerOptions {
  readonly queue?: string;
  readonly queueLock: string;
  readonly model?: string;
  readonly inputRoot?: string;
}

export function scoreWorkerCommand(): Command {
  const command = new Command("worker")
    .description("score shards of a planned job from a queue, until none is left")
    .argument("<folder>", "output folder of the job, which holds its plan.json")
    .option("--queue <url>", "queue of the shards: redis://… or postgres://…")
    .addOption(queueLock())
    .option("--model <file>", "the model, where it lies elsewhere than when the job was planned")
    .option("--input-root <folder>", "folder or URL of the input files, where it is another one here");
  addSettings(command, SCORE_SETTINGS);
  return command.action(async (folder: string, options: WorkerOptions) => {
    const settings = await resolveSettings(command);
    if (options.queue !== undefined) return work(folder, options, settings);
    if (process.send === undefined)
      throw new TenonError("USAGE", {
        problem: "a worker needs the queue of its job",
        do: "tenon score worker DIR --queue redis://HOST:PORT",
      });
    try {
      await work(folder, options, settings);
    } catch (error) {
      // The parent prints it.
      const score = await import("../score/index.js");
      await score.reportToParent(error);
      if (process.connected === true) process.disconnect();
      throw endWith(exitCodeOf(error));
    }
  });
}

async function work(folder: string, options: WorkerOptions, { values, json }: Settings): Promise<void> {
  const [score, { openEngine }, { loadScoringModel }] = await Promise.all([
    import("../score/index.js"),
    import("./engine.js"),
    import("./score-model.js"),
  ]);
  const plan = await score.readPlan(folder);
  await interruptible("start the worker again", async (signal) => {
    await using source = await sourceOf(plan, options);
    await using engine = await openEngine(values, { isolation: values.isolation });
    const path = options.model ?? plan.info.modelPath;
    const model = await loadScoringModel(engine, path, values.runDeadline, Object.keys(plan.tensors));
    checkModel(plan, model.sha256, engine.runtimeVersion);
    const report = new ScoreReport(plan, undefined);
    const toParent = options.queue === undefined;
    await score.workOn(plan, source, {
      folder,
      inputRoot: options.inputRoot ?? plan.info.inputRoot,
      remote: { privateHosts: values.privateHosts },
      scorer: model.scorer,
      inFlight: 2 * model.lanes,
      signal,
      ...(toParent
        ? {}
        : {
            onProgress: (step) => report.step(step),
            onPart: (part, own) => {
              if (!own) report.found(part.rows);
            },
          }),
    });
    if (toParent) return;
    const success = (await score.readSuccess(plan, folder)) ?? (await score.finishJob(plan, folder));
    report.end(folder, success, json);
  });
}

async function sourceOf(plan: ScorePlan, { queue, queueLock: lock }: WorkerOptions): Promise<ShardSource> {
  const score = await import("../score/index.js");
  return queue === undefined ? score.parentSource() : score.openQueue(queue, plan, { lockMs: lockOf(lock) });
}

/** Throws PLAN_MISMATCH unless model and runtime are those of the plan. */
function checkModel(plan: ScorePlan, sha256: string, ort: string): void {
  const difference =
    sha256 !== plan.model.sha256
      ? { problem: "the model is not the one that the job was planned with", do: "name it with --model FILE" }
      : ort !== plan.ort
        ? {
            problem: "ONNX Runtime has another version than the job was planned with",
            given: ort,
            expected: plan.ort,
          }
        : undefined;
  if (difference !== undefined) throw new TenonError("PLAN_MISMATCH", difference);
}
