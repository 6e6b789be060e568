/** One contract for all engines: the same files, seed and epoch give the same batches, whoever reads the row groups. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import {
  type Columns,
  columnValue,
  type Dataset,
  matrix,
  type ParquetOptions,
  pack,
  parquet,
  polars,
  sink,
  sql,
  textColumn,
} from "tenon/data";
import { tensor } from "tenon/tensor";

const ROWS = 900;

/** Why a test of an engine cannot run here: optional packages have no binary for every platform. */
async function missing(name: string): Promise<string | false> {
  try {
    await import(name);
    return false;
  } catch (error) {
    return `${name} is not there: ${error instanceof Error ? error.message.slice(0, 80) : ""}`;
  }
}
const MISSING = {
  ts: false,
  duckdb: await missing("@duckdb/node-api"),
  polars: await missing("nodejs-polars"),
} as const;

type Engine = NonNullable<ParquetOptions["engine"]>;

describe("engines", () => {
  let folder: string;
  let files: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-engines-"));
    files = join(folder, "day=*", "*.parquet");
    for (const day of [1, 2]) {
      mkdirSync(join(folder, `day=${day}`));
      await using out = sink.parquet(join(folder, `day=${day}`, "x.parquet"), { rowGroup: 170 });
      const every = <T>(f: (i: number) => T): T[] => Array.from({ length: ROWS / 2 }, (_, i) => f(i * day));
      const valid = Uint8Array.from(every((i) => (i % 5 === 2 ? 0 : 1)));
      const stored = BigInt64Array.from(every((i) => (i % 5 === 2 ? 0n : BigInt(i) * 10_000_000_019n)));
      await out.write({
        a: Float32Array.from(every((i) => i / 3)),
        b: Float32Array.from(every((i) => -i / 7)),
        "odd \"name'": Float64Array.from(every((i) => i / 11)),
        n: { kind: "fixed", dtype: "int64", values: stored, valid },
        u: Uint16Array.from(every((i) => i % 65_536)),
        flag: { kind: "fixed", dtype: "bool", values: Uint8Array.from(every((i) => i % 2)), valid: null },
        text: textColumn(every((i) => (i % 4 === 1 ? null : `é ${i} ${"long ".repeat(i % 5)}`))),
        list: tensor(
          Float32Array.from({ length: ROWS }, (_, i) => i * day),
          { shape: [ROWS / 2, 2] },
        ),
        date: {
          kind: "fixed",
          dtype: "int32",
          values: Int32Array.from(every((i) => i - 100)),
          valid: null,
          logical: { kind: "date" },
        },
        time: {
          kind: "fixed",
          dtype: "int64",
          values: stored.map((value) => value * 7n),
          valid,
          logical: { kind: "timestamp", unit: "us", utc: true },
        },
        money: {
          kind: "fixed",
          dtype: "int64",
          values: stored,
          valid,
          logical: { kind: "decimal", precision: 18, scale: 2 },
        },
      });
      await out.commit();
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  async function rowsOf(dataset: Dataset<Columns>): Promise<Record<string, unknown>[]> {
    const found: Record<string, unknown>[] = [];
    for await (const { data, rows } of dataset.batch(131))
      for (let i = 0; i < rows; i++)
        found.push(
          Object.fromEntries(Object.entries(data).map(([name, column]) => [name, columnValue(column, i)])),
        );
    return found;
  }

  for (const engine of ["ts", "duckdb", "polars"] as const satisfies readonly Engine[])
    describe(engine, { skip: MISSING[engine] }, () => {
      const read = (): Dataset => parquet(files, { engine });
      const reference = (): Dataset => parquet(files);

      it("tells the same schema, files and splits", async () => {
        const [ours, theirs] = [await reference().inspect(), await read().inspect()];
        assert.equal(theirs.engine, engine);
        assert.deepEqual({ ...theirs, engine: "" }, { ...ours, engine: "" });
      });

      it("gives the same rows of every type", async () => {
        const expected = await rowsOf(reference());
        assert.equal(expected.length, ROWS);
        assert.deepEqual(await rowsOf(read()), expected);
      });

      it("gives the same rows filtered, shuffled, in shards and from a position", async () => {
        const chain = (dataset: Dataset): Dataset =>
          dataset.where({ n: { gt: 5 }, day: { ne: "3" } }).shuffle({ seed: 4, window: 300 });
        const expected = await rowsOf(chain(reference()));
        assert.deepEqual(await rowsOf(chain(read())), expected);
        assert.deepEqual(
          await rowsOf(chain(read()).shard(1, 2)),
          await rowsOf(chain(reference()).shard(1, 2)),
        );
        await using stopped = chain(reference()).batch(97).iterate();
        const first = await stopped.next();
        assert.ok(first.done !== true);
        const rest: unknown[] = [];
        for await (const { data, rows } of chain(read()).batch(97).iterate({ from: first.value.next }))
          for (let i = 0; i < rows; i++) rest.push(columnValue(data.n!, i));
        assert.deepEqual(
          rest,
          expected.slice(97).map(({ n }) => n),
        );
      });

      it("reads files by their names, not by patterns", async () => {
        const odd = join(folder, "odd");
        for (const [name, value] of [
          ["x[1]", 5],
          ["x1", 6],
        ] as const) {
          mkdirSync(join(odd, name), { recursive: true });
          await using out = sink.parquet(join(odd, name, "y?.parquet"));
          await out.write({ a: Int32Array.of(value, value + 2) });
          await out.commit();
        }
        assert.deepEqual(await rowsOf(parquet(join(odd, "x[*", "*.parquet"), { engine })), [
          { a: 5 },
          { a: 7 },
        ]);
      });

      it("gives the same tensors", async () => {
        const chain = (dataset: Dataset) =>
          dataset
            .tensors({ x: pack(["a", "b"], "float32"), l: matrix("list", 2) })
            .shuffle({ seed: 1 })
            .batch(500);
        const expected: number[] = [];
        for await (const { data } of chain(reference()))
          expected.push(...data.x.data, ...(data.l.data as Float32Array));
        const found: number[] = [];
        for await (const { data } of chain(read()))
          found.push(...data.x.data, ...(data.l.data as Float32Array));
        assert.deepEqual(found, expected);
      });
    });

  it("reads a query of DuckDB, shuffled and from a position too", { skip: MISSING.duckdb }, async () => {
    const query = `SELECT sum(n) AS total, "text", [u, NULL] AS us, a::DECIMAL(9,3) AS d, uuid() IS NULL AS no
      FROM read_parquet('${files}') GROUP BY ALL ORDER BY d, "text" NULLS FIRST`;
    const found = await rowsOf(sql(query));
    assert.ok(found.length > 100);
    assert.deepEqual(found[0], { total: 0n, text: "é 0 ", us: [0, null], d: 0n, no: false });
    const mixed = sql(query).select("d").shuffle({ seed: 2 }).batch(50);
    const all = await rowsOf(mixed);
    await using stopped = mixed.iterate();
    const step = await stopped.next();
    assert.ok(step.done !== true);
    const rest: unknown[] = [];
    for await (const { data, rows } of mixed.iterate({ from: step.value.next }))
      for (let i = 0; i < rows; i++) rest.push(columnValue(data.d!, i));
    assert.equal(rest.length, all.length - 50);
    await assert.rejects(rowsOf(sql("SELEC 1")), (error) => isTenonError(error, "USAGE"));
    // Enough rows before the failure for a stream to have begun.
    const late = "SELECT CASE WHEN i = 100000 THEN error('boom') ELSE 'x' END AS a FROM range(200000) t(i)";
    await assert.rejects(rowsOf(sql(late)), (error) => isTenonError(error, "USAGE"));
    await assert.rejects(rowsOf(sql("SELECT INTERVAL 1 DAY AS i")), /"i".*INTERVAL/);
    for (const nothing of ["", "-- a remark"])
      await assert.rejects(rowsOf(sql(nothing)), /gives no columns.*expected: a statement that gives rows/);
    for (const type of ["date", "timestamp", "timestamptz"])
      await assert.rejects(rowsOf(sql(`SELECT '-infinity'::${type} AS t`)), /"t".*an infinite date or time/);
  });

  it("reads a lazy frame of polars", { skip: MISSING.polars }, async () => {
    const { default: pl } = await import("nodejs-polars");
    const path = join(folder, "day=1", "x.parquet");
    const frame = pl
      .scanParquet(path)
      .filter(pl.col("u").gt(pl.lit(100)))
      .select("u", "text");
    const found = await rowsOf(polars(frame));
    const expected = await rowsOf(
      parquet(path, { hive: false })
        .where({ u: { gt: 100 } })
        .select("u", "text"),
    );
    assert.deepEqual(found, expected);
    await assert.rejects(rowsOf(polars(frame.select("none"))), (error) => isTenonError(error, "USAGE"));
    const no = { serialize: () => Buffer.from("{") };
    await assert.rejects(rowsOf(polars(no)), (error) => isTenonError(error, "USAGE"));
  });

  it("keeps damaged files from ending the process", { skip: MISSING.duckdb || MISSING.polars }, () => {
    const script = `
      import { readFileSync, writeFileSync } from "node:fs";
      import { isTenonError } from "tenon/base";
      import { parquet } from "tenon/data";
      const [from, mutant] = process.argv.slice(-2);
      const original = readFileSync(from);
      let refused = 0;
      for (const engine of ["duckdb", "polars"])
        for (let i = 0; i < 4; i++) {
          const bytes = Buffer.from(original);
          for (let n = 0; n < 40; n++) bytes[4 + ((i * 7919 + n * 104729) % (bytes.length - 2000))] ^= 255;
          writeFileSync(mutant, bytes);
          try {
            for await (const batch of parquet(mutant, { engine, hive: false })) batch.release();
          } catch (error) {
            if (!isTenonError(error)) throw error;
            refused++;
          }
        }
      console.log(refused);`;
    const path = join(folder, "day=1", "x.parquet");
    const child = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", script, path, join(folder, "mutant.parquet")],
      { encoding: "utf8", cwd: resolve(import.meta.dirname, "../../..") },
    );
    assert.equal(child.status, 0, child.stderr);
    assert.ok(Number(child.stdout) > 0, child.stdout);
  });
});
