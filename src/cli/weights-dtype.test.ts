/** The type of most weights counts, not that of most tensors. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { graph } from "../onnx/index.js";
import { type DType, zeros } from "../tensor/index.js";
import { weightsDtype } from "./weights-dtype.js";

test("a model has the type of most of its weights", () => {
  const made = (...weights: readonly (readonly [dtype: DType, count: number])[]) => {
    const g = graph({ opset: 20 });
    const x = g.input("x", "float32", [1]);
    weights.forEach(([dtype, count], i) => {
      g.add("Identity", [g.initializer(`w${i}`, zeros(dtype, [count]))]);
    });
    g.output(g.add("Relu", [x]), "y", { kind: "tensor", dtype: "float32", shape: [1] });
    return g.model();
  };
  assert.equal(weightsDtype(made(["int64", 3], ["float16", 8], ["float32", 5])), "float16");
  assert.equal(weightsDtype(made(["float32", 3], ["int8", 2], ["int8", 2])), "int8");
  assert.equal(weightsDtype(made()), "float32");
});
