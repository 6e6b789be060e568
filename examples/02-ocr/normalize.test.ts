/** Tests of the way from an image to planes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "tenon/tensor";
import { toPlanes } from "./normalize.js";

test("planes come in the order blue, green, red, each with its own mean and deviation", () => {
  const image = tensor(
    [
      [
        [0, 51, 255],
        [255, 102, 0],
      ],
    ],
    { dtype: "uint8" },
  );
  const planes = toPlanes(image, [0, 0.2, 0.5], [1, 0.5, 0.25]);
  assert.deepEqual(planes.shape, [3, 1, 2]);
  const expected = [1, 0, 0, 0.4, -2, 2];
  expected.forEach((value, index) => {
    assert.ok(Math.abs(planes.data[index]! - value) < 1e-6, `entry ${index}: ${planes.data[index]}`);
  });
});
