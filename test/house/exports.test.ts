/** The export guard: seen to fail on a name too many, a name gone, `export *` and a missing file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkExports, EXPORTS_FILE, exportedNames } from "../../scripts/guards/exports.js";
import { printFinding, ROOT, readTree } from "../../scripts/guards/tree.js";

const manifest = JSON.stringify({
  name: "tenon",
  exports: {
    ".": { default: "./dist/index.js" },
    "./tensor": { default: "./dist/tensor/index.js" },
    "./package.json": "./package.json",
  },
});

const files = (changes: Record<string, string> = {}) =>
  new Map(
    Object.entries({
      "package.json": manifest,
      "src/index.ts": 'export { a, type B, c as d } from "./x.js";\nexport type { E } from "./y.js";',
      "src/tensor/index.ts": "export function f(): void {}\nexport interface G {}\nexport const h = 1;",
      [EXPORTS_FILE]:
        "tenon a\ntenon d\ntenon type B\ntenon type E\ntenon/tensor f\ntenon/tensor h\ntenon/tensor type G\n",
      ...changes,
    }),
  );

test("every form of export is read, and a list that agrees passes", () => {
  assert.equal(exportedNames(files()).length, 7);
  assert.deepEqual(checkExports(files()), []);
});

test("a name too many, a name gone, export * and a missing file are found", () => {
  const seen: [Record<string, string>, RegExp][] = [
    [
      {
        "src/index.ts":
          'export { a, type B, c as d, extra } from "./x.js";\nexport type { E } from "./y.js";',
      },
      /lacks "tenon extra"/,
    ],
    [
      { "src/tensor/index.ts": "export function f(): void {}\nexport interface G {}" },
      /lists "tenon\/tensor h"/,
    ],
    [
      { "src/index.ts": 'export { a, type B, c as d } from "./x.js";\nexport { E } from "./y.js";' },
      /lacks "tenon E"/,
    ],
    [{ "src/tensor/index.ts": 'export * from "./all.js";' }, /exports \*/],
  ];
  for (const [changes, expected] of seen) {
    assert.match(checkExports(files(changes)).map(printFinding).join("\n"), expected);
  }
  const without = files();
  without.delete("src/index.ts");
  assert.match(
    checkExports(without).map(printFinding).join("\n"),
    /exports tenon, but the file is not there/,
  );
});

test("the list is that of the sources", () => {
  const tree = readTree(ROOT, ["src", "package.json", EXPORTS_FILE], [".ts", "package.json", "exports.txt"]);
  assert.deepEqual(checkExports(tree).map(printFinding), []);
});

test("the list holds what the built package exports at run time", async () => {
  const names = exportedNames(readTree(ROOT, ["src", "package.json"], [".ts", "package.json"]));
  for (const subpath of [
    "tenon",
    "tenon/base",
    "tenon/tensor",
    "tenon/onnx",
    "tenon/runtime",
    "tenon/serve",
  ]) {
    const module: object = await import(subpath);
    const values = names.filter((name) => name.startsWith(`${subpath} `) && !name.includes(" type "));
    assert.deepEqual(
      values.map((name) => name.split(" ")[1]),
      Object.keys(module).sort(),
      subpath,
    );
  }
});
