/** Conditions on rows: what each comparison keeps, with and without statistics, and what is no condition. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { columnValue, type FieldType, pack, parquet, rows, sink, type Where } from "tenon/data";

/** Microseconds of the first day of 2024 in UTC. */
const DAY = BigInt(Date.UTC(2024, 0, 1)) * 1000n;

describe("where", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-where-"));
    path = join(folder, "x.parquet");
    const timestamp = (utc: boolean): FieldType => ({
      dtype: "int64",
      nullable: true,
      logical: { kind: "timestamp", unit: "us", utc },
    });
    const schema = new Map<string, FieldType>([
      ["id", { dtype: "int32", nullable: false }],
      ["f", { dtype: "float32", nullable: false }],
      ["at", timestamp(true)],
      ["local", timestamp(false)],
      ["day", { dtype: "int32", nullable: true, logical: { kind: "date" } }],
      ["text", { dtype: "utf8", nullable: true }],
    ]);
    await using out = sink.parquet(path, { rowGroup: 2, schema });
    await out.write({
      id: Int32Array.of(0, 1, 2, 3),
      f: Float32Array.of(0.1, 0.1, 0.7, 0.7),
      at: BigInt64Array.of(DAY - 1n, DAY, DAY + 500_000n, DAY + 3_600_000_000n),
      local: BigInt64Array.of(DAY - 1n, DAY, DAY + 500_000n, DAY + 3_600_000_000n),
      day: Int32Array.of(-1, 0, 19_722, 19_723),
      text: ["1", "10", null, "9007199254740993"],
    });
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  async function kept(where: Where): Promise<unknown[]> {
    const found: unknown[] = [];
    for await (const { data, rows: count } of parquet(path).where(where))
      for (let i = 0; i < count; i++) found.push(columnValue(data.id!, i));
    return found;
  }

  it("rounds a literal as the column's values are, in the statistics too", async () => {
    assert.deepEqual(await kept({ f: { eq: 0.1 } }), [0, 1]);
    assert.deepEqual(await kept({ f: { ge: 0.7 } }), [2, 3]);
    assert.deepEqual(await kept({ f: { le: 0.1 } }), [0, 1]);
    assert.deepEqual(await kept({ f: { in: [0.7, 5] } }), [2, 3]);
    assert.deepEqual(await kept({ f: { gt: 0.7 } }), []);
  });

  it("leaves row groups unread where their statistics allow", async () => {
    const broken = join(folder, "broken.parquet");
    const bytes = readFileSync(path);
    bytes.fill(255, 4, 40); // pages of the first row group
    writeFileSync(broken, bytes);
    const ids = async (where: Where): Promise<unknown> => {
      for await (const { data } of parquet(broken).where(where)) return columnValue(data.id!, 0);
    };
    assert.equal(await ids({ f: { gt: 0.5 } }), 2);
    assert.equal(await ids({ id: { ge: 2n } }), 2);
    await assert.rejects(
      () => ids({ f: { ge: 0.1 } }),
      (error) => isTenonError(error, "FILE_INVALID"),
    );
  });

  it("compares dates and times as points in time, not as texts", async () => {
    for (const text of ["2024-01-01", "2024-01-01T00:00Z", "2024-01-01T01:00:00.000+01:00"]) {
      assert.deepEqual(await kept({ at: { eq: text } }), [1], text);
      assert.deepEqual(await kept({ at: { gt: text } }), [2, 3], text);
      assert.deepEqual(await kept({ at: { ge: text } }), [1, 2, 3], text);
      assert.deepEqual(await kept({ at: { lt: text } }), [0], text);
    }
    assert.deepEqual(await kept({ local: { le: "2024-01-01 00:00:00.5" } }), [0, 1, 2]);
    assert.deepEqual(await kept({ day: { ge: "2023-12-31" } }), [2, 3]);
    assert.deepEqual(await kept({ day: { in: ["1969-12-31", "2024-01-01"] } }), [0, 3]);
  });

  it("compares texts with numbers exactly, and keeps nothing for an empty list", async () => {
    assert.deepEqual(await kept({ text: { gt: 9007199254740992n } }), [3]);
    assert.deepEqual(await kept({ text: { le: 10 } }), [0, 1]);
    assert.deepEqual(await kept({ text: { lt: "10" } }), [0]);
    assert.deepEqual(await kept({ text: { in: [] } }), []);
    assert.deepEqual(await kept({ text: { isNull: true } }), [2]);
  });

  it("refuses what is no condition, and texts that are no time of the column", async () => {
    const wrong: unknown[] = [
      { f: 5 },
      { f: null },
      { f: [1] },
      { f: { gt: null } },
      { f: { gt: [1] } },
      { f: { in: 5 } },
      { text: { in: [1, "1"] } },
      { f: { isNull: 1 } },
      { f: { over: 1 } },
      { f: { gt: "0.5" } },
      { day: { eq: "2024-02-30" } },
      { day: { eq: "2024-01-01T00:00" } },
      { local: { eq: "2024-01-01T00:00Z" } },
      { at: { eq: "2024-01-01T25:00Z" } },
      { at: { eq: "2024-01-01T00:00:00.1234567Z" } },
    ];
    for (const where of wrong)
      await assert.rejects(
        () => kept(where as Where), // what JSON may hold
        (error) => isTenonError(error, "USAGE"),
        JSON.stringify(where),
      );
  });

  it("takes no word for a number", async () => {
    for (const text of ["constructor", "__proto__", "0x10", "1_000", ""])
      await assert.rejects(
        () =>
          rows([{ t: [text] }])
            .tensors({ x: pack(["t"]) })
            .iterate()
            .next(),
        (error) => isTenonError(error, "TENSOR_VALUE"),
        text,
      );
  });
});
