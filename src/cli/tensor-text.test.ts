/** Printed tensors: shortest float32 decimals, strings quoted, long axes cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor, zeros } from "../tensor/index.js";
import { jsonValues, tensorText } from "./tensor-text.js";

test("values are nested like the shape", () => {
  assert.equal(
    tensorText(
      tensor([
        [0.1, 2],
        [3, 4],
      ]),
    ),
    "float32 [2, 2]\n[[0.1, 2],\n [3, 4]]",
  );
  assert.equal(tensorText(tensor(['a"b', ""])), 'string [2]\n["a\\"b", ""]');
  assert.equal(tensorText(tensor(7n)), "int64 []\n7");
  assert.equal(tensorText(zeros("float32", [0])), "float32 [0]\n[]");
});

test("the middle of long axes is left out", () => {
  const text = tensorText(zeros("uint8", [20, 20]));
  assert.equal(text.split("\n").length, 8);
  assert.match(text, /\[0, 0, 0, …, 0, 0, 0\]/);
});

test("JSON values of float32 are shortest decimals, 64-bit integers bigints", () => {
  assert.deepEqual(jsonValues(tensor([0.1, 1 / 3])), [0.1, 0.33333334]);
  assert.deepEqual(jsonValues(tensor([2n ** 60n])), [2n ** 60n]);
  assert.equal(jsonValues(tensor(Number.NaN)), Number.NaN);
});
