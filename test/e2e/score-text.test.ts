/** `tenon score` with models of texts: vectors, labels and pairs of a table's text columns. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { columnValue, parquet, sink } from "tenon/data";
import { classifier, embedder, reranker } from "tenon/embed";
import { collect, runCli, startCli } from "../support/cli.js";
import { saveTinyCrossEncoder, saveTinyEmbedder } from "../support/tiny-embedder.js";

const TEXTS = ["a red one", null, "", "two green things", "b", "one two three"];
const QUERY = ["red", "red", "green", "green", "a b c", "two"];

describe("tenon score with models of texts", () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-score-text-"));
    await saveTinyEmbedder(at("embedder"));
    await saveTinyCrossEncoder(at("classifier"), ["no", "yes", "perhaps"]);
    await saveTinyCrossEncoder(at("reranker"));
    await using out = sink.parquet(at("in.parquet"));
    await out.write({ id: Int32Array.from(TEXTS, (_, i) => i), body: TEXTS, query: QUERY });
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  async function score(model: string, output: string, ...args: readonly string[]) {
    const job = [
      "score",
      at(model),
      "--input",
      at("in.parquet"),
      "--output",
      at(output),
      "--isolation",
      "inline",
    ];
    const ended = await runCli([...job, "--cache", "off", ...args]);
    assert.equal(ended.code, 0, ended.stderr);
    const rows: Record<string, unknown>[] = [];
    for await (const { data, rows: count } of parquet(at(`${output}/part-*.parquet`)))
      for (let i = 0; i < count; i++)
        rows.push(
          Object.fromEntries(Object.entries(data).map(([name, column]) => [name, columnValue(column, i)])),
        );
    return rows;
  }

  const good = TEXTS.map((_, i) => i).filter((i) => TEXTS[i] !== null);

  it("writes the embedder's vectors, and sets rows without a text aside", async () => {
    await using model = await embedder(at("embedder"), { cache: false, lanes: 1 });
    const matrix = await model.embed(good.map((i) => TEXTS[i]!));
    const rows = await score("embedder", "vectors", "--map", "text=body", "--keep", "id");
    assert.deepEqual(
      rows.map(({ id }) => id),
      good,
    );
    rows.forEach(({ embedding }, row) => {
      const [found, expected] = [embedding as number[], [...(matrix.row(row) as Float32Array)]];
      assert.equal(found.length, 8);
      found.forEach((value, j) => {
        assert.ok(Math.abs(value - expected[j]!) < 1e-6);
      });
    });
    const bad = JSON.parse(readFileSync(at("vectors/errors-00000.jsonl"), "utf8")) as Record<string, unknown>;
    assert.deepEqual([bad.row, bad.code], [1, "TENSOR_VALUE"]);
    const whole = await score("embedder", "batches", "--map", "text=body", "--keep", "id", "--batch", "2");
    assert.deepEqual(whole, rows);
  });

  it("writes the scores of labels and the likeliest by name", async () => {
    await using model = await classifier(at("classifier"), { cache: false, lanes: 1 });
    const expected = await model.classify(good.map((i) => TEXTS[i]!));
    const rows = await score("classifier", "labels", "--map", "text=body", "--keep", "id");
    rows.forEach(({ scores, scores_label: label }, row) => {
      assert.equal(label, expected[row]![0]!.label);
      for (const [j, name] of model.labels.entries()) {
        const { score: wanted } = expected[row]!.find((each) => each.label === name)!;
        assert.ok(Math.abs((scores as number[])[j]! - wanted) < 1e-6);
      }
    });
  });

  it("writes how well texts answer queries", async () => {
    await using model = await reranker(at("reranker"), { cache: false, lanes: 1 });
    const rows = await score("reranker", "pairs", "--map", "text=body", "--keep", "id");
    for (const [row, i] of good.entries()) {
      const [hit] = await model.rank(QUERY[i]!, [TEXTS[i]!]);
      assert.ok(Math.abs((rows[row]!.score as number) - hit!.score) < 1e-6);
    }
  });

  it("knows a changed tokenizer from the one of the plan, and takes lines from stdin", async () => {
    await saveTinyEmbedder(at("other"));
    await score("other", "other-out", "--map", "text=body");
    const path = at("other/sentence_bert_config.json");
    writeFileSync(path, JSON.stringify({ max_seq_length: 4, do_lower_case: false }));
    const args = [
      "score",
      at("other"),
      "--input",
      at("in.parquet"),
      "--output",
      at("other-out"),
      "--map",
      "text=body",
    ];
    const again = await runCli([...args, "--resume", "--isolation", "inline", "--cache", "off"]);
    assert.equal(again.code, 3, again.stderr);
    const child = startCli([
      "score",
      at("embedder"),
      "--stdin",
      "--stdout",
      "--isolation",
      "inline",
      "--cache",
      "off",
    ]);
    const stdout = collect(child.stdout);
    child.stdin.end('{"id":1,"text":"a red one"}\n');
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.equal((JSON.parse(stdout()) as { embedding: number[] }).embedding.length, 8);
  });

  it("maps the model's own inputs where they are named", async () => {
    const args = [
      "score",
      at("embedder"),
      "--input",
      at("in.parquet"),
      "--output",
      at("own"),
      "--map",
      "input_ids=body",
    ];
    const { code, stderr } = await runCli([...args, "--isolation", "inline", "--cache", "off"]);
    assert.equal(code, 3); // the texts are no ids
    assert.match(stderr, /attention_mask|input_ids/);
  });
});
