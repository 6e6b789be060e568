/** The guide to the command line names every command and exit code. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EXIT, EXIT_MEANINGS } from "./exit-codes.js";
import { createProgram } from "./program.js";

const guide = readFileSync(new URL("../../docs/guide/cli.md", import.meta.url), "utf8");

test("every command has its section, and every section its command", async () => {
  const sections = [...guide.matchAll(/^## tenon (\w+)$/gm)].map(([, name]) => name);
  const commands = (await createProgram()).commands.map((command) => command.name());
  assert.deepEqual(sections.sort(), commands.sort());
});

test("a command that is named is made alone, as it is among all", async () => {
  const all = (await createProgram()).commands;
  for (const command of all) {
    const { commands } = await createProgram(command.name());
    assert.deepEqual(
      commands.map((one) => one.helpInformation()),
      [command.helpInformation()],
    );
  }
  assert.equal((await createProgram("--help")).commands.length, all.length);
  assert.equal((await createProgram("toString")).commands.length, all.length);
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
