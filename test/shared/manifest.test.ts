/** The real models that the shared tests run: every file of their manifest is there, whole. */
import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";

const models = resolve(import.meta.dirname, "../../../../shared/models");

test("every model of the manifest is present and has its size", () => {
  const rows = readFileSync(join(models, "MANIFEST.tsv"), "utf8").trimEnd().split("\n").slice(1);
  assert.ok(rows.length > 0);
  for (const row of rows) {
    const [file, bytes] = row.split("\t");
    assert.equal(statSync(join(models, file!)).size, Number(bytes), file);
  }
});
