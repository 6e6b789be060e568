/** Late chunks: means of the tokens that lie in them, of vectors that saw the whole text. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Embedder, embedder, lateChunks } from "tenon/embed";
import { saveTinyEmbedder } from "../support/tiny-embedder.js";

describe("late chunks", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-chunks-"));
  let model: Embedder;
  before(async () => {
    await saveTinyEmbedder(folder);
    model = await embedder(folder, { cache: false, lanes: 1, tokenOutputs: true, name: "chunks" });
  });
  after(async () => {
    await model.close();
    rmSync(folder, { recursive: true });
  });

  test("each is the mean of its tokens' vectors, brought to length 1", async () => {
    const text = "a red one, two things";
    const { spans, vectors } = await lateChunks(model, text, {
      spans: [
        { start: 0, end: 9 },
        { start: 11, end: 14 },
      ],
    });
    assert.equal(spans.length, 2);
    const hidden = await model.tokenVectors(text, { prompt: "" });
    const wanted = (rows: readonly number[]): number[] => {
      const sum = Array.from({ length: 8 }, (_, j) =>
        rows.reduce((all, row) => all + hidden.row(row)[j]!, 0),
      );
      return sum.map((value) => value / Math.hypot(...sum));
    };
    const near = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
      for (let j = 0; j < 8; j++) assert.ok(Math.abs(a[j]! - b[j]!) < 1e-5);
    };
    assert.deepEqual([...vectors.tokens], [3, 1]);
    near(vectors.row(0), wanted([1, 2, 3]));
    near(vectors.row(1), wanted([5]));
    const even = await lateChunks(model, text, { tokens: 3 });
    assert.equal(even.spans.map(({ start, end }) => text.slice(start, end)).join(""), text);
    near(even.vectors.row(0), vectors.row(0));
  });

  test("chunks outside the text and texts that are too long are refused", async () => {
    await assert.rejects(lateChunks(model, "a b", { spans: [{ start: 1, end: 9 }] }), { code: "USAGE" });
    await assert.rejects(lateChunks(model, "a b c d e f one two three red green"), { code: "TEXT_TOO_LONG" });
    assert.equal((await lateChunks(model, "")).spans.length, 0);
  });
});
