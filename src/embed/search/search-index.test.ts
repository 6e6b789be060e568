/** Search: the best rows by brute force, of every storage; ties, refusals, growth, files; kernels with and without SIMD. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { hasSimd, loadKernels, makeMemory } from "../../simd/index.js";
import { type Tensor, tensor, tensorFromStorage } from "../../tensor/index.js";
import { saveSafetensors } from "../../torch/index.js";
import { searchKernels } from "./kernels.js";
import { plainKernels } from "./plain-kernels.js";
import { loadIndex, type SearchIndexOptions, searchIndex, type VectorRows } from "./search-index.js";

/** Sums of uniform numbers from a seed: clusters, so that many rows are near each other. */
function vectors(rows: number, dims: number, seed: number): VectorRows {
  let state = seed;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const centre = Array.from({ length: 8 * dims }, next);
  const data = Float32Array.from({ length: rows * dims }, (_, i) => {
    const cluster = Math.floor(i / dims) % 8;
    return centre[cluster * dims + (i % dims)]! + 0.3 * next();
  });
  return { data, rows, dims };
}

/** Rows by their product in float64. */
function byForce(all: VectorRows, query: ArrayLike<number>, metric: string): [row: number, score: number][] {
  const norm = (data: ArrayLike<number>, from: number): number => {
    let sum = 0;
    for (let j = 0; j < all.dims; j++) sum += data[from + j]! ** 2;
    return metric === "dot" ? 1 : Math.sqrt(sum) || 1;
  };
  const scores = Array.from({ length: all.rows }, (_, row): [number, number] => {
    let sum = 0;
    for (let j = 0; j < all.dims; j++) sum += all.data[row * all.dims + j]! * query[j]!;
    return [row, sum / norm(all.data, row * all.dims) / norm(query, 0)];
  });
  return scores.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

describe("a search index", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-search-"));
  after(() => rmSync(folder, { recursive: true }));

  for (const metric of ["cosine", "dot"] as const) {
    for (const dims of [3, 16, 52, 130]) {
      test(`finds the best rows by ${metric}, ${dims} dims, the same with and without bytes`, () => {
        const all = vectors(9000, dims, dims);
        const queries = vectors(6, dims, dims + 1);
        const exact = searchIndex(all, { metric });
        const bytes = searchIndex(all, { metric, storage: "int8" });
        for (let at = 0; at < queries.rows; at++) {
          const query = Float32Array.from({ length: dims }, (_, j) => queries.data[at * dims + j]!);
          const hits = exact.search(query, { topK: 25 });
          const force = byForce(all, query, metric);
          hits.forEach(({ row, score }, i) => {
            assert.ok(Math.abs(score - force[i]![1]) < 1e-5);
            const place = force.find(([other]) => other === row)!;
            assert.ok(Math.abs(place[1] - score) < 1e-5);
          });
          assert.deepEqual(bytes.search(query, { topK: 25 }), hits);
        }
        assert.deepEqual(
          exact.search(queries, { topK: 2 }).map((hits) => hits.length),
          [2, 2, 2, 2, 2, 2],
        );
      });
    }
  }

  test("signs find most of the best rows, and score them by their numbers", () => {
    const all = vectors(6000, 256, 5);
    const exact = searchIndex(all);
    const signs = searchIndex(all, { storage: "binary" });
    const queries = vectors(20, 256, 5);
    let found = 0;
    exact.search(queries).forEach((hits, at) => {
      const query = queries.data as Float32Array;
      const near = signs.search(query.subarray(at * 256, (at + 1) * 256), { oversample: 100 });
      const scores = new Map(hits.map(({ row, score }) => [row, score]));
      for (const { row, score } of near) {
        if (!scores.has(row)) continue;
        assert.equal(score, scores.get(row));
        found++;
      }
    });
    assert.ok(found >= 190, `${found} of 200`);
  });

  test("equal scores come by row, zeros score nothing by cosine, more is asked than there is", () => {
    const data = Float32Array.of(1, 0, 0, 0, 2, 0, 1, 0, 0, 1, -1, 0);
    const rows = { data, rows: 6, dims: 2 };
    for (const storage of ["float32", "int8", "binary"] as const) {
      const hits = searchIndex(rows, { storage }).search([3, 0], { topK: 10 });
      assert.deepEqual(
        hits.map(({ row, score }) => [row, score]),
        [
          [0, 1],
          [2, 1],
          [3, 1],
          [1, 0],
          [4, 0],
          [5, -1],
        ],
        storage,
      );
      assert.deepEqual(searchIndex(rows, { storage }).search([3, 0], { topK: 0 }), []);
      const zero = searchIndex(rows, { storage }).search([0, 0], { topK: 3 });
      assert.deepEqual(
        zero,
        [0, 1, 2].map((row) => ({ row, score: 0 })),
      );
    }
    assert.deepEqual(searchIndex(rows, { metric: "dot" }).search([1, 0], { topK: 2 }), [
      { row: 2, score: 2 },
      { row: 0, score: 1 },
    ]);
  });

  test("numbers that are not finite, and sizes that do not fit, are refused", () => {
    const rows = vectors(4, 3, 1);
    const index = searchIndex(rows);
    const bad = (value: number): VectorRows => ({ data: [1, 2, 3, value, 1, 1], rows: 2, dims: 3 });
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e20])
      assert.throws(() => index.add(bad(value)), { code: "INPUT_VALUE", message: /row 1/ });
    assert.equal(index.rows, 4);
    assert.throws(() => index.search([Number.NaN, 1, 1]), { code: "INPUT_VALUE" });
    assert.throws(() => index.search([1, 2]), { code: "DIMS_MISMATCH" });
    assert.throws(() => index.search([1, 2, 3], { topK: -1 }), { code: "USAGE" });
    assert.throws(() => index.add(vectors(2, 4, 1)), { code: "DIMS_MISMATCH" });
    assert.throws(() => index.add(rows, ["a", "b", "c", "d"]), { code: "USAGE" });
    assert.throws(() => searchIndex({ ...rows, rows: 5 }), { code: "USAGE" });
    assert.throws(() => searchIndex(rows, { storage: "int4" } as unknown as SearchIndexOptions), {
      code: "USAGE",
    });
    assert.throws(() => searchIndex({ data: new Int8Array(12), rows: 4, dims: 3 }), { code: "USAGE" });
    for (const packed of [Int8Array, Uint8Array, Uint16Array])
      assert.throws(() => index.search(packed.of(1, 2, 3)), { code: "USAGE", message: /float32/ });
    assert.throws(() => index.search({ data: [1, 2, 3, 4], rows: 1, dims: 3 }), { code: "USAGE" });
    assert.throws(() => index.search({ data: [1, 2, 3], rows: -1, dims: 3 }), { code: "USAGE" });
    assert.throws(() => searchIndex({ data: [], rows: 0, dims: 65_536 }), { code: "USAGE" });
  });

  test("rows are added, saved and read again with their ids", async () => {
    const [first, second] = [vectors(700, 10, 1), vectors(300, 10, 2)];
    const ids = (from: number, count: number): string[] =>
      Array.from({ length: count }, (_, i) => `é${from + i}`);
    for (const storage of ["float32", "int8", "binary"] as const) {
      const index = searchIndex(first, { storage, ids: ids(0, 700) });
      index.add(second, ids(700, 300));
      const whole = new Float32Array(10_000);
      whole.set(first.data as Float32Array);
      whole.set(second.data as Float32Array, 7000);
      const query = whole.slice(7770, 7780);
      const hits = index.search(query, { topK: 7 });
      assert.equal(hits[0]!.id, "é777");
      const together = searchIndex({ data: whole, rows: 1000, dims: 10 }, { storage });
      assert.deepEqual(
        hits.map(({ row, score }) => ({ row, score })),
        together.search(query, { topK: 7 }),
      );
      const path = join(folder, `${storage}.safetensors`);
      await index.save(path);
      const again = await loadIndex(path);
      assert.deepEqual([again.rows, again.metric, again.storage], [1000, "cosine", storage]);
      assert.deepEqual(again.search(query, { topK: 7 }), hits);
      assert.deepEqual(again.row(3), index.row(3));
      assert.throws(() => again.row(1000), { code: "USAGE" });
    }
    const other = join(folder, "other.safetensors");
    writeFileSync(other, Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from("{}")]));
    await assert.rejects(loadIndex(other), { code: "FILE_INVALID" });
    const metadata = { format: "tenon-search-1", metric: "cosine", storage: "float32", dims: "2" };
    const part = tensor([[1, 0]]);
    const bytes = (text: string): Tensor =>
      tensorFromStorage("uint8", [text.length], Buffer.from(text)) as Tensor;
    for (const tensors of [
      { "vectors.0": tensor([[1, Number.NaN]]) },
      { "vectors.0": part, "vectors.2": part },
      { "vectors.0": part, ids: bytes("[]") },
      { "vectors.0": part, ids: bytes('["a", "b"]') },
      { "vectors.0": part, ids: tensor([1]) },
    ]) {
      await saveSafetensors(other, tensors, { metadata });
      await assert.rejects(loadIndex(other), { code: "FILE_INVALID" });
    }
    await saveSafetensors(other, { "vectors.0": part, ids: bytes('["a"]') }, { metadata });
    assert.deepEqual((await loadIndex(other)).search([1, 0]), [{ row: 0, score: 1, id: "a" }]);
  });

  test("without SIMD the results are the same", {
    skip: hasSimd() ? false : "WebAssembly has no SIMD here",
  }, () => {
    const memory = makeMemory(65536);
    const plain = new ArrayBuffer(65536);
    const bytes = new Uint8Array(memory.buffer);
    const floats = new Float32Array(memory.buffer);
    const numbers = vectors(30, 100, 3).data;
    for (let i = 0; i < 3000; i++) floats[i] = numbers[i]!;
    for (let i = 16000; i < 40000; i++) bytes[i] = (i * 2654435761) >>> 13;
    new Uint8Array(plain).set(bytes);
    const simd = loadKernels(searchKernels(), memory);
    const slow = plainKernels(plain);
    for (const [name, ...given] of [
      ["products", 0, 400, 400, 20, 50_000],
      ["products", 0, 400, 16, 20, 50_000],
      ["integerProducts", 20_000, 24_000, 112, 30, 50_000],
      ["differingBits", 20_000, 24_000, 48, 30, 50_000],
    ] as const) {
      simd[name]?.(...given);
      slow[name](...given);
      assert.deepEqual(new Int32Array(memory.buffer, 50_000, 30), new Int32Array(plain, 50_000, 30), name);
    }
  });
});
