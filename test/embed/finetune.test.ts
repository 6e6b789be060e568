/** Embedders trained on pairs, triplets and a teacher's vectors, and saved as folders that open again. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  type Embedder,
  type EmbedTask,
  embedder,
  retrieval,
  staticFrom,
  type TextPair,
  trainableEmbedder,
} from "tenon/embed";
import { saveModel } from "tenon/onnx";
import { type Tensor, tensor } from "tenon/tensor";
import { architectureFromFolder, saveSafetensors } from "tenon/torch";
import { adamw, ndcg, recallAt, reciprocalRank, type TrainableModel } from "tenon/train";
import { module, saveTinyEmbedder } from "../support/tiny-embedder.js";
import { saveTinyStatic } from "../support/tiny-static.js";

/** Which words belong together is arbitrary, so that it must be learnt. */
const PAIRS: TextPair[] = [
  { anchor: "a red", positive: "three f" },
  { anchor: "b green", positive: "two e" },
  { anchor: "c blue", positive: "one d" },
  { anchor: "d one", positive: "blue c things" },
  { anchor: "e two", positive: "green b" },
  { anchor: "f three", positive: "red a ." },
];

async function trained(
  model: TrainableModel,
  task: EmbedTask,
  epochs: number,
  lr: number,
): Promise<number[]> {
  await using step = await model.compile({ loss: task.loss, optimizer: adamw({ lr }), threads: 1 });
  const losses: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++)
    for await (const batch of task.data(epoch)) losses.push((await step.run(batch)).loss);
  return losses;
}

const TASK = {
  queries: PAIRS.map(({ anchor }) => anchor),
  documents: PAIRS.map(({ positive }) => positive),
  relevant: PAIRS.map((_, i) => [i]),
};
const METRICS = { recall: recallAt(1), mrr: reciprocalRank(), ndcg: ndcg(3) };

