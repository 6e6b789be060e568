/** The Python that the reference tests compare against: present, with the pinned packages. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

test("the reference environment has numpy and the pinned onnx", () => {
  const python = process.env.TENON_PYTHON!;
  const script = "import numpy, onnx; print(int(numpy.arange(4).sum()), onnx.__version__)";
  const printed = execFileSync(python, ["-c", script], { encoding: "utf8", timeout: 60_000 });
  assert.equal(printed.trim(), "6 1.22.0");
});
