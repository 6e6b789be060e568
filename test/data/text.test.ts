/** CSV and JSON lines: what the cells are, what is refused by line, and the same stops, shards and shuffles as Parquet. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { isTenonError } from "tenon/base";
import {
  type Columns,
  columnValue,
  csv,
  type Dataset,
  jsonl,
  matrix,
  type Position,
  pack,
  parquet,
  printType,
  sink,
  type Table,
} from "tenon/data";
import { readNpy } from "tenon/tensor";

type Row = Record<string, unknown>;

async function rowsOf(dataset: Dataset<Columns>, from?: Position): Promise<Row[]> {
  const found: Row[] = [];
  for await (const { data, rows } of dataset.iterate(from === undefined ? {} : { from }))
    for (let i = 0; i < rows; i++)
      found.push(
        Object.fromEntries(Object.entries(data).map(([name, column]) => [name, columnValue(column, i)])),
      );
  return found;
}

describe("text tables", () => {
  let folder: string;
  let count = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-text-test-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const file = (content: string | Uint8Array, ending = "csv"): string => {
    const path = join(folder, `${count++}.${ending}`);
    writeFileSync(path, content);
    return path;
  };
  const refused = (dataset: Dataset<Columns>, message: RegExp): Promise<void> =>
    assert.rejects(rowsOf(dataset), (error) => {
      assert.ok(isTenonError(error, "FILE_INVALID"), String(error));
      assert.match(error.message, message);
      return true;
    });

  it("reads quotes, both line ends, a byte order mark, empty cells and blank lines", async () => {
    const path = file('\ufeffa,"b ""c""",d\r\n1,"x, ""y""\r\nz",\r\n\r\n,"",é\n3,,"4"');
    assert.deepEqual(await rowsOf(csv(path)), [
      { a: "1", 'b "c"': 'x, "y"\r\nz', d: null },
      { a: null, 'b "c"': "", d: "é" },
      { a: "3", 'b "c"': null, d: "4" },
    ]);
  });

  it("takes an empty line for a null where there is one column", async () => {
    assert.deepEqual(await rowsOf(csv(file("x\n1\n\n3\n"))), [{ x: "1" }, { x: null }, { x: "3" }]);
    assert.deepEqual(await rowsOf(csv(file("x\r\n\r\n\r\n"))), [{ x: null }, { x: null }]);
  });

  it("reads names and delimiters that are given, and tabs of .tsv", async () => {
    assert.deepEqual(await rowsOf(csv(file("1;2\n"), { delimiter: ";", columns: ["p", "q"] })), [
      { p: "1", q: "2" },
    ]);
    assert.deepEqual(await rowsOf(csv(file("p\tq\n1\t2,3\n", "tsv"))), [{ p: "1", q: "2,3" }]);
    assert.throws(() => csv("x", { delimiter: "é" }), /ASCII/);
  });

  it("gives cells the types that were asked for", async () => {
    const types = {
      i: "int64",
      f: "float32",
      b: "bool",
      d: "date",
      t: "timestamp",
      l: { list: "int64" },
    } as const;
    const path = file(
      'i,f,b,d,t,l\n9007199254740993,1.1,true,1970-01-03,1970-01-01T00:00:01.5Z,"[1,null]"\n,,FALSE,,,\n',
    );
    const [first, second] = await rowsOf(csv(path, { types }));
    assert.deepEqual(first, {
      i: 9007199254740993n,
      f: Math.fround(1.1),
      b: true,
      d: 2,
      t: 1_500_000n,
      l: [1n, null],
    });
    assert.deepEqual(second, { i: null, f: null, b: false, d: null, t: null, l: null });
    await refused(csv(file("i\n1\n2.5\n"), { types: { i: "int64" } }), /"i".*"2\.5" in .*line 3/s);
    await refused(csv(file('i\n1\n"a\nb"\n'), { types: { i: "int8" } }), /line 3/);
    assert.throws(() => csv("x", { types: { i: "string" } }), /no type/);
    await assert.rejects(rowsOf(csv(file("i\n1\n"), { types: { j: "int64" } })), /"j"/);
  });

  it("tells types by the first block on request, and keeps codes with leading zeros", async () => {
    const path = file("i,f,b,code,t,empty\n1,1e3,true,007,x,\n-2,nan,False,12,3,\n");
    const { schema } = await csv(path, { types: "infer" }).inspect();
    assert.deepEqual(
      [...schema].map(([name, { dtype }]) => `${name} ${printType(dtype)}`).join(),
      ["i int64,f float64,b bool,code utf8,t utf8,empty utf8"].join(),
    );
    const types = [...(await csv(path).inspect()).schema.values()].map(({ dtype }) => dtype);
    assert.deepEqual(new Set(types), new Set(["utf8"]));
  });

  it("refuses what is no CSV, by line", async () => {
    await refused(csv(file("a,b\n1,2\n3\n")), /1 in .*line 3; expected: 2/s);
    await refused(csv(file('a,b\n"x\ny",2\n3,4,5\n')), /more than 2 in .*line 4/s);
    await refused(csv(file('a,b\n1,2"3\n')), /quote.*line 2/s);
    await refused(csv(file('a,b\n1,"2"3\n')), /line 2/);
    await refused(csv(file('a,b\n1,"2\n')), /does not end.*line 2/s);
    await refused(csv(file("a,b\n1\r2,3\n")), /carriage return.*line 2/s);
    await refused(csv(file(Buffer.from([97, 10, 98, 10, 0xc3, 10]))), /UTF-8.*line 3/s);
    await refused(csv(file(Buffer.from("a,b", "utf16le"))), /./);
    await refused(
      csv(file(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("a", "utf16le")]))),
      /UTF-16/,
    );
    await refused(csv(file("a,a\n1,2\n")), /two columns/);
  });

  it("reads JSON lines: lists, objects in objects, long integers, nulls and missing keys", async () => {
    const path = file(
      [
        '{"i":1,"f":1,"o":{"p":"é","q":{"r":true}},"l":[[1,2],[],null],"big":12345678901234567890,"j":[{"a":1}]}',
        '  {"f":2.5,"o":null,"l":null,"s":"9007199254740993","big":9007199254740993,"j":[]}\r',
        "",
        '{"i":-9007199254740993,"f":"NaN","o":{"q":{"r":null}},"l":[[9007199254740995]]}',
      ].join("\n"),
      "jsonl",
    );
    assert.deepEqual(await rowsOf(jsonl(path)), [
      {
        i: 1n,
        f: 1,
        "o.p": "é",
        "o.q.r": true,
        l: [[1n, 2n], [], null],
        big: 12345678901234567000,
        j: '[{"a":1}]',
        s: null,
      },
      {
        i: null,
        f: 2.5,
        "o.p": null,
        "o.q.r": null,
        l: null,
        big: 9007199254740992,
        j: "[]",
        s: "9007199254740993",
      },
      {
        i: -9007199254740993n,
        f: Number.NaN,
        "o.p": null,
        "o.q.r": null,
        l: [[9007199254740995n]],
        big: null,
        j: null,
        s: null,
      },
    ]);
  });

  it("refuses what is no JSON line, by line", async () => {
    await refused(jsonl(file('{"a":1}\n{"a":\n', "jsonl")), /no JSON.*line 2/s);
    await refused(jsonl(file('{"a":1}\n[1]\n', "jsonl")), /no JSON object.*line 2/s);
    await refused(jsonl(file('{"a":1}\n{"a":"x"}\n', "jsonl")), /differ in type.*line 2/s);
    await refused(jsonl(file('{"a":1}\n', "jsonl"), { types: { a: "bool" } }), /"a".*line 1/s);
    await refused(jsonl(file(`{"a":${"[".repeat(100_000)}`, "jsonl")), /no JSON/);
    assert.deepEqual(await rowsOf(jsonl(file('{"a":1}\n{"a":"x"}\n', "jsonl"), { types: { a: "utf8" } })), [
      { a: "1" },
      { a: "x" },
    ]);
    assert.deepEqual(
      await rowsOf(jsonl(file('{"__proto__":1,"constructor":2}\n{}\n', "jsonl"))),
      [
        JSON.parse('{"__proto__":1,"constructor":2}') as Row,
        JSON.parse('{"__proto__":null,"constructor":null}') as Row,
      ].map((row) =>
        Object.fromEntries(Object.entries(row).map(([k, v]) => [k, v === null ? null : BigInt(v as number)])),
      ),
    );
  });

  it("refuses a late key unless the columns are chosen", async () => {
    const lines = Array.from({ length: 70_000 }, (_, i) => (i === 69_999 ? '{"a":1,"late":2}' : '{"a":1}'));
    const path = file(lines.join("\n"), "jsonl");
    await refused(jsonl(path), /"late".*line 70000/s);
    await refused(jsonl(path, { types: { b: "utf8" } }), /"late"/);
    let rows = 0;
    for await (const batch of jsonl(path, { types: { late: "int64" } }).tensors({ x: pack(["a"]) }))
      rows += batch.rows;
    assert.equal(rows, 70_000);
  });

  it("reads compressed files, and refuses damaged ones", async () => {
    const plain = "a,b\n1,2\n";
    const zipped = gzipSync(plain);
    assert.deepEqual(await rowsOf(csv(file(zipped, "csv.gz"))), [{ a: "1", b: "2" }]);
    assert.deepEqual(await rowsOf(csv(file(Buffer.concat([zipped, gzipSync("3,4\n")]), "csv.gz"))), [
      { a: "1", b: "2" },
      { a: "3", b: "4" },
    ]);
    await refused(csv(file(zipped.subarray(0, zipped.length - 9), "csv.gz")), /damaged/);
    // What zstd makes of the same text, as one block that is not compressed.
    const framed = Buffer.from("28b52ffd2008410000612c620a312c320a", "hex");
    assert.deepEqual(await rowsOf(csv(file(framed, "csv.zst"))), [{ a: "1", b: "2" }]);
    await assert.rejects(rowsOf(csv(file(framed.subarray(0, 12), "csv.zst"))), (error) =>
      isTenonError(error, "FILE_INVALID"),
    );
  });

  it("gives equal rows from any stop, in shards and shuffled, of many blocks", async () => {
    const rows = 150_000;
    const lines = ["id,text"];
    for (let i = 0; i < rows; i++) lines.push(`${i},"t ""${i}""\n${"x".repeat(i % 7)}"`);
    const path = file(lines.join("\n"));
    const ids = async (dataset: Dataset<Columns>, from?: Position): Promise<number[]> => {
      const found: number[] = [];
      const tensors = dataset.tensors({ id: pack(["id"], "float64") }).batch(10_007);
      for await (const { data } of tensors.iterate(from === undefined ? {} : { from }))
        found.push(...(data.id.data as Float64Array));
      return found;
    };
    const order = await ids(csv(path));
    assert.deepEqual(
      order,
      Array.from({ length: rows }, (_, i) => i),
    );
    const { splits } = await csv(path).inspect();
    assert.ok(splits !== null && splits.length === 3);
    const mixed = csv(path).shuffle({ seed: 3, window: 70_000 });
    const all = await ids(mixed);
    assert.notDeepEqual(all, order);
    assert.deepEqual(
      [...all].sort((a, b) => a - b),
      order,
    );
    let seen = 0;
    for await (const { next, rows: count } of mixed.tensors({ id: pack(["id"], "float64") }).batch(10_007)) {
      seen += count;
      if (seen % 5 !== 0) continue;
      assert.deepEqual(await ids(mixed, next), all.slice(seen));
    }
    const parts = await Promise.all([0, 1].map((i) => ids(csv(path).shard(i, 2))));
    assert.deepEqual(
      parts.flat().sort((a, b) => a - b),
      order,
    );
  });

  it("writes CSV and JSON lines that give the same values back", async () => {
    const cell = fc.option(fc.string({ unit: "binary", maxLength: 8 }));
    const float = fc.option(fc.float({ noDefaultInfinity: false }));
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            t: cell,
            f: float,
            i: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
          }),
          { minLength: 1, maxLength: 9 },
        ),
        async (given) => {
          const valid = (key: "f" | "i"): Uint8Array =>
            Uint8Array.from(given, (row) => (row[key] === null ? 0 : 1));
          const table: Table = {
            t: given.map(({ t }) => t),
            f: {
              kind: "fixed",
              dtype: "float32",
              values: Float32Array.from(given, ({ f }) => f ?? 0),
              valid: valid("f"),
            },
            i: {
              kind: "fixed",
              dtype: "int64",
              values: BigInt64Array.from(given, ({ i }) => i ?? 0n),
              valid: valid("i"),
            },
          };
          const types = { f: "float32", i: "int64", t: "utf8" } as const;
          for (const [out, read] of [
            [sink.csv, csv],
            [sink.jsonl, jsonl],
          ] as const) {
            const path = join(folder, "round");
            await using sunk = out(path);
            await sunk.write(table);
            await sunk.commit();
            const back = await rowsOf(read(path, { types }));
            assert.deepEqual(
              back,
              given.map(({ t, f, i }) => ({ t, f, i })),
            );
          }
        },
      ),
      { numRuns: 15, seed: 5 },
    );
  });

  it("writes lists, times and decimals as others read them", async () => {
    const table: Table = {
      l: {
        kind: "list",
        offsets: Int32Array.of(0, 2, 2),
        child: { kind: "fixed", dtype: "float32", values: Float32Array.of(0.1, Number.NaN), valid: null },
        valid: Uint8Array.of(1, 0),
      },
      d: {
        kind: "fixed",
        dtype: "int32",
        values: Int32Array.of(0, -1),
        valid: null,
        logical: { kind: "date" },
      },
      t: {
        kind: "fixed",
        dtype: "int64",
        values: BigInt64Array.of(-1n, 1_000_001n),
        valid: null,
        logical: { kind: "timestamp", unit: "us", utc: true },
      },
      n: {
        kind: "fixed",
        dtype: "int64",
        values: BigInt64Array.of(-5n, 12_345n),
        valid: null,
        logical: { kind: "decimal", precision: 9, scale: 2 },
      },
      b: { kind: "fixed", dtype: "bool", values: Uint8Array.of(0, 1), valid: null },
    };
    const path = join(folder, "typed");
    for (const make of [sink.csv, sink.jsonl] as const) {
      await using out = make(path);
      await out.write(table);
      await out.commit();
      const text = readFileSync(path, "utf8");
      assert.equal(
        text,
        make === sink.csv
          ? 'l,d,t,n,b\n"[0.1,""NaN""]",1970-01-01,1969-12-31T23:59:59.999999Z,-0.05,false\n,1969-12-31,1970-01-01T00:00:01.000001Z,123.45,true\n'
          : '{"l":[0.1,"NaN"],"d":"1970-01-01","t":"1969-12-31T23:59:59.999999Z","n":-0.05,"b":false}\n{"l":null,"d":"1969-12-31","t":"1970-01-01T00:00:01.000001Z","n":123.45,"b":true}\n',
      );
    }
    const read = jsonl(path, { types: { l: { list: "float32" } } }).where({ l: { isNull: false } });
    for await (const { data } of read.tensors({ l: matrix("l", 2) }))
      assert.equal(data.l.data[0], Math.fround(0.1));
  });

  it("writes .npy of numbers and of lists, and refuses what it does not hold", async () => {
    const path = join(folder, "x.npy");
    {
      await using out = sink.npy(path);
      for (const start of [0, 1, 2]) await out.write({ x: Int32Array.of(start) });
      const { rows, sha256 } = await out.commit();
      assert.equal(rows, 3);
      const { createHash } = await import("node:crypto");
      assert.equal(sha256, createHash("sha256").update(readFileSync(path)).digest("hex"));
    }
    const numbers = readNpy(readFileSync(path));
    assert.deepEqual(
      [numbers.dtype, numbers.shape, [...(numbers.data as Int32Array)]],
      ["int32", [3], [0, 1, 2]],
    );
    const list = (widths: readonly number[]): Table => ({
      v: {
        kind: "list",
        offsets: Int32Array.from([
          0,
          ...widths.map((_, i) => widths.slice(0, i + 1).reduce((a, b) => a + b)),
        ]),
        child: { kind: "fixed", dtype: "float32", values: new Float32Array(16), valid: null },
        valid: null,
      },
    });
    await using lists = sink.npy(path);
    await lists.write(list([2, 2]));
    await lists.commit();
    assert.deepEqual(readNpy(readFileSync(path)).shape, [2, 2]);
    for (const table of [list([2, 1]), { t: ["a"] }, { a: Int32Array.of(1), b: Int32Array.of(1) }]) {
      await using out = sink.npy(join(folder, "no.npy"));
      await assert.rejects(out.write(table as Table), (error) => isTenonError(error));
    }
    await using changed = sink.npy(join(folder, "no.npy"));
    await changed.write(list([2]));
    await assert.rejects(changed.write(list([3])), (error) => isTenonError(error, "TENSOR_SHAPE"));
  });

  it("reads partitions and several files, the empty ones too", async () => {
    const { mkdirSync } = await import("node:fs");
    for (const day of ["1", "2"]) mkdirSync(join(folder, `day=${day}`));
    writeFileSync(join(folder, "day=1", "x.jsonl"), "");
    writeFileSync(join(folder, "day=2", "x.jsonl"), '{"a":1}');
    assert.deepEqual(await rowsOf(jsonl(join(folder, "day=*", "x.jsonl"))), [{ a: 1n, day: "2" }]);
    writeFileSync(join(folder, "day=1", "x.csv"), "a\n1\n");
    writeFileSync(join(folder, "day=2", "x.csv"), "b\n1\n");
    await refused(csv(join(folder, "day=*", "x.csv")), /differ in column "a"/);
    const path = join(folder, "from.parquet");
    await using out = sink.parquet(path);
    for await (const { data } of jsonl(join(folder, "day=*", "x.jsonl"))) await out.write(data);
    await out.commit();
    assert.deepEqual(await rowsOf(parquet(path)), [{ a: 1n, day: "2" }]);
  });
});
