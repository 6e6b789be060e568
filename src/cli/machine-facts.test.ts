/** How the files of the system are read, with and without limits. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryLimit, vectorFlags } from "./machine-facts.js";

test("only the flags that choose kernels are named", () => {
  assert.equal(vectorFlags("model name\t: x\nflags\t\t: fpu sse4_1 fma avx2 ht\n"), "sse4_1 fma avx2");
  assert.equal(vectorFlags("Features\t: fp asimd bf16\n"), "asimd bf16");
  assert.equal(vectorFlags("flags\t\t: fpu\n"), "unknown");
  assert.equal(vectorFlags(undefined), "unknown");
});

test("a memory limit is a size, none, or not known", () => {
  assert.equal(memoryLimit("1073741824\n"), "1 GiB");
  assert.equal(memoryLimit("max\n"), "no limit");
  assert.equal(memoryLimit(undefined), "no limit known");
});
