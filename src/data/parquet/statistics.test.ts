/** Statistics of written columns: extremes of 64-bit integers by their halves, nulls, NaN and zeros. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Column } from "../column.js";
import { columnStatistics } from "./statistics.js";

const column = (dtype: string, values: unknown, valid: Uint8Array | null = null): Column =>
  ({ kind: "fixed", dtype, values, valid }) as Column; // the dtypes beside their arrays

/** Largest and smallest value as they are written, in hex. */
function written(of: Column, rows: number): [string, string] | undefined {
  const fields = columnStatistics(of, rows)!;
  const hex = (id: number): string =>
    Buffer.from(fields.find(([field]) => field === id)![2] as Uint8Array).toString("hex");
  return fields.length === 1 ? undefined : [hex(5), hex(6)];
}

const little = (value: bigint): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes.toString("hex");
};

test("64-bit integers are ordered by both halves and by their sign", () => {
  const values = [5n, -1n, 2n ** 32n, 2n ** 32n - 1n, -(2n ** 63n), 2n ** 63n - 1n, -(2n ** 32n), 0n, 7n];
  for (let from = 0; from < values.length; from++)
    for (let to = from + 1; to <= values.length; to++) {
      const part = values.slice(from, to).sort((a, b) => (a < b ? -1 : 1));
      const signed = column("int64", BigInt64Array.from(values.slice(from, to)));
      assert.deepEqual(written(signed, to - from), [little(part.at(-1)!), little(part[0]!)]);
      const wide = values.slice(from, to).map((value) => BigInt.asUintN(64, value));
      const ordered = [...wide].sort((a, b) => (a < b ? -1 : 1));
      const unsigned = column("uint64", BigUint64Array.from(wide));
      assert.deepEqual(written(unsigned, to - from), [little(ordered.at(-1)!), little(ordered[0]!)]);
    }
});

test("nulls are counted and left out, columns of nulls alone have no extremes", () => {
  const valid = Uint8Array.of(0, 1, 1, 0);
  const ids = column("int64", BigInt64Array.of(-9n, 3n, 4n, 99n), valid);
  assert.deepEqual(written(ids, 4), [little(4n), little(3n)]);
  assert.deepEqual(columnStatistics(ids, 4)![0], [3, "i64", 2]);
  assert.equal(written(column("int64", BigInt64Array.of(1n), Uint8Array.of(0)), 1), undefined);
});

test("a NaN leaves no extremes, zeros are written with both signs", () => {
  assert.equal(written(column("float32", Float32Array.of(1, Number.NaN, 2)), 3), undefined);
  const masked = column("float32", Float32Array.of(1, Number.NaN), Uint8Array.of(1, 0));
  assert.deepEqual(written(masked, 2), ["0000803f", "0000803f"]);
  assert.deepEqual(written(column("float32", Float32Array.of(0, -0)), 2), ["00000000", "00000080"]);
});
