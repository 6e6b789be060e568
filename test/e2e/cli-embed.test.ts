/** `tenon embed` on a tiny model: what it reads, what it writes, what it refuses. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Columns, parquet, sink } from "tenon/data";
import { embedder } from "tenon/embed";
import { readNpy } from "tenon/tensor";
import { runCli } from "../support/cli.js";
import { saveTinyCrossEncoder, saveTinyEmbedder } from "../support/tiny-embedder.js";

const TEXTS = ["a red one", "", 'two, "green" things', "b\r".trim()];

function typeNames(columns: Columns): string[] {
  return Object.entries(columns).map(
    ([name, { kind, ...column }]) => `${name} ${"dtype" in column ? column.dtype : kind}`,
  );
}

describe("tenon embed", () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-embed-cli-"));
  const env = { TENON_CACHE: join(cwd, "cache") };
  const at = (name: string): string => join(cwd, name);
  let expected: number[][] = [];

  before(async () => {
    await saveTinyEmbedder(at("tiny"));
    await using model = await embedder(at("tiny"), { cache: false, lanes: 1 });
    const matrix = await model.embed(TEXTS);
    expected = TEXTS.map((_, i) => Array.from(matrix.row(i) as Float32Array));
  });
  after(() => rmSync(cwd, { recursive: true }));

  function assertVectors(rows: readonly (readonly number[])[]): void {
    assert.equal(rows.length, expected.length);
    rows.forEach((row, i) => {
      assert.equal(row.length, 8);
      row.forEach((value, j) => {
        assert.ok(Math.abs(value - expected[i]![j]!) < 1e-6);
      });
    });
  }

  test("every format in, every format out", async () => {
    writeFileSync(at("in.txt"), TEXTS.join("\r\n"));
    writeFileSync(at("in.json"), JSON.stringify(TEXTS.map((body) => ({ body }))));
    writeFileSync(at("in.jsonl"), TEXTS.map((text) => `${JSON.stringify(text)}\n`).join(""));
    writeFileSync(
      at("in.csv"),
      `id,body\n${TEXTS.map((text, i) => `${i},"${text.replaceAll('"', '""')}"`).join("\r\n")}`,
    );
    await using table = sink.parquet(at("in.parquet"));
    await table.write({ body: TEXTS });
    await table.commit();
    const run = async (input: string, output: string, ...more: string[]): Promise<string> => {
      const args = ["embed", "tiny", "--input", input, "--output", output, ...more];
      const { code, stdout, stderr } = await runCli(args, { cwd, env });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const report = JSON.parse(await run("in.txt", "out.npy", "--json")) as Record<string, number>;
    assert.deepEqual({ ...report, seconds: 0 }, { rows: 4, dims: 8, tokens: 18, truncated: 0, seconds: 0 });
    assertVectors(readNpy(readFileSync(at("out.npy"))).toArray() as number[][]);
    await run("in.json", "out.json", "--text", "body");
    assertVectors(JSON.parse(readFileSync(at("out.json"), "utf8")) as number[][]);
    await run("in.csv", "out.jsonl", "--text", "body");
    const lines = readFileSync(at("out.jsonl"), "utf8").trim().split("\n");
    assertVectors(lines.map((line) => (JSON.parse(line) as { embedding: number[] }).embedding));
    await run("in.parquet", "out.parquet", "--text", "body");
    for await (const { data, rows } of parquet(at("out.parquet"))) {
      assert.deepEqual(typeNames(data), ["index int64", "embedding list"]);
      assert.equal(rows, 4);
    }
    await run("in.jsonl", "bits.npy", "--dtype", "ubinary");
    assert.deepEqual(readNpy(readFileSync(at("bits.npy"))).shape, [4, 1]);
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name.includes("tmp")),
      [],
    );
  });

  test("refusals name what is wrong", async () => {
    writeFileSync(at("objects.json"), '[{"title":"a"}]');
    writeFileSync(at("numbers.jsonl"), '"a"\n7\n');
    const cases: readonly (readonly [args: readonly string[], code: number, text: RegExp])[] = [
      [["--input", "none.txt"], 2, /FILE_NOT_FOUND[\s\S]*none.txt/],
      [["--input", "objects.json"], 2, /--text with one of title/],
      [["--input", "numbers.jsonl"], 4, /line 2 holds no text/],
      [["--input", "numbers.jsonl", "--text", "title"], 2, /line 1 is a plain text/],
      [["--input", "in.txt", "--output", "out.xlsx"], 2, /\.npy, \.json, \.jsonl, \.parquet/],
      [["--input", "in.txt", "--prompt-name", "query"], 2, /the model has no prompts/],
      [["--input", "in.txt", "--dims", "9"], 2, /DIMS_MISMATCH[\s\S]*1 to 8/],
      [["--input", "in.txt", "--dims", "many"], 2, /--dims[\s\S]*many[\s\S]*a whole number/],
      [["--input", "in.txt", "--output", "no/out.npy"], 2, /folder of --output does not exist[\s\S]*mkdir/],
    ];
    const all: (readonly [readonly string[], number, RegExp])[] = cases.map(([args, code, text]) => [
      ["embed", "tiny", ...args],
      code,
      text,
    ]);
    const rerank = ["rerank", "tiny", "--query", "a", "--input", "in.txt"];
    all.push([rerank, 1, /scores no pairs[\s\S]*modules\.json[\s\S]*tenon embed/]);
    for (const [args, code, text] of all) {
      const result = await runCli(args, { cwd, env });
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, text);
      assert.equal(result.stdout, "");
    }
  });

  test("a model that scores texts is told from one that makes vectors", async () => {
    await saveTinyCrossEncoder(at("scores"));
    const { code, stderr } = await runCli(["embed", "scores", "--input", "in.txt"], { cwd, env });
    assert.equal(code, 2);
    assert.match(stderr, /UNKNOWN_POOLING/);
    assert.match(stderr, /do: +the model scores texts and makes no vectors: .*tenon rerank/);
  });
});
