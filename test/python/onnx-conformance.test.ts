/** Every official node case through reader, writer and engine, against the manifest: an unexpected pass fails too. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readManifest } from "../conformance/manifest.js";
import { runCases } from "../conformance/runner.js";
import { modelsOf } from "./onnx-cases.js";

test("the official node cases end as the manifest says", async () => {
  const expected = readManifest();
  const results = await runCases(modelsOf("node"));
  assert.equal(results.length, expected.size);
  const unexpected = results
    .filter(({ name, status }) => status !== expected.get(name))
    .map(({ name, status, reason }) => `${name}: ${status} ${reason}, expected ${expected.get(name)}`);
  assert.deepEqual(unexpected, []);
  const passed = results.filter(({ status }) => status === "pass").length;
  assert.ok(passed >= 1500, `${passed} pass`);
});

/** They give Range a vector of one element, which ONNX Runtime takes only as long as it is no constant. */
const KEPT = new Set(["test_affine_grid_2d_expanded", "test_affine_grid_2d_align_corners_expanded"]);

test("the standard passes change no result", async () => {
  const expected = readManifest();
  const results = await runCases(modelsOf("node"), { TENON_CASE_PASSES: "1" });
  const lost = results
    .filter(({ name, status }) => expected.get(name) === "pass" && status !== "pass" && !KEPT.has(name))
    .map(({ name, status, reason }) => `${name}: ${status} ${reason}`);
  assert.deepEqual(lost, []);
});
