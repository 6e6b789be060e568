/** The guards on the form of sources: each seen to fail, then run on the sources. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHooks, checkOpenings } from "../../scripts/guards/sources.js";
import { printFinding, ROOT, readTree } from "../../scripts/guards/tree.js";

test("a source without its opening sentence is found", () => {
  const tree = new Map([
    ["a.ts", "export {};"],
    ["b.ts", "#!/usr/bin/env node\n/** Fine. */\n"],
  ]);
  assert.deepEqual(
    checkOpenings(tree).map(({ file }) => file),
    ["a.ts"],
  );
});

test("a hook that would run for the tests of every file is found", () => {
  const tree = new Map([
    ["a.test.ts", "beforeEach(() => {});"],
    ["b.test.ts", "describe('b', () => {\n  after(() => {});\n});"],
  ]);
  assert.deepEqual(
    checkHooks(tree).map(({ file }) => file),
    ["a.test.ts"],
  );
});

test("every source opens with its sentence and no hook is shared", () => {
  const sources = readTree(ROOT, ["src", "test", "bench", "examples", "scripts"], [".ts"]);
  assert.deepEqual([...checkOpenings(sources), ...checkHooks(sources)].map(printFinding), []);
});
