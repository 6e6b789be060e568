/**
 * A file of any size read in 200 MB, the process itself included: 120 MB of it here, more where TENON_TABLE_MB says so
 * (1,200 for what docs/benchmarks.md tells).
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sink } from "tenon/data";
import { seededRandom } from "../support/random.js";

const MEGABYTES = Number(process.env.TENON_TABLE_MB ?? 120);
const GROUP = 122_880;
const COLUMNS = 16;
const LIMIT_MB = 200;

test("a table larger than its memory is read", {
  skip: process.platform === "linux" ? false : "reads /proc",
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-capped-"));
  try {
    const path = join(folder, "x.parquet");
    const random = seededRandom(3);
    const column = Float32Array.from({ length: GROUP + COLUMNS }, () => random() - 0.5);
    const groups = Math.ceil((MEGABYTES * 1e6) / (GROUP * COLUMNS * 4));
    {
      await using out = sink.parquet(path, { rowGroup: GROUP });
      for (let group = 0; group < groups; group++)
        await out.write(
          Object.fromEntries(
            Array.from({ length: COLUMNS }, (_, i) => [`f${i}`, column.subarray(i, i + GROUP)]),
          ),
        );
      await out.commit();
    }
    assert.ok(statSync(path).size > MEGABYTES * 9e5, "the file is compressed");
    // Young objects are what V8 would else keep most room for.
    const args = [
      "--max-old-space-size=64",
      "--max-semi-space-size=2",
      join(import.meta.dirname, "capped-child.js"),
      path,
    ];
    const { rows, sum, megabytes } = JSON.parse(
      execFileSync(process.execPath, args, { encoding: "utf8", timeout: 300_000 }),
    ) as { rows: number; sum: number; megabytes: number };
    t.diagnostic(`${statSync(path).size / 1e6} MB read, at most ${megabytes} MB resident`);
    assert.equal(rows, groups * GROUP);
    assert.ok(Number.isFinite(sum));
    assert.ok(megabytes < LIMIT_MB, `${megabytes} MB`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
