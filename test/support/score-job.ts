/** A small scoring job: a table and a model on disk, and the comparison of two results. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sink } from "tenon/data";
import { saveMatMul } from "./small-models.js";

/** Writes `m.onnx` (y = x · 2×3) and `in.parquet` (f0, f1, id) into the folder. */
export async function writeJob(folder: string, rows: number, rowGroup: number): Promise<void> {
  saveMatMul(join(folder, "m.onnx"));
  await using out = sink.parquet(join(folder, "in.parquet"), { rowGroup });
  await out.write({
    f0: Float32Array.from({ length: rows }, (_, i) => i),
    f1: Float32Array.from({ length: rows }, (_, i) => -i / 3),
    id: BigInt64Array.from({ length: rows }, (_, i) => BigInt(i)),
  });
  await out.commit();
}

/** Arguments of `tenon score` for that job, run in its folder. */
export function jobArgs(output: string, rowsPerShard: number): string[] {
  return [
    ...["score", "m.onnx", "--input", "in.parquet", "--output", output, "--map", "x=f0..f1"],
    ...["--rows-per-shard", String(rowsPerShard), "--batch", "8", "--isolation", "inline", "--cache", "off"],
  ];
}

/** What a result consists of: everything but the plan, whose time of making differs. */
export function resultFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name !== "plan.json" && !name.startsWith("."))
    .sort();
}

/** Asserts that both folders hold the same files with the same bytes. */
export function assertSameResult(found: string, expected: string): void {
  assert.deepEqual(resultFiles(found), resultFiles(expected));
  for (const name of resultFiles(expected))
    assert.deepEqual(readFileSync(join(found, name)), readFileSync(join(expected, name)), name);
}
