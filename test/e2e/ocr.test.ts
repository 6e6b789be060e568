/** The OCR example, run as its README says: it reads every character of the page. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { PAGE_ROWS } from "../../examples/02-ocr/page-text.js";

const root = resolve(import.meta.dirname, "../../..");

interface PrintedRow {
  readonly confidence: number;
  readonly text: string;
}

function parseRows(printed: string): PrintedRow[] {
  return printed
    .trimEnd()
    .split("\n")
    .map((row) => {
      const [, confidence, text] = /^(\d\.\d\d) {2}(.*)$/.exec(row) ?? assert.fail(`not a row: ${row}`);
      return { confidence: Number(confidence), text: text! };
    });
}

const expected = PAGE_ROWS.map(({ cells }) => cells.map(({ text }) => text).join("   "));

suite("example 02-ocr", () => {
  test("the page is read without a mistake", async () => {
    const main = resolve(root, "build/examples/02-ocr/main.js");
    const { stdout } = await promisify(execFile)(process.execPath, [main], { cwd: root });
    const rows = parseRows(stdout);
    assert.deepEqual(
      rows.map(({ text }) => text),
      expected,
    );
    for (const { confidence, text } of rows) assert.ok(confidence >= 0.9, `${confidence} for ${text}`);
  });

  test("the README shows what is read", async () => {
    const readme = await readFile(resolve(root, "examples/02-ocr/README.md"), "utf8");
    const [, block] = /```text\n(.*?)```/s.exec(readme) ?? assert.fail("the README shows no output");
    assert.deepEqual(
      parseRows(block!).map(({ text }) => text),
      expected,
    );
  });
});
