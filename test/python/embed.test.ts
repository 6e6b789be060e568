/** The embedder against sentence-transformers, on the real all-MiniLM-L6-v2: odd texts, prompts, truncation, packed types. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type EmbedderOptions, EmbedMatrix, embedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import type { Tensor } from "tenon/tensor";
import { LONG, minilmOracle, ODD, type Oracle, PLAIN } from "./minilm-oracle.js";

function rowOf(matrix: EmbedMatrix, row: number): EmbedMatrix {
  return new EmbedMatrix(matrix.row(row), 1, matrix.dims, matrix.tokens.subarray(row, row + 1), []);
}

describe("all-MiniLM-L6-v2, as sentence-transformers embeds", () => {
  let engine: Engine;
  let oracle: Oracle;

  before(async () => {
    oracle = await minilmOracle();
    engine = await Engine.open({ cache: false, lanes: 2 });
  });
  after(() => engine.close());

  async function embedded(
    options: EmbedderOptions,
    texts: readonly string[],
    prompt?: string,
  ): Promise<EmbedMatrix> {
    await using model = await embedder(oracle.source, { engine, name: "minilm", ...options });
    return await model.embed(texts, prompt === undefined ? {} : { prompt });
  }

  /** The least cosine between rows of the same index. */
  function leastCosine(matrix: EmbedMatrix, wanted: Tensor): number {
    assert.deepEqual([matrix.rows, matrix.dims], wanted.shape);
    const other = wanted.data as unknown as Float32Array;
    let least = 1;
    for (let row = 0; row < matrix.rows; row++) {
      const ours = matrix.row(row);
      let dot = 0;
      let a = 0;
      let b = 0;
      ours.forEach((x, j) => {
        const y = other[row * matrix.dims + j]!;
        dot += x * y;
        a += x * x;
        b += y * y;
      });
      least = Math.min(least, dot / Math.sqrt(a * b));
    }
    return least;
  }

  test("odd texts, each alone and all together", async () => {
    await using model = await embedder(oracle.source, { engine, name: "minilm" });
    assert.equal(model.card.maxTokens.value, 256);
    assert.equal(model.card.maxTokens.from, "sentence_bert_config.json");
    const matrix = await model.passages(ODD);
    assert.ok(ODD.length >= 64);
    assert.ok(leastCosine(matrix, oracle.at("odd")) >= 0.99999);
    assert.deepEqual(
      matrix.truncated,
      ODD.flatMap((text, i) => (text === LONG || matrix.tokens[i] === 256 ? [i] : [])),
    );
    let largest = 0;
    for (const [row, text] of ODD.entries()) {
      if (row % 8 !== 0) continue;
      const alone = await model.query(text);
      matrix.row(row).forEach((x, j) => {
        largest = Math.max(largest, Math.abs(x - alone[j]!));
      });
    }
    assert.ok(largest < 1e-6, `alone differs from together by ${largest}`);
  });

  test("a prompt, a shorter limit, fewer dims", async () => {
    const cut = await embedded({ dims: 64 }, PLAIN);
    assert.ok(leastCosine(cut, oracle.at("cut")) >= 0.99999);
    const short = await embedded({ maxTokens: 9 }, PLAIN);
    assert.ok(leastCosine(short, oracle.at("short")) >= 0.99999);
    const prompt = await embedded({ maxTokens: 200 }, PLAIN, "search query: ");
    assert.ok(leastCosine(prompt, oracle.at("prompt")) >= 0.99999);
  });

  test("int8-row: near the model itself, and the same alone and together", async () => {
    await using model = await embedder(oracle.source, {
      engine,
      name: "minilm",
      quant: "int8-row",
      verify: false,
    });
    const matrix = await model.embed(PLAIN);
    const cosines = PLAIN.map((_, row) =>
      leastCosine(
        rowOf(matrix, row),
        oracle
          .at("plain")
          .slice([row, row + 1])
          .clone(),
      ),
    );
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    assert.ok(mean >= 0.99 && Math.min(...cosines) >= 0.97, `mean ${mean}, least ${Math.min(...cosines)}`);
    const alone = await model.query(PLAIN[3]!);
    assert.ok(matrix.row(3).every((value, j) => Math.abs(value - alone[j]!) < 1e-6));
  });

  for (const output of ["ubinary", "int8"] as const) {
    test(`${output} vectors`, async () => {
      const matrix = await embedded({ output }, PLAIN);
      const wanted = oracle.at(output);
      assert.equal(wanted.dtype, output === "ubinary" ? "uint8" : "int8");
      const other = wanted.data as unknown as Int8Array;
      assert.equal(matrix.data.length, other.length);
      const apart = [...matrix.data].filter((value, i) =>
        output === "int8" ? Math.abs(value - other[i]!) > 1 : value !== other[i],
      );
      // A number at the very border of two may fall to either side.
      assert.ok(apart.length <= matrix.data.length / 500, `${apart.length} of ${matrix.data.length} differ`);
    });
  }
});
