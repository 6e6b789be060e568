/** Damaged Parquet files: an error or values, never a hang, a crash or another kind of error. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { parquet, sink } from "tenon/data";

const MUTANTS = 400;

describe("damaged Parquet files", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-mutants-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("give errors of ours or values", async () => {
    const path = join(folder, "x.parquet");
    {
      await using out = sink.parquet(path, { rowGroup: 20 });
      await out.write({
        f: Float32Array.from({ length: 50 }, (_, i) => i),
        id: BigInt64Array.from({ length: 50 }, (_, i) => BigInt(i)),
        text: Array.from({ length: 50 }, (_, i) => (i % 4 === 0 ? null : `text ${i}`)),
      });
      await out.commit();
    }
    const original = readFileSync(path);
    const mutant = join(folder, "mutant.parquet");
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const bytes = Buffer.from(i % 9 === 8 ? original.subarray(0, random(original.length)) : original);
      // Half of the changes hit the footer, whose last eight bytes stay as they are.
      const start = i % 2 === 0 ? 0 : Math.floor(original.length * 0.6);
      for (let n = 1 + random(3); n > 0 && bytes.length > 12; n--)
        bytes[start + random(Math.max(1, bytes.length - 8 - start))] = random(256);
      writeFileSync(mutant, bytes);
      try {
        for await (const { rows } of parquet(mutant)) assert.ok(rows > 0);
      } catch (error) {
        assert.ok(isTenonError(error), `mutant ${i}: ${String(error)}`);
        refused++;
      }
    }
    assert.ok(refused > MUTANTS / 10 && refused < MUTANTS, String(refused));
  });
});
