/** Damaged files of tables: an error or values, never a hang, a crash or another kind of error. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { arrow, csv, jsonl, parquet, sink } from "tenon/data";
import { tensor } from "tenon/tensor";

const MUTANTS = 400;

/** Whole numbers below a bound. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("damaged files of tables", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-mutants-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("give errors of ours or values as Parquet", async () => {
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
    const random = randomOf(7);
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

  for (const [kind, read] of [
    ["arrow", arrow],
    ["csv", csv],
    ["jsonl", jsonl],
  ] as const)
    it(`give errors of ours or values as ${kind}, too`, async () => {
      const path = join(folder, `x.${kind}`);
      {
        await using out = sink[kind](path);
        await out.write({
          f: Float32Array.from({ length: 50 }, (_, i) => i / 3),
          id: BigInt64Array.from({ length: 50 }, (_, i) => BigInt(i)),
          text: Array.from({ length: 50 }, (_, i) => (i % 4 === 0 ? null : `text "${i}"`)),
          list: tensor(new Float32Array(100), { shape: [50, 2] }),
        });
        await out.commit();
      }
      const original = readFileSync(path);
      const mutant = join(folder, `mutant.${kind}`);
      const random = randomOf(11);
      let refused = 0;
      for (let i = 0; i < 200; i++) {
        const bytes = Buffer.from(i % 9 === 8 ? original.subarray(0, random(original.length)) : original);
        for (let n = 1 + random(3); n > 0 && bytes.length > 0; n--) bytes[random(bytes.length)] = random(256);
        writeFileSync(mutant, bytes);
        try {
          for await (const { rows } of read(mutant)) assert.ok(rows > 0);
        } catch (error) {
          assert.ok(isTenonError(error), `mutant ${i}: ${String(error)}`);
          refused++;
        }
      }
      assert.ok(refused > 20, String(refused));
    });
});
