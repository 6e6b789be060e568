/** Static models: means of words' vectors, lengths, refusals; the same over HTTP and as a graph. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { embedder } from "tenon/embed";
import { firstLine, runCli, startCli } from "../support/cli.js";
import { saveTinyStatic } from "../support/tiny-static.js";

describe("static models", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-static-"));
  const children: ChildProcess[] = [];
  after(async () => {
    for (const child of children) {
      if (child.exitCode !== null) continue;
      child.kill("SIGTERM");
      await once(child, "close");
    }
    rmSync(root, { recursive: true });
  });

  const near = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
    assert.equal(a.length, b.length);
    for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i]! - b[i]!) < 1e-4, `${a[i]} and ${b[i]}`);
  };
  const mean = (rows: readonly number[][]): number[] =>
    rows[0]!.map((_, j) => rows.reduce((sum, row) => sum + row[j]!, 0) / rows.length);

  test("vectors are means, of shared and weighted ones too; what is unknown is passed over", async () => {
    for (const clusters of [undefined, 5]) {
      const folder = join(root, `mean-${clusters}`);
      const vector = await saveTinyStatic(folder, clusters === undefined ? {} : { clusters });
      await using model = await embedder(folder);
      const matrix = await model.embed(["a red one", "Red zebra", "", "zebra"]);
      near(matrix.row(0), mean(["a", "red", "one"].map(vector)));
      near(matrix.row(1), vector("red"));
      assert.deepEqual([...matrix.row(2), ...matrix.row(3)], new Array(8).fill(0));
      near(await model.query("blue"), vector("blue"));
      near((await model.embedIds([[8, 0, 5]])).row(0), mean([vector("red"), vector("one")]));
      near((await model.tokenVectors("red zebra one")).row(1), vector("one"));
    }
  });

  test("cut to fewer numbers, brought to length 1, packed; long texts are cut or refused", async () => {
    const folder = join(root, "unit");
    const vector = await saveTinyStatic(folder, { config: { normalize: true, max_length: 2 } });
    await using model = await embedder(folder, { dims: 3 });
    const short = mean(["a", "b"].map(vector)).slice(0, 3);
    const { truncated, ...matrix } = await model.embed(["a b c", "a b"]);
    near(
      matrix.data.slice(0, 3),
      short.map((x) => x / Math.hypot(...short)),
    );
    assert.deepEqual(truncated, [0]);
    assert.equal(model.explain().maxTokens.from, "config.json");
    await assert.rejects(model.embed(["a", "a b c"], { truncate: "error" }), {
      code: "TEXT_TOO_LONG",
      message: /text 1/,
    });
    near((await model.embed(["c a b"], { truncate: "left" })).row(0), matrix.data.slice(3, 6));
    await using bits = await embedder(folder, { output: "ubinary" });
    assert.deepEqual(
      [...(await bits.query("red"))],
      [vector("red").reduce((byte, x, j) => byte | (x > 0 ? 128 >> j : 0), 0)],
    );
    await assert.rejects(embedder(folder, { dims: 5 }), { code: "DIMS_MISMATCH" });
    await assert.rejects(embedder(folder, { quant: "int8-row" }), { code: "CONFIG_INVALID" });
    const output = "int4" as "int8"; // as plain JavaScript may give
    await assert.rejects(embedder(folder, { output }), { code: "CONFIG_INVALID", message: /int4/ });
    await assert.rejects(embedder(folder, { pooling: "cls" }), { code: "CONFIG_INVALID" });
    await model.close();
    await assert.rejects(model.query("a"), { code: "ENGINE_CLOSED" });
  });

  test("modules and tensors that do not fit are refused", async () => {
    const folder = join(root, "wrong");
    await saveTinyStatic(folder);
    const type = (kind: string): object => ({
      idx: 0,
      path: "",
      type: `sentence_transformers.models.${kind}`,
    });
    writeFileSync(join(folder, "modules.json"), JSON.stringify([type("StaticEmbedding"), type("Dense")]));
    await assert.rejects(embedder(folder), { code: "MODEL_UNSUPPORTED", message: /Dense/ });
    writeFileSync(join(folder, "modules.json"), JSON.stringify([type("StaticEmbedding")]));
    const tokenizer = join(folder, "tokenizer.json");
    writeFileSync(tokenizer, readFileSync(tokenizer, "utf8").replace('"things":11', '"things":12'));
    await assert.rejects(embedder(folder), { code: "FILE_INVALID", message: /fewer vectors/ });
  });

  test("on the command line and over HTTP", async () => {
    const folder = join(root, "words");
    const vector = await saveTinyStatic(folder, { clusters: 5 });
    const texts = join(root, "texts.txt");
    writeFileSync(texts, "a red one\nzebra\n");
    const made = await runCli(["embed", folder, "--input", texts]);
    assert.equal(made.code, 0, made.stderr);
    const rows = made.stdout
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { embedding: number[] }).embedding);
    near(rows[0]!, mean(["a", "red", "one"].map(vector)));
    const child = startCli(
      ["serve", folder, "--http-port", "0", "--isolation", "inline", "--metrics-port", "off", "--json"],
      { cwd: root, env: { TENON_CACHE: join(root, "cache"), TENON_GRPC_PORT: "off" } },
    );
    children.push(child);
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const post = async (path: string, body: object): Promise<unknown> =>
      (await fetch(url + path, { method: "POST", body: JSON.stringify(body) })).json();
    const vectors = (await post("/embed", { inputs: ["two things"], normalize: false })) as number[][];
    near(vectors[0]!, mean(["two", "things"].map(vector)));
    const graph = (await post("/v2/models/words/infer", {
      inputs: [
        { name: "input_ids", shape: [1, 3], datatype: "INT64", data: [8, 5, 0] },
        { name: "attention_mask", shape: [1, 3], datatype: "INT64", data: [1, 1, 0] },
      ],
    })) as { outputs: { data: number[] }[] };
    near(graph.outputs[0]!.data, mean(["red", "one"].map(vector)));
  });
});
