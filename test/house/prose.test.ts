/** The guards on texts: each seen to fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  errorsPage,
  findingsPage,
  limitsPage,
  settingsPage,
  tablePages,
} from "../../scripts/guards/pages.js";
import { checkLinks, checkMap, checkPage } from "../../scripts/guards/prose.js";
import { printFinding, ROOT, readTree } from "../../scripts/guards/tree.js";

test("links to absent files and headings are found, those in code and to the web are left alone", () => {
  const tree = new Map([
    [
      "docs/a.md",
      "# One\n[b](b.md) [h](b.md#second-part) [w](https://x.example) `[c](no.md)`\n```\n[d](no.md)\n```\n",
    ],
    ["docs/b.md", "# B\n## Second part\n[gone](../c.md) [lost](a.md#two) [own](#b)\n"],
  ]);
  assert.deepEqual(checkLinks(tree, (path) => tree.has(path)).map(printFinding), [
    "docs/b.md: the link to ../c.md leads nowhere",
    "docs/b.md: docs/a.md has no heading #two",
  ]);
});

test("a map that is too long, names what is gone or forgets a folder is found", () => {
  const map = `\`src/old/\`\n${"line\n".repeat(160)}`;
  const found = checkMap(map, ["src/tensor"], () => false)
    .map(printFinding)
    .join("\n");
  assert.match(found, /161 lines/);
  assert.match(found, /names src\/old\/, which does not exist/);
  assert.match(found, /does not name src\/tensor\//);
});

test("a page that differs from its table is found", () => {
  assert.equal(checkPage("docs/guide/errors.md", "old", "new").length, 1);
  assert.equal(checkPage("docs/guide/errors.md", undefined, "new").length, 1);
  assert.deepEqual(checkPage("docs/guide/errors.md", "same", "same"), []);
});

test("the pages made from tables are up to date", () => {
  const pages = readTree(ROOT, ["docs/guide"], [".md"]);
  const findings = Object.entries(tablePages()).flatMap(([file, text]) =>
    checkPage(file, pages.get(file), text),
  );
  assert.deepEqual(findings.map(printFinding), []);
});

test("the pages made from tables name every row", () => {
  assert.match(errorsPage(), /\| `MODEL_CRASHED` \|/);
  assert.match(settingsPage(), /\| `--http-port` \| `TENON_HTTP_PORT` \| `8000` \|/);
  assert.match(findingsPage(), /\| `LOOP_UNBOUNDED` \| a Loop never ends.* \| error \| warning \|/);
  assert.match(limitsPage(), /\| headers \| `--header-count` \| `100` \| 431 `REQUEST_TOO_LARGE` \|/);
});
