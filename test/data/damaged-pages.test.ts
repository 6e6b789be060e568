/** Headers of pages that ask for what cannot be: refused before polars, which is in this process, takes the memory that they name. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { parquet, sink } from "tenon/data";

const ROWS = 30;
/** Thrift's compact protocol: a struct as field 5, in it an int32 as field 1, its value in zigzag. */
const VALUES = Buffer.of(0x2c, 0x15, 2 * ROWS);

/** Counts in zigzag. */
const COUNTS: Readonly<Record<string, readonly number[]>> = {
  "fewer than none": [0x67],
  "more than any page has": [0xfe, 0xff, 0xff, 0xff, 0x0f],
  "others than the footer says": [2 * (ROWS + 1)],
};

describe("pages whose headers say", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-pages-"));
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [what, count] of Object.entries(COUNTS)) {
    for (const engine of ["ts", "polars"] as const) {
      it(`that there are ${what}, by ${engine}`, async () => {
        const path = join(folder, `${count.length}-${count[0]}.parquet`);
        await using out = sink.parquet(path);
        await out.write({ n: Int32Array.from({ length: ROWS }, (_, i) => i) });
        await out.commit();
        const whole = readFileSync(path);
        const at = whole.indexOf(VALUES);
        assert.ok(at > 0);
        // The header gets no longer: what is behind it stays where the footer says.
        writeFileSync(path, whole.fill(Buffer.from(count), at + 2, at + 2 + count.length));
        await assert.rejects(
          async () => {
            for await (const { rows } of parquet(path, { engine }).batch(16)) assert.ok(rows > 0);
          },
          (error) => isTenonError(error, "FILE_INVALID"),
        );
      });
    }
  }
});
