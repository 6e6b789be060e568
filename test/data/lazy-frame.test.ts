/** Lazy frames of polars: the rows of windows of a plan are those of the plan, and plans that have none are collected. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, renameSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import {
  type Columns,
  columnValue,
  type Dataset,
  type LazyFrame,
  polars,
  sink,
  textColumn,
} from "tenon/data";

type Frame = ReturnType<typeof import("nodejs-polars").scanParquet>;

/** Rows of two windows, each of two row groups. */
const ROWS = 170_000;
const GROUP = 50_000;
const FEW = 2_000;

async function write(path: string, count: number, rowGroup: number): Promise<void> {
  await using out = sink.parquet(path, { rowGroup });
  const every = <T>(f: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => f(i));
  await out.write({
    id: BigInt64Array.from(every((i) => BigInt(i))),
    x: Float32Array.from(every((i) => i / 3)),
    y: Float64Array.from(every((i) => -i / 7)),
    n: {
      kind: "fixed",
      dtype: "int32",
      values: Int32Array.from(every((i) => i % 1000)),
      valid: Uint8Array.from(every((i) => (i % 5 === 2 ? 0 : 1))),
    },
    text: textColumn(every((i) => (i % 11 === 0 ? null : `é ${i % 97}`))),
  });
  await out.commit();
}

const polarsModule = await import("nodejs-polars").then(
  (loaded) => loaded.default,
  () => null,
);

