/** Parquet written and read again, by any stop, any shard and any batch. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { isTenonError } from "tenon/base";
import {
  col,
  columnValue,
  type Dataset,
  matrix,
  type Position,
  pack,
  parquet,
  sink,
  strings,
} from "tenon/data";
import { tensor } from "tenon/tensor";

const ROWS = 1000;
const ids = BigInt64Array.from({ length: ROWS }, (_, i) => BigInt(i) * 10_000_000_000n - 5n);
const a = Float32Array.from({ length: ROWS }, (_, i) => Math.fround(i / 3));
const b = Float32Array.from({ length: ROWS }, (_, i) => -i);
const names = Array.from({ length: ROWS }, (_, i) => (i % 7 === 3 ? null : `name ${i} ${"é".repeat(i % 3)}`));
const lists = Float32Array.from({ length: ROWS * 4 }, (_, i) => i);

describe("parquet", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-data-"));
    path = join(folder, "x.parquet");
    await using out = sink.parquet(path, { rowGroup: 64 });
    for (let from = 0; from < ROWS; from += 300) {
      const to = Math.min(ROWS, from + 300);
      await out.write({
        id: ids.subarray(from, to),
        a: a.subarray(from, to),
        b: b.subarray(from, to),
        name: names.slice(from, to),
        list: tensor(lists.subarray(from * 4, to * 4), { shape: [to - from, 4] }),
      });
    }
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  async function idsOf(
    dataset: Dataset<{ id: { data: BigInt64Array } }>,
    from?: Position,
  ): Promise<bigint[]> {
    const found: bigint[] = [];
    for await (const batch of dataset.iterate(from === undefined ? {} : { from }))
      found.push(...batch.data.id.data);
    return found;
  }

  it("gives back what was written, nulls, texts and lists too", async () => {
    let row = 0;
    for await (const { data, rows } of parquet(path).batch(130)) {
      for (let i = 0; i < rows; i++, row++) {
        assert.equal(columnValue(data.id!, i), ids[row]);
        assert.equal(columnValue(data.a!, i), a[row]);
        assert.equal(columnValue(data.name!, i), names[row]);
        assert.deepEqual(columnValue(data.list!, i), [...lists.subarray(row * 4, row * 4 + 4)]);
      }
    }
    assert.equal(row, ROWS);
  });

  it("packs columns, lists and int64 into tensors", async () => {
    const specs = { x: pack(["a", "b", "id"], "float64"), m: matrix("list", 4), id: col("id", "int64") };
    let row = 0;
    for await (const { data, rows } of parquet(path).tensors(specs).batch(77)) {
      assert.deepEqual(data.x.shape, [rows, 3]);
      for (let i = 0; i < rows; i++, row++) {
        assert.equal(data.x.at(i, 0), a[row]);
        assert.equal(data.x.at(i, 1), b[row]);
        assert.equal(data.x.at(i, 2), Number(ids[row]));
        assert.equal(data.m.at(i, 3), row * 4 + 3);
        assert.equal(data.id.at(i), ids[row]);
      }
    }
    assert.equal(row, ROWS);
  });

  it("packs any number of float32 columns, filtered and shuffled too", async () => {
    const wide = join(folder, "wide.parquet");
    const names = ["c0", "c1", "c2", "c3", "c4", "c5"];
    const count = 5000;
    const value = (row: number, c: number): number => row * 8 + c;
    {
      await using out = sink.parquet(wide, { rowGroup: 1500 });
      await out.write(
        Object.fromEntries(
          names.map((name, c) => [name, Float32Array.from({ length: count }, (_, row) => value(row, c))]),
        ),
      );
      await out.commit();
    }
    const plain = parquet(wide).batch(900);
    const some = plain.where({ c0: { lt: 8 * 40 } });
    for (const [dataset, rows] of [
      [plain, count],
      [plain.shuffle({ seed: 1, window: 3000 }), count],
      [some, 40],
      [some.shuffle({ seed: 1 }), 40],
    ] as const) {
      const seen = new Set<number>();
      for await (const { data, rows: n } of dataset.tensors({ all: pack(names), two: pack(["c4", "c1"]) })) {
        for (let i = 0; i < n; i++) {
          const row = (data.all.at(i, 0) as number) / 8;
          seen.add(row);
          for (let c = 0; c < names.length; c++) assert.equal(data.all.at(i, c), value(row, c));
          assert.deepEqual([data.two.at(i, 0), data.two.at(i, 1)], [value(row, 4), value(row, 1)]);
        }
      }
      assert.equal(seen.size, rows);
    }
  });

  it("names column and row of a null, of an unknown column and of a list of another length", async () => {
    await assert.rejects(
      () =>
        parquet(path)
          .tensors({ t: strings("name") })
          .iterate()
          .next(),
      /column "name" has a null; given: row 3/,
    );
    await assert.rejects(
      () =>
        parquet(path)
          .tensors({ x: pack(["aa"]) })
          .iterate()
          .next(),
      /no column "aa"/,
    );
    await assert.rejects(
      () =>
        parquet(path)
          .tensors({ m: matrix("list", 5) })
          .iterate()
          .next(),
      /given: 4 in row 0/,
    );
  });

  it("filters alike with and without statistics", async () => {
    const wanted = [...ids].filter((_, i) => a[i]! > 100 && i < 700);
    const found = await idsOf(
      parquet(path)
        .where({ a: { gt: 100 }, b: { gt: -700 } })
        .tensors({ id: col("id", "int64") }),
    );
    assert.deepEqual(found, wanted);
  });

  it("goes on from any position as if it had not stopped, also shuffled and filtered", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          batch: fc.integer({ min: 1, max: 400 }),
          window: fc.integer({ min: 1, max: 500 }),
          shuffle: fc.boolean(),
          filter: fc.boolean(),
          seed: fc.nat(),
          epoch: fc.nat(3),
          repeat: fc.integer({ min: 1, max: 2 }),
          stop: fc.nat(20),
          take: fc.option(fc.integer({ min: 1, max: 1500 }), { nil: undefined }),
        }),
        async (c) => {
          let dataset = parquet(path).batch(c.batch).epoch(c.epoch).repeat(c.repeat).prefetch(2);
          if (c.shuffle) dataset = dataset.shuffle({ seed: c.seed, window: c.window });
          if (c.filter) dataset = dataset.where({ a: { lt: 250 } });
          if (c.take !== undefined) dataset = dataset.skip(10).take(c.take);
          const typed = dataset.tensors({ id: col("id", "int64") });
          const whole = await idsOf(typed);
          const until: bigint[] = [];
          let position: Position | undefined;
          let count = 0;
          for await (const batch of typed) {
            until.push(...batch.data.id.data);
            position = JSON.parse(JSON.stringify(batch.next)) as Position;
            if (count++ === c.stop) break;
          }
          assert.deepEqual([...until, ...(await idsOf(typed, position))], whole);
          if (!c.filter && c.take === undefined) {
            const sorted = [...whole].sort((x, y) => Number(x - y));
            assert.deepEqual(
              sorted,
              Array.from({ length: ROWS * c.repeat }, (_, i) => ids[Math.floor(i / c.repeat)]),
            );
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("counts skip and take from the start, wherever it goes on", async () => {
    const typed = parquet(path)
      .batch(70)
      .tensors({ id: col("id", "int64") });
    const batches = typed.iterate();
    await batches.next();
    const second = await batches.next();
    await batches.return();
    assert.deepEqual(await idsOf(typed.take(200), second.value!.next), [...ids.subarray(140, 200)]);
    assert.deepEqual(await idsOf(typed.take(100), second.value!.next), []);
  });

  it("takes folders for columns, escaped, null or neither", async () => {
    for (const name of ["k=a%20b", "k=__HIVE_DEFAULT_PARTITION__", "k=100%"]) {
      await using out = sink.parquet(join(folder, "hive", name, "x.parquet"));
      await out.write({ v: Int32Array.of(1) });
      await out.commit();
    }
    const found: unknown[] = [];
    for await (const { data, rows } of parquet(join(folder, "hive/*/x.parquet")))
      for (let i = 0; i < rows; i++) found.push(columnValue(data.k!, i));
    assert.deepEqual(found, ["100%", null, "a b"]);
  });

  it("partitions by shards and by hash", async () => {
    const base = parquet(path)
      .tensors({ id: col("id", "int64") })
      .shuffle({ seed: 3, window: 100 });
    const shards = await Promise.all([0, 1, 2].map((i) => idsOf(base.shard(i, 3))));
    assert.deepEqual(shards.flat().sort(), [...ids].sort());
    const { train, test } = base.split({ train: 8, test: 2 }, "id");
    const [first, second] = [await idsOf(train), await idsOf(test)];
    assert.deepEqual([...first, ...second].sort(), [...ids].sort());
    assert.ok(second.length > 120 && second.length < 280, String(second.length));
  });

  it("refuses a position of another file and names it", async () => {
    const other = join(folder, "other.parquet");
    const write = async (rows: number): Promise<void> => {
      await using out = sink.parquet(other);
      await out.write({ id: ids.subarray(0, rows) });
      await out.commit();
    };
    await write(10);
    const dataset = parquet(other).batch(3);
    const first = await dataset.iterate().next();
    await write(11);
    await assert.rejects(
      () => dataset.iterate({ from: first.value!.next }).next(),
      (error) => isTenonError(error, "USAGE") && /other\.parquet/.test(error.message),
    );
  });

  it("leaves nothing behind when a sink is not committed", async () => {
    const lost = join(folder, "lost.parquet");
    {
      await using out = sink.parquet(lost, { rowGroup: 10 });
      await out.write({ id: ids });
    }
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes("lost")),
      [],
    );
  });

  it("refuses files that are cut off or no Parquet", async () => {
    const bad = join(folder, "bad.parquet");
    for (const bytes of ["", "PAR1", "PAR1PAR1PAR1", `PAR1${"\u0000".repeat(40)}PAR1`]) {
      writeFileSync(bad, bytes);
      await assert.rejects(
        () => parquet(bad).inspect(),
        (error) => isTenonError(error, "FILE_INVALID"),
      );
    }
  });
});
