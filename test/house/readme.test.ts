/** The README guard: blocks are read, missing marks and commands that CI lacks are found, failing blocks fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Block, blocksOf, checkMarks, proveBlock } from "../../scripts/guards/readme.js";
import { printFinding, ROOT } from "../../scripts/guards/tree.js";

const fence = "```";
const README = `# X
${fence}sh ci
npm ci && npm test
${fence}
${fence}sh serve
npm ci && npm start
${fence}
${fence}json
{}
${fence}
`;

const block = (code: string, mark: string, language = "sh"): Block => ({ language, mark, code, line: 1 });

test("marked blocks that CI runs pass", () => {
  assert.deepEqual(
    blocksOf(README).map(({ language, mark, line }) => [language, mark, line]),
    [
      ["sh", "ci", 2],
      ["sh", "serve", 5],
      ["json", "", 8],
    ],
  );
  assert.deepEqual(checkMarks(README, 'run "npm ci && npm test"\n'), []);
});

test("a block without a mark, a command that CI lacks and a README without commands are found", () => {
  const unmarked = checkMarks(`${README}${fence}sh\nls\n${fence}\n`, 'run "npm ci && npm test"');
  assert.match(unmarked.map(printFinding).join(), /README.md:11: the block needs one of the marks/);
  assert.match(checkMarks(README, "").map(printFinding).join(), /does not run "npm ci && npm test"/);
  assert.equal(checkMarks("# Empty", "").length, 2);
});

test("a block that fails is found, one that works passes", async () => {
  assert.deepEqual(await proveBlock(ROOT, block("true\n", "run")), []);
  const [failing] = await proveBlock(ROOT, block("echo some words\nfalse\n", "run"));
  assert.match(failing!.message, /exits with 1:\nsome words/);
});

test("a server that prints no curl line, or one that does not answer, is found", async () => {
  const [silent] = await proveBlock(ROOT, block("echo no line\n", "serve"));
  assert.match(silent!.message, /printed no curl line:\nno line/);
  const [wrong] = await proveBlock(ROOT, block("echo 'curl --version'; exec sleep 30\n", "serve"));
  assert.match(wrong!.message, /"curl --version" answered \(0\)/);
});
