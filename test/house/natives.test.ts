/** The guard on native code: seen to find a library that is loaded, then run on the pure subpaths. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkNatives, PURE_SUBPATHS } from "../../scripts/guards/natives.js";
import { ROOT } from "../../scripts/guards/tree.js";

test("a module that loads native code is found", () => {
  assert.match(checkNatives(ROOT, "koffi")[0]?.message ?? "", /loads native code: .*koffi/);
});

test("base, tensor, onnx and torch load none", () => {
  for (const subpath of PURE_SUBPATHS) assert.deepEqual(checkNatives(ROOT, subpath), [], subpath);
});
