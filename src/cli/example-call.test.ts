/** The printed curl line: an inference where sizes are known, metadata where they are not, quotes safe. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Signature } from "../runtime/index.js";
import { exampleCall } from "./example-call.js";

const model = (name: string, inputs: Signature["inputs"], maxBatch = 64) => ({
  name,
  maxBatch,
  signature: { inputs, outputs: [] },
});

test("known sizes make an inference, of the first model that has them", () => {
  const open = model("open", [{ name: "x", dtype: "float32", dims: ["n", "seq"] }]);
  const known = model("known", [{ name: "it's", dtype: "int64", dims: ["n", 2] }]);
  const line = exampleCall("http://h:1", [open, known]);
  assert.equal(
    line,
    `curl -s http://h:1/v2/models/known/infer -d '{"inputs":[{"name":"it'\\''s","datatype":"INT64","shape":[1,2],"data":[[0,0]]}]}'`,
  );
});

test("open sizes, large inputs and dtypes without a wire name ask for metadata", () => {
  for (const input of [
    { name: "x", dtype: "float32", dims: ["n", null] },
    { name: "x", dtype: "float32", dims: ["n", 1000] },
    { name: "x", dtype: "float8e5m2", dims: [1] },
    { name: "x", dtype: "float32", dims: undefined },
  ] as const) {
    assert.equal(exampleCall("http://h:1", [model("m", [input])]), "curl -s http://h:1/v2/models/m");
  }
  assert.match(exampleCall("u", [model("m", [{ name: "x", dtype: "bool", dims: ["n"] }], 0)]), /models\/m$/);
});
