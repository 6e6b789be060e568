/** Made-up inputs: shapes from signature, rows and named sizes; what is left open is named. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Signature } from "../runtime/index.js";
import { parseDims, sampleInputs } from "./sample-inputs.js";

const signature: Signature = {
  inputs: [
    { name: "ids", dtype: "int64", dims: ["batch", "seq"] },
    { name: "image", dtype: "float16", dims: ["batch", 3] },
    { name: "text", dtype: "string", dims: ["batch"] },
    { name: "flag", dtype: "bool", dims: [] },
  ],
  outputs: [],
};

test("the first free dimension is the rows, others have their size by name", () => {
  const dims = parseDims(["seq=5"], signature);
  const made = sampleInputs(signature, { rows: 2, batched: true, dims });
  assert.deepEqual(
    Object.values(made).map(({ dtype, shape }) => [dtype, shape]),
    [
      ["int64", [2, 5]],
      ["float16", [2, 3]],
      ["string", [2]],
      ["bool", []],
    ],
  );
});

test("dimensions without a size and unknown names are refused", () => {
  assert.throws(() => sampleInputs(signature, { rows: 1, batched: true, dims: {} }), {
    code: "USAGE",
    message: /given: seq;.*--dim NAME=SIZE/,
  });
  assert.throws(() => parseDims(["sec=5"], signature), { code: "USAGE", message: /did you mean "seq"/ });
  assert.throws(() => parseDims(["seq"], signature), { code: "USAGE" });
});