describe("lazy frames", { skip: polarsModule === null ? "nodejs-polars is not there" : false }, () => {
  const pl = polarsModule!;
  let folder: string;
  let path: string;
  let small: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-lazy-"));
    path = join(folder, "rows.parquet");
    small = join(folder, "small.parquet");
    await write(path, ROWS, GROUP);
    await write(small, FEW, 700);
  });
  after(() => rmSync(folder, { recursive: true }));

  const scan = (): Frame => pl.scanParquet(path);
  const few = (): Frame => pl.scanParquet(small);

  async function columnsOf(
    dataset: Dataset<Columns>,
    options: Parameters<Dataset<Columns>["iterate"]>[0] = {},
  ): Promise<Record<string, unknown[]>> {
    const found: Record<string, unknown[]> = {};
    for await (const { data, rows } of dataset.batch(20_011).iterate(options))
      for (const [name, column] of Object.entries(data)) {
        found[name] ??= [];
        for (let i = 0; i < rows; i++) found[name].push(columnValue(column, i));
      }
    return found;
  }

  async function howOf(frame: LazyFrame): Promise<string> {
    return /^rows by +(.*)$/m.exec(await polars(frame).explain())![1]!;
  }

  const WINDOWS = "windows of the plan";

  /** Plans that make each row of one, of what they scan. */
  const LOCAL: Readonly<Record<string, (scan: Frame) => Frame>> = {
    "the file alone": (from) => from,
    "columns of it": (from) => from.select("text", "x"),
    "some rows": (from) => from.filter(pl.col("n").gt(500).and(pl.col("text").isNotNull())),
    "rows of one window": (from) => from.filter(pl.col("id").gt(100_000).and(pl.col("id").lt(100_010))),
    "no rows": (from) => from.filter(pl.col("id").lt(0)).select("id"),
    "computed columns": (from) =>
      from
        .withColumns(pl.col("x").mul(2).add(pl.col("y")).alias("z"), pl.lit("same").alias("word"))
        .filter(pl.col("z").gt(10).not().or(pl.col("n").isNull())),
    casts: (from) => from.select(pl.col("id").cast(pl.Float32).alias("f"), pl.col("n").cast(pl.Utf8)),
    conditions: (from) =>
      from.select(
        pl.when(pl.col("n").gt(10)).then(pl.col("x")).otherwise(pl.lit(0)).alias("w"),
        pl.lit(1).alias("one"),
      ),
    "whole numbers beyond 2^53": (from) =>
      from.select(pl.col("id").add(pl.lit(9_007_199_254_740_993n)).alias("far")),
    "a plan that was asked for its columns": (from) => {
      const asked = from.filter(pl.col("n").gt(990));
      assert.ok(asked.columns.length > 0);
      return asked.select("id");
    },
  };

  for (const [name, plan] of Object.entries(LOCAL))
    it(`runs ${name} in windows, with the rows of a collected plan`, async () => {
      assert.equal(await howOf(plan(scan())), WINDOWS);
      // The rows are in the order of `id`, so that sorting them changes nothing but the way they are got.
      const sorted = plan(scan().sort("id"));
      assert.match(await howOf(sorted), /^collected into a temporary file, because of Sort$/);
      const [ours, theirs] = [await columnsOf(polars(plan(scan()))), await columnsOf(polars(sorted))];
      assert.deepEqual(Object.keys(ours), Object.keys(theirs));
      for (const column of Object.keys(theirs)) assert.deepEqual(ours[column], theirs[column], column);
      assert.deepEqual(
        (await polars(plan(scan())).inspect()).schema,
        (await polars(sorted).inspect()).schema,
      );
    });

  it("shuffles and resumes windows as those of files", async () => {
    const plan = (from: Frame): Frame => from.filter(pl.col("n").gt(100)).select("id", "text");
    const whole = (from: Frame): Dataset => polars(plan(from)).shuffle({ seed: 3, window: 10 * ROWS });
    assert.deepEqual(await columnsOf(whole(scan())), await columnsOf(whole(scan().sort("id"))));
    for (const mixed of [polars(plan(scan())), polars(plan(scan())).shuffle({ seed: 3, window: 50_000 })]) {
      const all = await columnsOf(mixed);
      assert.equal(new Set(all.id).size, (await columnsOf(polars(plan(scan())))).id!.length);
      await using stopped = mixed.batch(20_011).iterate();
      await stopped.next();
      await stopped.next();
      const step = await stopped.next();
      assert.ok(step.done !== true);
      const rest = await columnsOf(mixed, { from: step.value.next });
      assert.deepEqual(rest.id, all.id!.slice(3 * 20_011));
      assert.deepEqual(rest.text, all.text!.slice(3 * 20_011));
    }
  });

  const SPILLED: Readonly<Record<string, readonly [because: string, rows: number, () => Frame]>> = {
    aggregate: ["Agg in Select", 1, () => few().select(pl.col("x").sum())],
    "filter by an aggregate": [
      "Agg in Filter",
      FEW / 2,
      () => few().filter(pl.col("x").gt(pl.col("x").mean())),
    ],
    group: ["GroupBy", 801, () => few().groupBy("n").agg(pl.col("x").sum())],
    unique: ["Distinct", 801, () => few().select("n").unique()],
    over: ["Over in HStack", FEW, () => few().withColumns(pl.col("x").sum().over("n").alias("o"))],
    rolling: ["RollingExpr in Select", FEW, () => few().select(pl.col("x").rollingMean({ windowSize: 2 }))],
    shift: ["Shift in Select", FEW, () => few().select(pl.col("id").shift(1))],
    "running sum": ["CumSum in Select", FEW, () => few().select(pl.col("id").cumSum())],
    head: ["Slice", 3, () => few().head(3)],
    sample: ["Random in Select", 5, () => few().select(pl.col("id").sample({ n: 5, seed: 1 }))],
    explode: ["MapFunction", FEW, () => few().select(pl.col("id").implode()).explode("id")],
    join: ["Join", FEW, () => few().select("id").join(few().select("id"), { on: "id" })],
    "literals alone": ["literals alone in Select", 1, () => few().select(pl.lit(1).alias("one"))],
    "literals alone below": [
      "literals alone in Select",
      1,
      () => few().select(pl.lit(1).alias("one")).withColumns(pl.col("one").alias("two")),
    ],
    "membership of a series": ["IsIn", 2, () => few().filter(pl.col("n").isIn([8]))],
    categories: [
      "Cast of an unknown form in Select",
      FEW,
      () => few().select(pl.col("text").cast(pl.Categorical)),
    ],
    "renamed columns": ["RenameAlias in Select", FEW, () => few().select(pl.col("id").suffix("_"))],
    "numbered rows": ["row_index in Scan", FEW, () => pl.scanParquet(small, { rowIndexName: "i" } as object)],
    "a limited scan": ["pre_slice in Scan", 7, () => pl.scanParquet(small, { nRows: 7 })],
    "a pattern of files": [
      "a path that is no plain one in Scan",
      FEW,
      () => pl.scanParquet(join(folder, "sm*.parquet")),
    ],
    "rows in memory": ["DataFrameScan", 2, () => pl.DataFrame({ a: [1, 2] }).lazy()],
  };

  for (const [name, [because, rows, frame]] of Object.entries(SPILLED))
    it(`collects ${name}`, async () => {
      const how = await howOf(frame());
      assert.ok(how.startsWith("collected into a temporary file, because of "), how);
      assert.ok(how.includes(because), how);
      const found = await columnsOf(polars(frame()).select(frame().columns.at(-1)!));
      const last = frame().columns.at(-1)!;
      assert.equal(found[last]!.length, rows);
      const expected = frame().select(last).collectSync().getColumn(last).toArray();
      const plain = (values: readonly unknown[]): string[] => values.map(String).sort();
      assert.deepEqual(plain(found[last]!), plain(expected));
    });

  it("collects plans with a field that is not known", async () => {
    const text = scan().select("id").serialize("json").toString();
    const edited = text.replace('"glob":true', '"glob":true,"later":null');
    assert.notEqual(edited, text);
    const frame = { serialize: () => Buffer.from(edited) };
    assert.match(await howOf(frame), /because of later in Scan/);
    assert.equal((await columnsOf(polars(frame))).id!.length, ROWS);
  });

  it("refuses a position when the file is another one, and a file that changes under it", async () => {
    const own = join(folder, "own.parquet");
    copyFileSync(path, own);
    const rows = polars(pl.scanParquet(own).filter(pl.col("n").gt(5)).select("id")).batch(1000);
    const { next } = await (async () => {
      await using stopped = rows.iterate();
      const step = await stopped.next();
      assert.ok(step.done !== true);
      return step.value;
    })();
    assert.deepEqual((await columnsOf(rows, { from: next })).id, (await columnsOf(rows)).id!.slice(1000));
    utimesSync(own, 1, 1);
    await assert.rejects(
      columnsOf(rows, { from: next }),
      /a file changed since the position was taken.*own\.parquet/s,
    );
    await assert.rejects(async () => {
      for await (const batch of rows) {
        batch.release();
        copyFileSync(path, `${own}.new`);
        renameSync(`${own}.new`, own);
      }
    }, /the file of a lazy frame changed while it was read/);
  });

  it("names rows that polars cannot compute", async () => {
    const frame = scan().select(pl.col("text").cast(pl.Int32, true));
    assert.equal(await howOf(frame), WINDOWS);
    await assert.rejects(columnsOf(polars(frame)), (error) => {
      assert.ok(isTenonError(error, "USAGE"));
      assert.match(String(error.given), /rows\.parquet, rows from 0 on: /);
      return true;
    });
    await assert.rejects(columnsOf(polars(scan().select("none"))), (error) => isTenonError(error, "USAGE"));
  });
});
