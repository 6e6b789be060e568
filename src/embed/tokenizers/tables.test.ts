/** Tables of tokenizers on disk: taken where they are as they were written, made again where they are not. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Tables, tableStore } from "./tables.js";

describe("tableStore", () => {
  let cache: string;
  before(() => {
    cache = mkdtempSync(join(tmpdir(), "tenon-tables-"));
  });
  after(() => {
    rmSync(cache, { recursive: true });
  });

  const tables: Tables = { a: Int32Array.of(-1, 2, 3), b: Uint16Array.of(65535), none: new Int32Array(0) };
  let made = 0;
  const take = (json: string, from: Tables = tables): Tables =>
    tableStore(cache, Buffer.from(json)).take(() => {
      made++;
      return from;
    });
  const files = (): readonly string[] => {
    const folder = join(cache, "tokenizers");
    return readdirSync(folder).map((name) => join(folder, name));
  };

  test("they are made once for the same file", () => {
    take("{}");
    assert.deepEqual(take("{}"), tables);
    assert.equal(made, 1);
    take("{ }");
    assert.equal(made, 2);
    assert.equal(files().length, 2);
  });

  test("a file that was changed or cut off is not taken", () => {
    made = 0;
    for (const change of [
      (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
      (bytes: Buffer) => bytes.fill(1, bytes.length - 9, bytes.length - 8),
      (bytes: Buffer) => bytes.fill(1, 0, 1),
      () => Buffer.alloc(0),
    ]) {
      for (const file of files()) writeFileSync(file, change(readFileSync(file)));
      assert.deepEqual(take("{}"), tables);
      assert.deepEqual(take("{}"), tables);
    }
    assert.equal(made, 4);
  });

  test("so many are kept, and where nothing can be written they are made", () => {
    for (let i = 0; i < 40; i++) take(`[${i}]`);
    assert.equal(files().length, 32);
    made = 0;
    writeFileSync(join(cache, "file"), "");
    const store = tableStore(join(cache, "file"), Buffer.from("{}"));
    assert.equal(
      store.take(() => tables),
      tables,
    );
  });
});
