/** A model in BGE-M3's layout: its three outputs of one run against PyTorch, layer by layer. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { embedder, hybridEmbedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { materialize, openWeights } from "tenon/torch";
import { proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/hybrid.py");
// Repeated tokens, nothing at all, more than the model reads, and what the vocabulary lacks.
const TEXTS = [...proseLines(9, 5), "a a a a", "", "word ".repeat(60), "☃ unseen ☃"];

describe("three outputs of one run", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-hybrid-"));
  after(() => rmSync(folder, { recursive: true }));

  test("dense, sparse and multi-vector are those of PyTorch", async () => {
    const path = join(folder, "expected.safetensors");
    const model = join(folder, "model");
    const told = runPython([script, model, path], JSON.stringify({ texts: TEXTS }));
    assert.ok((JSON.parse(told) as { unknown: number }).unknown > 0, "a text has unknown tokens");
    const { tensors } = await openWeights(path);
    const wanted = (key: string) => materialize(tensors.get(key)!);
    const near = (ours: ArrayLike<number>, key: string): void => {
      const other = wanted(key).data as unknown as Float32Array;
      assert.equal(ours.length, other.length, key);
      other.forEach((value, i) => {
        assert.ok(Math.abs(ours[i]! - value) < 2e-5, `${key}, ${i}: ${ours[i]} is ${value}`);
      });
    };
    await using engine = await Engine.open({ cache: false, lanes: 1 });
    await using m3 = await hybridEmbedder(model, { engine });
    const { dense, sparse, multi } = await m3.all(TEXTS);
    assert.ok(dense.truncated.includes(TEXTS.length - 2) && !dense.truncated.includes(TEXTS.length - 3));
    assert.ok(sparse.some(({ indices }) => indices.length > 5));
    for (const i of TEXTS.keys()) {
      near(dense.row(i), `${i}.dense`);
      const { indices, values } = sparse[i]!;
      assert.deepEqual(indices, indices.slice().sort(), "rising");
      assert.ok(values.every((value) => value > 0));
      const whole = new Float32Array(wanted(`${i}.sparse`).shape[0]!);
      indices.forEach((index, at) => {
        whole[index] = values[at]!;
      });
      near(whole, `${i}.sparse`);
      assert.deepEqual([multi[i]!.rows, multi[i]!.dims], wanted(`${i}.multi`).shape);
      near(multi[i]!.data, `${i}.multi`);
    }
    await using plain = await embedder(model, { engine, name: "plain" });
    const same = await plain.embed(TEXTS);
    same.data.forEach((value, i) => {
      assert.ok(Math.abs(value - dense.data[i]!) < 1e-6, "as the embedder's");
    });
  });
});
