/** Sinks: what is written is what was given, in order, or nothing is. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { type Column, columnValue, parquet, rows, sink, type Table } from "tenon/data";
import { tensor } from "tenon/tensor";

describe("sinks", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-sink-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  async function valuesOf(path: string, name: string): Promise<unknown[]> {
    const found: unknown[] = [];
    for await (const { data, rows: count } of parquet(path))
      for (let i = 0; i < count; i++) found.push(columnValue(data[name]!, i));
    return found;
  }

  it("refuses another type in a later row group, and is not committed then", async () => {
    const path = join(folder, "types.parquet");
    {
      await using out = sink.parquet(path, { rowGroup: 2 });
      await out.write({ x: Float32Array.of(1, 2) });
      const other = out.write({ x: Float64Array.of(3, 4) });
      await assert.rejects(other, (error) => isTenonError(error, "TENSOR_DTYPE"));
      await assert.rejects(out.commit(), (error) => isTenonError(error, "TENSOR_DTYPE"));
    }
    assert.ok(!existsSync(path));
    assert.deepEqual(readdirSync(folder), []);
    await using typed = sink.parquet(path, { schema: new Map([["x", { dtype: "int64", nullable: true }]]) });
    await assert.rejects(typed.write({ x: Float64Array.of(1) }), /float64; expected: int64/);
    assert.throws(() => sink.parquet(path, { rowGroup: 0.5 }), /row group/);
  });

  it("keeps the order of writes that nobody waits for", async () => {
    const path = join(folder, "order.parquet");
    await using out = sink.parquet(path, { rowGroup: 3 });
    for (let i = 0; i < 20; i++) void out.write({ x: Int32Array.of(2 * i, 2 * i + 1), t: ["a", `${i}`] });
    await out.commit();
    assert.deepEqual(
      await valuesOf(path, "x"),
      Array.from({ length: 40 }, (_, i) => i),
    );
  });

  it("copies columns whose memory is used again", async () => {
    const path = join(folder, "copied.parquet");
    const text: Column & { kind: "utf8" } = {
      kind: "utf8",
      dtype: "utf8",
      bytes: Buffer.from("abcd"),
      offsets: Int32Array.of(0, 1, 4),
      valid: Uint8Array.of(1, 1),
    };
    const list: Column = { kind: "list", offsets: Int32Array.of(0, 1, 2), child: text, valid: null };
    await using out = sink.parquet(path);
    await out.write({ text, list });
    text.bytes.fill(120);
    text.valid!.fill(0);
    await out.commit();
    assert.deepEqual(await valuesOf(path, "text"), ["a", "bcd"]);
    assert.deepEqual(await valuesOf(path, "list"), [["a"], ["bcd"]]);
  });

  it("refuses what is no column", async () => {
    const complex = tensor(Float32Array.of(1, 2, 3, 4), { dtype: "complex64", shape: [2] });
    const packed = tensor(Uint8Array.of(1, 2), { dtype: "int4", shape: [4] });
    for (const cells of [[1, 2], [undefined, "a"], new DataView(new ArrayBuffer(8)), complex, packed]) {
      await using out = sink.parquet(join(folder, "no.parquet"));
      await assert.rejects(
        out.write({ x: cells } as unknown as Table), // what a caller without types may pass
        (error) => isTenonError(error, "TENSOR_DTYPE"),
      );
      await assert.rejects(
        () =>
          rows([{ x: cells } as unknown as Table])
            .iterate()
            .next(), // as above
        (error) => isTenonError(error, "TENSOR_DTYPE"),
      );
    }
  });

  it("refuses texts of a row group that add up to 2 GiB", async () => {
    await using out = sink.parquet(join(folder, "large.parquet"));
    const text: Column = {
      kind: "utf8",
      dtype: "utf8",
      bytes: new Uint8Array(0), // it would be as long as the last offset says
      offsets: Int32Array.of(0, 2 ** 31 - 1),
      valid: null,
    };
    await out.write({ text });
    await out.write({ text });
    await assert.rejects(out.commit(), /smaller row groups/);
  });
});
