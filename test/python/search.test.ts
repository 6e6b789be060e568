/** Search against numpy: the same ten rows, of every exact storage. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { searchIndex } from "tenon/embed";
import { type Tensor, tensorFromStorage, writeNpy } from "tenon/tensor";
import { randomFloats, seededRandom } from "../support/random.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/search.py");

describe("search", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-search-numpy-"));
  after(() => rmSync(folder, { recursive: true }));

  test("finds the ten rows that numpy finds", async () => {
    const [rows, dims, asked] = [20_000, 96, 20];
    const data = randomFloats(rows * dims, 1, seededRandom(8));
    const queries = randomFloats(asked * dims, 1, seededRandom(9));
    const paths = [join(folder, "rows.npy"), join(folder, "queries.npy")] as const;
    writeFileSync(paths[0], writeNpy(tensorFromStorage("float32", [rows, dims], data) as Tensor));
    writeFileSync(paths[1], writeNpy(tensorFromStorage("float32", [asked, dims], queries) as Tensor));
    const wanted = JSON.parse(runPython([script, ...paths])) as [number, number][][];
    for (const storage of ["float32", "int8"] as const) {
      const found = searchIndex({ data, rows, dims }, { storage }).search({
        data: queries,
        rows: asked,
        dims,
      });
      found.forEach((hits, at) => {
        assert.deepEqual(
          hits.map(({ row }) => row),
          wanted[at]!.map(([row]) => row),
        );
        for (const [i, { score }] of hits.entries()) assert.ok(Math.abs(score - wanted[at]![i]![1]) < 1e-6);
      });
    }
  });
});
