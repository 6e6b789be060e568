/** Lists of different lengths: padded tensors, their lengths, and batches of rows of about one length. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  type Column,
  col,
  type Dataset,
  lengths,
  type PaddingOptions,
  type Position,
  padded,
  parquet,
  rows,
  sink,
  textColumn,
} from "tenon/data";

const ROWS = 3000;
const lengthOf = (row: number): number => (row % 97 === 0 ? 0 : (row * 37) % 50);

function listColumn(count: number, length: (row: number) => number, first = 0): Column {
  const offsets = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) offsets[i + 1] = offsets[i]! + length(first + i);
  const values = new BigInt64Array(offsets[count]!);
  for (let i = 0; i < count; i++)
    for (let e = offsets[i]!; e < offsets[i + 1]!; e++)
      values[e] = BigInt((first + i) * 100 + e - offsets[i]!);
  return {
    kind: "list",
    offsets,
    child: { kind: "fixed", dtype: "int64", values, valid: null },
    valid: null,
  };
}

describe("lists of different lengths", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-buckets-"));
    path = join(folder, "x.parquet");
    await using out = sink.parquet(path, { rowGroup: 500 });
    await out.write({
      row: Int32Array.from({ length: ROWS }, (_, i) => i),
      length: Int32Array.from({ length: ROWS }, (_, i) => lengthOf(i)),
      ids: listColumn(ROWS, lengthOf),
      text: textColumn(Array.from({ length: ROWS }, (_, i) => "x".repeat(lengthOf(i)))),
    });
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  const specs = (options: PaddingOptions = {}) => ({
    row: col("row", "int32"),
    ids: padded("ids", "int32", options),
    n: lengths("ids", options),
  });

  it("are filled up to the longest of the batch", async () => {
    for (const batch of [64, 333]) {
      let next = 0;
      for await (const { data, rows: count } of parquet(path)
        .tensors(specs({ value: -1, multiple: 8 }))
        .batch(batch)) {
        const longest = Math.max(...Array.from({ length: count }, (_, i) => lengthOf(next + i)));
        const width = Math.ceil(longest / 8) * 8;
        assert.deepEqual(data.ids.shape, [count, width]);
        for (let i = 0; i < count; i++, next++) {
          assert.equal(data.n.data[i], lengthOf(next));
          const expected = Array.from({ length: width }, (_, e) =>
            e < lengthOf(next) ? next * 100 + e : -1,
          );
          assert.deepEqual([...data.ids.data.subarray(i * width, (i + 1) * width)], expected);
        }
      }
      assert.equal(next, ROWS);
    }
  });

  it("are refused or cut where they are too long", async () => {
    const read = async (options: PaddingOptions): Promise<number[]> => {
      const widths: number[] = [];
      for await (const { data } of parquet(path).tensors(specs(options)).batch(500)) {
        widths.push(data.ids.shape[1]!);
        assert.equal(Math.max(...data.n.data), data.ids.shape[1]);
      }
      return widths;
    };
    await assert.rejects(read({ most: 20 }), (error: { code?: string; details?: { row?: number } }) => {
      return error.code === "TENSOR_VALUE" && lengthOf(error.details!.row!) > 20;
    });
    assert.deepEqual(await read({ most: 20, cut: true }), new Array(6).fill(20));
    assert.throws(() => padded("ids", "int32", { cut: true }), { code: "USAGE" });
  });

  const bucketed = (shuffled: boolean, of = "ids") => {
    const plain = parquet(path).tensors(specs()).batch(100).bucketByLength(of, 800);
    return shuffled ? plain.shuffle({ seed: 4, window: 1000 }) : plain;
  };

  interface Seen {
    readonly rows: number[];
    readonly next: Position;
  }

  async function batches(dataset: ReturnType<typeof bucketed>, from?: Position): Promise<Seen[]> {
    const seen: Seen[] = [];
    for await (const { data, next } of dataset.iterate(from === undefined ? {} : { from }))
      seen.push({ rows: [...data.row.data], next: JSON.parse(JSON.stringify(next)) });
    return seen;
  }

  for (const shuffled of [false, true])
    it(`come in batches of one length that keep the budget${shuffled ? ", shuffled" : ""}`, async () => {
      const seen = await batches(bucketed(shuffled));
      assert.deepEqual(
        seen.flatMap((batch) => batch.rows).sort((a, b) => a - b),
        Array.from({ length: ROWS }, (_, i) => i),
      );
      let elements = 0;
      let spent = 0;
      for (const batch of seen) {
        const longest = Math.max(...batch.rows.map(lengthOf));
        assert.ok(batch.rows.length * longest <= 800 && batch.rows.length <= 100);
        elements += batch.rows.reduce((sum, row) => sum + lengthOf(row), 0);
        spent += batch.rows.length * longest;
      }
      assert.ok(elements / spent > 0.9, `${elements} of ${spent}`);
      const lengthsInOrder = seen.map((batch) => Math.max(...batch.rows.map(lengthOf)));
      const ascending = lengthsInOrder.every((length, i) => i === 0 || length >= lengthsInOrder[i - 1]!);
      assert.equal(ascending, !shuffled); // all of them fit one window
      assert.deepEqual(await batches(bucketed(shuffled)), seen);
      if (!shuffled) return;
      const other = await batches(bucketed(true).epoch(1));
      assert.notDeepEqual(
        other.map((batch) => batch.rows),
        seen.map((batch) => batch.rows),
      );
    });

  it("go on from any position as if they had not stopped", async () => {
    for (const shuffled of [false, true]) {
      const whole = await batches(bucketed(shuffled));
      for (const stop of [0, 3, Math.floor(whole.length / 2), whole.length - 2])
        assert.deepEqual(await batches(bucketed(shuffled), whole[stop]!.next), whole.slice(stop + 1));
      await assert.rejects(batches(bucketed(shuffled).batch(90), whole[3]!.next), {
        code: "USAGE",
      });
    }
  });

  it("may be told by texts and by numbers, and a longer row comes alone", async () => {
    const byIds = await batches(bucketed(true));
    for (const of of ["text", "length"]) {
      const found = await batches(bucketed(true, of));
      assert.deepEqual(
        found.map((batch) => batch.rows),
        byIds.map((batch) => batch.rows),
      );
    }
    const tight = parquet(path).select("row", "ids").batch(100).bucketByLength("ids", 30);
    for await (const { rows: count, data } of tight) {
      const { offsets } = data.ids as Extract<Column, { kind: "list" }>;
      const longest = Math.max(...Array.from({ length: count }, (_, i) => offsets[i + 1]! - offsets[i]!));
      assert.ok(count === 1 || count * longest <= 30);
    }
  });

  it("are sorted within each table of a stream, with filters and take", async () => {
    async function* tables() {
      for (const first of [0, 40]) yield { ids: listColumn(40, lengthOf, first) };
    }
    const seen: number[] = [];
    const stream: Dataset<{ n: { data: Int32Array } }> = rows(tables())
      .tensors({ n: lengths("ids") })
      .bucketByLength("ids", 100)
      .take(60);
    for await (const { data } of stream) seen.push(...data.n.data);
    const sorted = (from: number): number[] =>
      Array.from({ length: 40 }, (_, i) => lengthOf(from + i)).sort((a, b) => a - b);
    assert.deepEqual(seen, [...sorted(0), ...sorted(40).slice(0, 20)]);
  });

  it("refuse columns that are not there and last batches that cannot be", async () => {
    const next = (dataset: Dataset<unknown>): Promise<unknown> => dataset.iterate().next();
    await assert.rejects(next(parquet(path).bucketByLength("nothing", 10)), { code: "USAGE" });
    await assert.rejects(next(parquet(path).bucketByLength("ids", 10).batch(10, { last: "pad" })), {
      code: "USAGE",
    });
  });
});
