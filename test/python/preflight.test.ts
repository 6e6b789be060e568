/** Preflight on every official test model: none is refused when pinned, and when not, none that could run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FindingCode, preflight, readModel, refusal, underTrust } from "tenon/onnx";
import { modelsOf, SUITES } from "./onnx-cases.js";

/** What is refused from untrusted authors: newer than the runtime, or of preview domains, which it cannot run either. */
const REFUSED: { readonly [C in FindingCode]?: number } = { OPSET: 62, DOMAIN: 20 };

test("official test models are not refused", { timeout: 120_000 }, async () => {
  const pinned: string[] = [];
  const untrusted: { [code: string]: number } = {};
  for (const suite of Object.keys(SUITES) as (keyof typeof SUITES)[]) {
    for (const path of modelsOf(suite)) {
      const findings = preflight(await readModel(path));
      const error = refusal(findings);
      if (error !== undefined) pinned.push(`${path.slice(path.indexOf(suite))}: ${error.message}`);
      const first = underTrust(findings, "untrusted").find(({ severity }) => severity === "error");
      if (first !== undefined) untrusted[first.code] = (untrusted[first.code] ?? 0) + 1;
    }
  }
  assert.deepEqual(pinned, []);
  assert.deepEqual(untrusted, REFUSED);
});
