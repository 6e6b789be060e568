/** The guide to the command line names every command and exit code. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EXIT, EXIT_MEANINGS } from "./exit-codes.js";
import { createProgram } from "./program.js";

const guide = readFileSync(new URL("../../docs/guide/cli.md", import.meta.url), "utf8");

test("every command has its section, and every section its command", () => {
  const sections = [...guide.matchAll(/^## tenon (\w+)$/gm)].map(([, name]) => name);
  const commands = createProgram().commands.map((command) => command.name());
  assert.deepEqual(sections.sort(), commands.sort());
});

test("the table of exit codes is that of the code", () => {
  const rows = [...guide.matchAll(/^\| (\d+) +\| (.+?) +\|$/gm)].map(([, code, meaning]) => [
    Number(code),
    meaning,
  ]);
  const expected = Object.entries(EXIT_MEANINGS).map(([name, meaning]) => [
    EXIT[name as keyof typeof EXIT],
    meaning,
  ]);
  assert.deepEqual(rows, expected);
});
