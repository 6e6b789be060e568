/** Differences and agreements of outputs, over requests. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { type Outputs, outputRecord } from "../../runtime/index.js";
import { type Tensor, tensor } from "../../tensor/index.js";
import { Comparison } from "./comparison.js";

const outputs = (tensors: Readonly<Record<string, Tensor>>): Outputs =>
  outputRecord(Object.keys(tensors), Object.values(tensors));
const floats = (values: number[][]): Tensor => tensor(values, { dtype: "float32" });

it("compares numbers, places of the largest, texts and shapes", () => {
  const comparison = new Comparison();
  const text = tensor(["a", "b"]);
  comparison.add(
    outputs({
      y: floats([
        [1, 2, 3],
        [4, 6, 5],
      ]),
      t: text,
    }),
    outputs({
      y: floats([
        [1, 2, 4],
        [4, 6, 8],
      ]),
      t: tensor(["a", "c"]),
    }),
  );
  comparison.add(outputs({ y: floats([[1, 2]]), t: text }), outputs({ y: floats([[1, 2, 3]]), t: text }));
  comparison.failed();
  assert.deepEqual(comparison.report(), {
    requests: 2,
    failed: 1,
    unlike: 1,
    outputs: {
      y: { maxDifference: 3, meanDifference: 4 / 6, argmaxAgreement: 0.5, equal: 4 / 6 },
      t: { maxDifference: null, meanDifference: null, argmaxAgreement: null, equal: 0.5 },
    },
  });
});

it("takes NaN for the same as NaN, and for infinitely far from a number", () => {
  const comparison = new Comparison();
  comparison.add(outputs({ y: floats([[Number.NaN, 1]]) }), outputs({ y: floats([[Number.NaN, 1]]) }));
  assert.equal(comparison.report().outputs.y!.maxDifference, 0);
  comparison.add(outputs({ y: floats([[Number.NaN, 1]]) }), outputs({ y: floats([[0, 1]]) }));
  assert.equal(comparison.report().outputs.y!.maxDifference, "Infinity");
});
