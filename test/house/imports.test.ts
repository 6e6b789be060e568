/** The import guards: each seen to fail on a violating tree, then run on the sources. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkCycles, checkLayers, importsOf } from "../../scripts/guards/imports.js";
import { printFinding, ROOT, readTree, type Tree } from "../../scripts/guards/tree.js";

const tree = (files: Record<string, string>): Tree => new Map(Object.entries(files));
const messages = (files: Record<string, string>): string[] => checkLayers(tree(files)).map(printFinding);

test("imports are read in every form, and not from comments or texts", () => {
  const source = `
    import { a } from "./a.js";
    import type { B } from './b.js';
    import "./c.js";
    export { d, type E } from "./d.js";
    export const f = await import("./f.js");
    // import { no } from "./comment.js";
    /* export { no } from "./block.js"; */
    const text = "import { no } from './text.js'";
    const more = \`import "./template.js"\`;
  `;
  assert.deepEqual(
    importsOf(source).map(({ specifier }) => specifier),
    ["./a.js", "./b.js", "./c.js", "./d.js", "./f.js"],
  );
});

test("arrows that point up, around an index, out of src or to a foreign package are found", () => {
  const seen: [string, string, RegExp][] = [
    ["src/tensor/a.ts", 'import { x } from "../runtime/index.js";', /"tensor" may not import "runtime"/],
    ["src/base/a.ts", 'import type { X } from "../tensor/index.js";', /"base" may not import "tensor"/],
    ["src/runtime/a.ts", 'import { x } from "../tensor/layout.js";', /goes around src\/tensor\/index.ts/],
    ["src/onnx/a.ts", 'const x = await import("koffi");', /may not import the package "koffi"/],
    ["src/serve/a.ts", 'import { x } from "tenon/tensor";', /imports itself/],
    ["src/serve/a.ts", 'import { x } from "../../scripts/x.js";', /leaves src/],
    ["src/tensor/a.ts", 'import fc from "fast-check";', /may not import the package "fast-check"/],
    ["src/novel/a.ts", 'import { x } from "../base/index.js";', /"novel" is not in the table/],
    ["test/a.ts", 'import { x } from "../src/tensor/layout.js";', /reaches into src\//],
  ];
  for (const [file, source, expected] of seen) {
    const found = messages({ [file]: source });
    assert.equal(found.length, 1, `${file}: ${source}`);
    assert.match(found[0]!, expected);
  }
});

test("arrows that point down pass", () => {
  const found = messages({
    "src/runtime/light.ts": 'import { refusal } from "../onnx/findings.js";',
    "src/cli/early.ts": 'import { beginProcess } from "../runtime/first-process.js";',
    "src/runtime/ort/a.ts": 'import { Tensor } from "../../tensor/index.js"; import koffi from "koffi";',
    "src/tensor/a.test.ts": 'import fc from "fast-check"; import { b } from "./b.js"; import "node:test";',
    "src/index.ts": 'export { TenonError } from "./base/index.js";',
    "test/a.ts": 'import { x } from "tenon/tensor"; import { y } from "../scripts/y.js";',
  });
  assert.deepEqual(found, []);
});

test("an import cycle is told with its whole circle", () => {
  const found = checkCycles(
    tree({
      "src/tensor/a.ts": 'import { b } from "./b.js";',
      "src/tensor/b.ts": 'import { c } from "./deep/c.js";',
      "src/tensor/deep/c.ts": 'import type { a } from "../a.js";',
      "src/tensor/d.ts": 'import { a } from "./a.js";',
    }),
  );
  assert.deepEqual(found.map(printFinding), [
    "src/tensor/a.ts: import cycle src/tensor/a.ts → src/tensor/b.ts → src/tensor/deep/c.ts → src/tensor/a.ts",
  ]);
});

test("the sources keep to the layers and hold no cycle", () => {
  const sources = readTree(ROOT, ["src", "test", "bench", "examples", "scripts"], [".ts"]);
  assert.ok(sources.size > 20);
  assert.deepEqual([...checkLayers(sources), ...checkCycles(sources)].map(printFinding), []);
});