describe("an embedder that trains", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-embed-train-"));
  const at = (name: string): string => join(root, name);
  const open = (folder: string): Promise<Embedder> => embedder(folder, { cache: false, lanes: 1 });
  before(() => saveTinyEmbedder(at("base")));
  after(() => rmSync(root, { recursive: true }));

  const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

  test("finds positives after contrast, and its folder gives the trained vectors", async () => {
    const student = await trainableEmbedder(at("base"));
    const task = student.contrast(PAIRS, { batch: 6, symmetric: true });
    assert.equal(task.batches, 1);
    await using first = await open(at("base"));
    const before = await retrieval(first, TASK, METRICS);
    const losses = await trained(student.model, task, 60, 0.01);
    assert.ok(losses.at(-1)! < losses[0]! / 2, `${losses[0]} to ${losses.at(-1)}`);
    await student.save(at("tuned"));
    await using second = await open(at("tuned"));
    const after = await retrieval(second, TASK, METRICS);
    assert.ok(before.recall < 0.7 && after.recall > 0.9, `${before.recall} to ${after.recall}`);
    assert.ok(after.mrr > before.mrr && after.ndcg > before.ndcg);
    const inputs = student.batch(TASK.queries, "query");
    await using step = await student.model.compile({ loss: task.loss, optimizer: adamw(), threads: 1 });
    const { outputs } = await step.evaluate(inputs);
    const expected = outputs.sentence_embedding!.data as unknown as Float32Array;
    assert.ok(apart((await second.embed(TASK.queries)).data, expected) < 1e-5);
    // Other files are the same, and a second save to the same place is refused.
    for (const file of ["tokenizer.json", "modules.json", "1_Pooling/config.json", "config.json"])
      assert.deepEqual(readFileSync(join(at("tuned"), file)), readFileSync(join(at("base"), file)));
    await assert.rejects(student.save(at("tuned")), { code: "USAGE", message: /exists already/ });
  });

  test("triplets move anchors from negatives; LoRA is merged where it is saved", async () => {
    const student = await trainableEmbedder(at("base"), {
      lora: { rank: 4, alpha: 8, match: /attention|dense/ },
    });
    const rows = PAIRS.map((row, i) => ({ ...row, negatives: [PAIRS[(i + 1) % PAIRS.length]!.positive] }));
    const losses = await trained(
      student.model,
      student.contrast(rows, { loss: "triplet", batch: 3 }),
      30,
      0.02,
    );
    assert.ok(losses.at(-1)! < losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
    await student.save(at("lora"));
    await using model = await open(at("lora"));
    await using step = await student.model.compile({
      loss: student.contrast(PAIRS).loss,
      optimizer: adamw(),
      threads: 1,
    });
    const { outputs } = await step.evaluate(student.batch(TASK.documents));
    const expected = outputs.sentence_embedding!.data as unknown as Float32Array;
    assert.ok(apart((await model.embed(TASK.documents)).data, expected) < 1e-5);
  });

  test("a folder with a graph, a dense module and an unpooled prompt is saved with both", async () => {
    const folder = at("graph");
    await saveTinyEmbedder(folder, {
      "modules.json": [
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Dense", "Dense"),
      ],
      "1_Pooling/config.json": {
        word_embedding_dimension: 8,
        pooling_mode_mean_tokens: true,
        include_prompt: false,
      },
      "2_Dense/config.json": { in_features: 8, out_features: 3, bias: true },
      "config_sentence_transformers.json": { prompts: { query: "one two " } },
    });
    await saveSafetensors(join(folder, "2_Dense/model.safetensors"), {
      "linear.weight": tensor(
        Array.from({ length: 24 }, (_, i) => Math.sin(i)),
        { dtype: "float32" },
      ).reshape([3, 8]),
      "linear.bias": tensor([0.1, 0.2, 0.3], { dtype: "float32" }),
    });
    await saveModel(await architectureFromFolder(folder), join(folder, "model.onnx"));
    const student = await trainableEmbedder(folder);
    assert.ok(student.model.parameters.includes("dense.0.linear.weight"));
    await trained(student.model, student.contrast(PAIRS, { batch: 3 }), 5, 0.01);
    await student.save(at("graph-tuned"));
    assert.ok(existsSync(join(at("graph-tuned"), "model.onnx")));
    assert.ok(!existsSync(join(at("graph-tuned"), "model.safetensors")));
    await using model = await open(at("graph-tuned"));
    await using step = await student.model.compile({
      loss: student.contrast(PAIRS).loss,
      optimizer: adamw(),
      threads: 1,
    });
    const { outputs } = await step.evaluate(student.batch(["a red", "c"], "query"));
    const expected = outputs.sentence_embedding!.data as unknown as Float32Array;
    assert.ok(apart((await model.embed(["a red", "c"], { promptName: "query" })).data, expected) < 1e-5);
  });

  test("a student of other sizes comes to see the texts as its teacher does; a static one its vectors", async () => {
    await using teacher = await open(at("base"));
    const texts = [...TASK.queries, ...TASK.documents];
    const vectors = await teacher.embed(texts);
    await saveTinyStatic(at("static"), { config: { normalize: true } });
    const small = await trainableEmbedder(at("static"));
    const likeness = small.distil(texts, vectors, { batch: 6 });
    const falling = await trained(small.model, likeness, 40, 2);
    assert.ok(falling.at(-1)! < falling[0]! / 2, `${falling[0]} to ${falling.at(-1)}`);
    assert.throws(() => small.distil(texts, vectors, { loss: "vectors" }), { code: "DIMS_MISMATCH" });

    await staticFrom(teacher, at("own"));
    const own = await trainableEmbedder(at("own"));
    const losses = await trained(own.model, own.distil(texts, vectors, { batch: 12 }), 40, 0.02);
    assert.ok(losses.at(-1)! < losses[0]! / 2, `${losses[0]} to ${losses.at(-1)}`);
    await own.save(at("own-tuned"));
    await using model = await open(at("own-tuned"));
    await using step = await own.model.compile({
      loss: own.contrast(PAIRS).loss,
      optimizer: adamw(),
      threads: 1,
    });
    const { outputs } = await step.evaluate(own.batch(texts));
    const expected = outputs.sentence_embedding!.data as unknown as Float32Array;
    assert.ok(apart((await model.embed(texts)).data, expected) < 1e-5);
    assert.throws(() => small.batch([""]), { code: "USAGE", message: /no token/ });
  });

  test("rows that do not fit are refused, and a batch holds no text twice", async () => {
    const student = await trainableEmbedder(at("base"));
    const uneven = [{ ...PAIRS[0]!, negatives: ["a"] }, PAIRS[1]!];
    assert.throws(() => student.contrast(uneven), /row 1 has another number of negatives/);
    assert.throws(() => student.contrast(PAIRS, { loss: "triplet" }), /one negative/);
    assert.throws(() => student.contrast(PAIRS.slice(0, 1)), /fewer than two/);
    assert.throws(() => student.contrast(PAIRS, { batch: 1 }), { code: "USAGE" });
    const wrong = { ...TASK, relevant: TASK.relevant.map(() => [9]) };
    await using model = await open(at("base"));
    await assert.rejects(retrieval(model, wrong, METRICS), { code: "USAGE", message: /query 0/ });
    const doubled = [...PAIRS, ...PAIRS.map(({ anchor, positive }) => ({ anchor: `${anchor} a`, positive }))];
    let seen = 0;
    for await (const batch of student.contrast(doubled, { batch: 4, seed: 3 }).data(0)) {
      const ids = (batch as Record<string, Tensor>).input_ids!.toArray() as bigint[][];
      assert.equal(new Set(ids.slice(4).map(String)).size, 4);
      seen++;
    }
    assert.equal(seen, 3);
  });
});
