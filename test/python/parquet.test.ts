/** Parquet, Arrow and CSV files that pyarrow wrote, and ours read by pyarrow: every type, encoding and codec, value by value. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { arrow, type CellType, type Column, columnValue, csv, type Dataset, parquet, sink } from "tenon/data";
import { float16ToNumber } from "tenon/tensor";

const SCRIPT = resolve(import.meta.dirname, "../../../test/python/parquet_files.py");

interface Written {
  readonly kinds: readonly string[];
  readonly columns: Readonly<Record<string, readonly unknown[]>>;
}

function python(...args: readonly string[]): unknown {
  const text = execFileSync(process.env.TENON_PYTHON!, [SCRIPT, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(text);
}

/** As the script prints values, but for floats, which are compared as numbers. */
function spelt(column: Column, row: number): unknown {
  const value = columnValue(column, row);
  if (value !== null && column.kind === "fixed" && column.dtype === "float16")
    return float16ToNumber(value as number);
  if (column.kind === "fixed" && typeof value === "number" && !column.dtype.startsWith("float"))
    return String(value);
  if (column.kind === "list" && Array.isArray(value))
    return value.map((_, i) => spelt(column.child, column.offsets[row]! + i));
  if (typeof value === "bigint") return String(value);
  return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
}

/** Python's hexadecimal floats as numbers. */
function parsed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(parsed);
  const match = typeof value === "string" ? /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/.exec(value) : null;
  if (match === null) return value;
  const [, sign, whole, digits, power] = match as unknown as [string, string, string, string, string];
  const mantissa = Number(whole) + Number.parseInt(digits, 16) / 16 ** digits.length;
  return (sign === "-" ? -1 : 1) * mantissa * 2 ** Number(power);
}

describe("parquet and pyarrow", {
  skip: process.env.TENON_PYTHON ? false : "TENON_PYTHON is not set",
}, () => {
  let folder: string;
  let written: Written;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-parquet-"));
    written = python("write", folder) as Written;
  });
  after(() => rmSync(folder, { recursive: true }));

  it("reads every type in every encoding and codec", async () => {
    for (const kind of written.kinds) {
      const found: Record<string, unknown[]> = {};
      for await (const { data, rows } of parquet(join(folder, `${kind}.parquet`)).batch(97))
        for (const [name, column] of Object.entries(data))
          for (let row = 0; row < rows; row++) (found[name] ??= []).push(spelt(column, row));
      assert.deepEqual(Object.keys(found), Object.keys(written.columns), kind);
      for (const [name, values] of Object.entries(written.columns)) {
        const scale = kind === "int96" && name === "stamp" ? 1000n : 1n;
        const wanted = values.map((value) =>
          scale > 1n && value !== null ? String(BigInt(value as string) * scale) : parsed(value),
        );
        assert.deepEqual(found[name], wanted, `${kind}, ${name}`);
      }
    }
  });

  it("writes files that pyarrow reads to the same values and types", async () => {
    const path = join(folder, "ours.parquet");
    const names = Object.keys(written.columns).filter((name) => name !== "deep");
    await using out = sink.parquet(path, { rowGroup: 130 });
    for await (const { data } of parquet(join(folder, "v2-zstd.parquet"))
      .select(...names)
      .batch(200))
      await out.write(data);
    await out.commit();
    const read = python("read", path) as {
      types: Record<string, string>;
      bounds: Record<string, unknown[]>;
      columns: Record<string, unknown[]>;
    };
    for (const name of names) assert.deepEqual(read.columns[name], written.columns[name], name);
    assert.deepEqual(read.bounds.i16, ["-300", "-171"]);
    assert.deepEqual(read.bounds.u64, [String(2n ** 64n - 130n), String(2n ** 64n - 1n)]);
    // The format asks for -0 as the least when a zero is (apache/parquet-format, Statistics).
    assert.deepEqual(parsed(read.bounds.f32), [-0, Math.fround(129 / 3)]);
    assert.equal(read.types.u8, "uint8");
    assert.equal(read.types.f16, "halffloat");
    assert.equal(read.types.stamp, "timestamp[us, tz=UTC]");
    assert.equal(read.types.list, "list<element: float>");
  });

  async function valuesOf(dataset: Dataset): Promise<Record<string, unknown[]>> {
    const found: Record<string, unknown[]> = {};
    for await (const { data, rows } of dataset.batch(97))
      for (const [name, column] of Object.entries(data))
        for (let row = 0; row < rows; row++) (found[name] ??= []).push(spelt(column, row));
    return found;
  }

  it("reads Arrow files and streams of every layout", async () => {
    const { kinds, columns } = python("write-arrow", folder) as Written;
    for (const kind of kinds) {
      const found = await valuesOf(arrow(join(folder, `${kind}.arrow`)));
      assert.deepEqual(Object.keys(found), Object.keys(columns), kind);
      for (const [name, values] of Object.entries(columns))
        assert.deepEqual(
          found[name],
          (kind === "other" ? values.slice(3) : values).map(parsed),
          `${kind}, ${name}`,
        );
    }
    assert.deepEqual(await valuesOf(arrow(join(folder, "more.arrow"))), {
      code: ["b", null, "a", "b"],
      view: ["short", null, "a text longer than twelve bytes", ""],
      pair: [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
        ["7", "8"],
      ],
      none: [null, null, null, null],
      second: ["1000", null, "-3000", "4000"],
      "places.x": [["1"], [], null, [null, "4"]],
      "map.key": [["k"], [], null, ["l"]],
      "map.value": [["1"], [], null, [null]],
    });
  });

  it("writes Arrow files that pyarrow reads to the same values and types", async () => {
    const path = join(folder, "ours.arrow");
    const names = Object.keys(written.columns);
    await using out = sink.arrow(path, { rowGroup: 130, metadata: { a: "b" } });
    for await (const { data } of parquet(join(folder, "v2-zstd.parquet")).batch(200)) await out.write(data);
    await out.commit();
    const read = python("read-arrow", path) as {
      types: Record<string, string>;
      columns: Record<string, unknown[]>;
    };
    for (const name of names)
      if (!name.startsWith("place.")) assert.deepEqual(read.columns[name], written.columns[name], name);
    assert.deepEqual(
      [read.types.u8, read.types.f16, read.types.stamp, read.types.money, read.types.list],
      ["uint8", "halffloat", "timestamp[us, tz=UTC]", "decimal128(9, 2)", "list<item: float>"],
    );
    assert.deepEqual(await valuesOf(arrow(path)), await valuesOf(parquet(join(folder, "v2-zstd.parquet"))));
  });

  it("reads pyarrow's CSV, and writes CSV that pyarrow reads", async () => {
    const theirs = python("write-csv", folder) as {
      columns: Record<string, unknown[]>;
      types: Record<string, string>;
    };
    const names: Readonly<Record<string, CellType>> = {
      float: "float32",
      double: "float64",
      string: "utf8",
      "date32[day]": "date",
    };
    const types = Object.fromEntries(
      Object.entries(theirs.types).map(([name, type]) => [name, names[type] ?? (type as CellType)]),
    );
    const dataset = csv(join(folder, "theirs.csv"), { types });
    const found = await valuesOf(dataset);
    for (const [name, values] of Object.entries(theirs.columns))
      assert.deepEqual(found[name], values.map(parsed), name);
    const path = join(folder, "ours.csv");
    await using out = sink.csv(path);
    for await (const { data } of dataset.batch(211)) await out.write(data);
    await out.commit();
    const read = python("read-csv", path) as { columns: Record<string, unknown[]> };
    assert.deepEqual(read.columns, theirs.columns);
  });
});
