/** fit: the same bits twice and over every resume, early stopping, what is kept, what is refused. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pack, rows } from "../../data/index.js";
import { tensor } from "../../tensor/index.js";
import { dense, dropout } from "../layers/dense.js";
import { batchNorm } from "../layers/norm.js";
import { crossEntropy, mse } from "../losses.js";
import { define, float32, int64, sequential } from "../model/definition.js";
import { relu } from "../model/ops.js";
import type { TrainableModel } from "../model/trainable.js";
import { adamw, sgd } from "../optimizers/rows.js";
import { fillUniform } from "../random.js";
import { cosine } from "../schedules.js";
import type { CompileOptions } from "../step/options.js";
import type { TrainStep } from "../step/step.js";
import type { FitEvent } from "./events.js";
import { fit } from "./fit.js";
import { accuracy, auroc, f1, mae, perplexity, r2, rmse, topK } from "./metrics.js";
import type { FitOptions } from "./options.js";
import { reporter } from "./report.js";
import type { TrainData } from "./source.js";

const ROWS = 50;
const x = new Float32Array(ROWS * 4);
fillUniform(x, 9, -1, 1);
const y = BigInt64Array.from({ length: ROWS }, (_, i) =>
  BigInt(x[i * 4]! > 0 ? 1 : x[i * 4 + 1]! > 0 ? 2 : 0),
);
const DATA = { x: tensor(x).reshape([ROWS, 4]), y };

function network(seed = 1): TrainableModel {
  return define(
    { x: float32(["batch", 4]), y: int64(["batch"]) },
    (_, { x: value }) => dense(dropout(relu(batchNorm(dense(value, 16))), 0.1), 3),
    { seed },
  );
}
const OPTIONS: CompileOptions = {
  loss: (_, out, batch) => crossEntropy(out.output!, batch.y!),
  optimizer: adamw({ lr: 0.02 }),
  accumulate: 2,
  average: 0.9,
  seed: 4,
  threads: 1,
};

async function events(
  step: TrainStep,
  data: TrainData,
  options: FitOptions,
  until?: (event: FitEvent) => boolean,
): Promise<FitEvent[]> {
  const all: FitEvent[] = [];
  for await (const event of fit(step, data, { interrupt: false, ...options })) {
    all.push(event);
    if (until?.(event) === true) break;
  }
  return all;
}

describe("fit", () => {
  let root = "";
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "tenon-fit-"));
  });
  after(() => rm(root, { recursive: true, force: true }));

  const bytesOf = async (folder: string, file: string): Promise<string> =>
    (await readFile(join(folder, file))).toString("base64");

  async function same(one: string, other: string): Promise<void> {
    const newest = (await readdir(one))
      .filter((name) => name.startsWith("step-"))
      .sort()
      .at(-1)!;
    for (const file of ["params.safetensors", "optimizer.safetensors", "state.json"])
      assert.equal(await bytesOf(join(one, newest), file), await bytesOf(join(other, newest), file), file);
    assert.equal(await bytesOf(one, "metrics.jsonl"), await bytesOf(other, "metrics.jsonl"));
  }

  const FIT: FitOptions = {
    epochs: 4,
    batch: 8,
    schedule: cosine({ warmup: 2 }),
    evaluate: { data: DATA, metrics: { accuracy } },
    watch: "accuracy",
  };

  test("learns, tells of it, and writes the same files twice", async () => {
    for (const dir of ["twice-a", "twice-b"]) {
      await using step = await network().compile(OPTIONS);
      const all = await events(step, DATA, {
        ...FIT,
        epochs: 12,
        checkpoint: { dir: join(root, dir), keep: 2 },
      });
      const evaluations = all.filter((event) => event.type === "evaluation");
      assert.ok(evaluations.at(-1)!.metrics.accuracy! > 0.85, JSON.stringify(evaluations.at(-1)));
      assert.ok(evaluations.at(-1)!.metrics.loss! < evaluations[0]!.metrics.loss!);
      assert.equal(all.at(-1)!.type, "end");
      assert.equal(all.filter((event) => event.type === "step").length, 12 * 7);
      const kept = (await readdir(join(root, dir))).filter((name) => name.startsWith("step-"));
      assert.ok(kept.length <= 3, kept.join());
      const end = all.at(-1)!;
      assert.ok(end.type === "end" && kept.includes(`step-${String(end.best!.step).padStart(6, "0")}`));
    }
    await same(join(root, "twice-a"), join(root, "twice-b"));
  });

  test("goes on with the same bits from a checkpoint inside an epoch, whatever was written after it", async () => {
    const straight = join(root, "straight");
    {
      await using step = await network().compile(OPTIONS);
      await events(step, DATA, { ...FIT, checkpoint: { dir: straight, every: 3 } });
    }
    for (const stop of [1, 4, 5, 9]) {
      const dir = join(root, `resumed-${stop}`);
      {
        await using step = await network().compile(OPTIONS);
        // Left like a process that dies: nothing is written at the end.
        await events(
          step,
          DATA,
          { ...FIT, checkpoint: { dir, every: 3 } },
          (event) => event.type === "step" && event.step >= stop,
        );
      }
      await using step = await network(99).compile(OPTIONS);
      if (stop === 1) {
        await assert.rejects(readFile(join(dir, "step-000003", "state.json")));
        // No checkpoint yet: the run starts anew, with the weights that it is given.
        continue;
      }
      await events(step, DATA, { ...FIT, checkpoint: { dir, every: 3 }, resume: true });
      await same(straight, dir);
    }
  });

  test("stops after the step under way when it is aborted, saves, and goes on with the same bits", async () => {
    const [straight, dir] = [join(root, "unbroken"), join(root, "aborted")];
    {
      await using step = await network().compile(OPTIONS);
      await events(step, DATA, { ...FIT, checkpoint: { dir: straight } });
    }
    const abort = new AbortController();
    {
      await using step = await network().compile(OPTIONS);
      const all: FitEvent[] = [];
      for await (const event of fit(step, DATA, { ...FIT, checkpoint: { dir }, signal: abort.signal })) {
        all.push(event);
        // An odd batch: gradients are accumulated half-way.
        if (all.filter(({ type }) => type === "step").length === 3) abort.abort();
      }
      const end = all.at(-1)!;
      assert.ok(end.type === "end" && end.reason === "stopped");
    }
    await using step = await network(5).compile(OPTIONS);
    await events(step, DATA, { ...FIT, checkpoint: { dir }, resume: true });
    await same(straight, dir);
  });

  test("reads datasets, and goes on where their cursor was", async () => {
    const parts = [0, 1, 2].map((part) => ({
      a: Float32Array.from({ length: 10 }, (_, i) => part * 10 + i),
    }));
    const data = rows(parts.map(({ a }) => ({ a, b: a.map((value) => 2 * value) })))
      .tensors({ x: pack(["a"]), y: pack(["b"]) })
      .batch(7);
    const make = (): Promise<TrainStep> =>
      sequential(float32(["n", 1]), [(value) => dense(value, 1)]).compile({
        loss: (_, out, batch) => mse(out.output!, batch.y!),
        optimizer: sgd({ lr: 1e-4 }),
        threads: 1,
      });
    const [straight, dir] = [join(root, "rows-a"), join(root, "rows-b")];
    await using one = await make();
    const all = await events(one, data, { epochs: 2, checkpoint: { dir: straight, every: 2 } });
    assert.equal(all.filter(({ type }) => type === "step").length, 10);
    {
      await using half = await make();
      await events(
        half,
        data,
        { epochs: 2, checkpoint: { dir, every: 2 } },
        (event) => event.type === "step" && event.step === 7,
      );
    }
    await using rest = await make();
    await events(rest, data, { epochs: 2, checkpoint: { dir, every: 2 }, resume: true });
    await same(straight, dir);
  });

  test("tells what to give in place of a list of batches", async () => {
    const model = define({ x: float32(["batch", 2]) }, (_, { x }) => dense(x, 1));
    const step = await model.compile({ loss: (_, out) => mse(out.output!, out.output!), optimizer: sgd() });
    // A list of batches is no TrainData.
    const data = [{ x: new Float32Array(2) }] as unknown as TrainData;
    await assert.rejects(fit(step, data, {})[Symbol.asyncIterator]().next(), /give \(\) => batches/);
    await step.dispose();
  });

  test("stops early when the watched metric no longer falls", async () => {
    await using step = await network().compile({ ...OPTIONS, accumulate: 1, optimizer: sgd({ lr: 0 }) });
    const all = await events(step, DATA, {
      epochs: 50,
      batch: 25,
      evaluate: { data: DATA },
      earlyStop: { patience: 3 },
    });
    const end = all.at(-1)!;
    assert.ok(end.type === "end" && end.reason === "early-stop");
    // Running statistics still move the loss for a while.
    assert.ok(end.epoch < 50);
  });

  test("refuses a folder in use, another model, options that contradict, and damaged checkpoints", async () => {
    const dir = join(root, "refused");
    await using step = await network().compile(OPTIONS);
    const checkpoint = { dir };
    await events(step, DATA, { ...FIT, epochs: 1, checkpoint });
    await assert.rejects(events(step, DATA, { ...FIT, epochs: 1, checkpoint }), {
      code: "USAGE",
      message: /resume/,
    });
    const again = { ...FIT, epochs: 1, checkpoint, resume: true };
    await assert.rejects(events(step, DATA, { ...again, batch: 9 }), {
      code: "PLAN_MISMATCH",
      message: /data/,
    });
    await assert.rejects(events(step, DATA, { ...again, epochs: 2 }), {
      code: "PLAN_MISMATCH",
      message: /config/,
    });
    await events(step, DATA, { ...again, epochs: 2, allowMismatch: ["config"] });
    await using other = await network().compile({ ...OPTIONS, optimizer: sgd() });
    await assert.rejects(events(other, DATA, { ...again, allowMismatch: ["config"] }), {
      code: "FILE_INVALID",
    });
    const [folder] = (await readdir(dir)).filter((name) => name.startsWith("step-"));
    const damaged = join(root, "damaged");
    await cp(join(dir, folder!), damaged, { recursive: true });
    await writeFile(join(damaged, "params.safetensors"), "{");
    const broken = { ...again, resume: damaged, allowMismatch: ["config"] as const };
    await assert.rejects(events(step, DATA, broken), { code: "FILE_INVALID" });
    await writeFile(join(damaged, "state.json"), "{}");
    await assert.rejects(events(step, DATA, broken), { code: "FILE_INVALID" });
    for (const wrong of [{ epochs: 0 }, { batch: 1.5 }, { resume: true }, { earlyStop: { patience: 1 } }])
      await assert.rejects(events(step, DATA, wrong), { code: "USAGE" });
    await assert.rejects(events(step, { x: DATA.x, y: y.slice(1) }, {}), {
      code: "USAGE",
      message: /same rows/,
    });
  });

  test("reports on a terminal in one line, elsewhere without steps", async () => {
    for (const isTTY of [true, false]) {
      let text = "";
      const report = reporter({
        stream: { isTTY, columns: 200, write: (part: string) => (text += part) },
        every: 0,
      });
      await using step = await network().compile(OPTIONS);
      for (const event of await events(step, DATA, { ...FIT, epochs: 1 })) report(event);
      assert.equal(/step 2\/3 {2}loss 1?[.0-9]+ [▁▂▃▄▅▆▇█]+ .*rows\/s/.test(text), isTTY, text);
      assert.match(text, /epoch 1: step 3, loss/);
      assert.match(text, /accuracy 0\.\d+/);
    }
  });
});

describe("metrics", () => {
  const of = (metric: typeof accuracy, prediction: number[][] | number[], target: number[]): number => {
    const sums = metric();
    sums.add(tensor(prediction), tensor(target));
    return sums.value();
  };

  test("agree with values worked out by hand", () => {
    const scores = [
      [2, 1, 0],
      [0, 3, 1],
      [1, 0, 4],
      [0.5, 0.2, 0.1],
    ];
    assert.equal(of(accuracy, scores, [0, 1, 1, 2]), 0.5);
    assert.equal(of(topK(2), scores, [0, 1, 1, 2]), 0.5);
    assert.equal(of(topK(3), scores, [0, 1, 1, 2]), 1);
    // Class 1: right 1, chosen 2, labelled 2.
    assert.equal(of(f1, [[-1], [2], [3], [-2]], [1, 1, 0, 0]), 0.5);
    assert.equal(of(auroc, [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 0.75);
    assert.equal(of(auroc, [0.5, 0.5], [0, 1]), 0.5);
    assert.ok(Math.abs(of(perplexity, [[0, 0, 0, 0]], [2]) - 4) < 1e-12);
    assert.equal(of(mae, [1, 2, 3], [1, 1, 1]), 1);
    assert.equal(of(rmse, [1, 4], [1, 1]), Math.sqrt(4.5));
    assert.equal(of(r2, [1, 2, 3], [1, 2, 3]), 1);
    assert.ok(Number.isNaN(accuracy().value()));
    assert.throws(() => of(mae, [1, 2], [1]), { code: "TENSOR_SHAPE" });
  });
});
