/** Tests of the affine crop against images whose colours follow from their coordinates. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { tensorFromStorage } from "tenon/tensor";
import { cropLevel } from "./crop.js";
import type { Image } from "./image.js";

/** Red grows with x, green with y, blue is constant. */
function gradient(height: number, width: number): Image {
  const pixels = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set([x, y, 7], (y * width + x) * 3);
  }
  return tensorFromStorage("uint8", [height, width, 3], pixels);
}

suite("levelled crops", () => {
  test("an upright rectangle at its own size copies the pixels", () => {
    const crop = cropLevel(gradient(20, 40), { center: { x: 10, y: 8 }, width: 6, height: 4, angle: 0 }, 4);
    assert.deepEqual(crop.shape, [4, 6, 3]);
    assert.deepEqual(crop.slice([0, 1], [0, 2]).toArray(), [
      [
        [7, 6, 7],
        [8, 6, 7],
      ],
    ]);
  });

  test("along a tilted rectangle colours change by the tilt", () => {
    const angle = Math.atan2(3, 4);
    const crop = cropLevel(gradient(60, 60), { center: { x: 30, y: 30 }, width: 10, height: 5, angle }, 5);
    const [red, green] = [0, 1].map((c) => Number(crop.at(2, 6, c)) - Number(crop.at(2, 1, c)));
    assert.ok(Math.abs(red! - 5 * 0.8) < 1e-4, `red ${red}`);
    assert.ok(Math.abs(green! - 5 * 0.6) < 1e-4, `green ${green}`);
  });

  test("a shrunk pixel is the mean of what it covers", () => {
    const crop = cropLevel(gradient(40, 40), { center: { x: 20, y: 20 }, width: 16, height: 8, angle: 0 }, 2);
    assert.deepEqual(crop.shape, [2, 4, 3]);
    assert.equal(crop.at(0, 0, 0), (12 + 13 + 14 + 15) / 4);
    assert.equal(crop.at(0, 0, 1), (16 + 17 + 18 + 19) / 4);
  });

  test("outside the image its border repeats", () => {
    const crop = cropLevel(gradient(10, 10), { center: { x: 0, y: 5 }, width: 8, height: 4, angle: 0 }, 4);
    assert.deepEqual(crop.select(0, 0).slice(null, [0, 1]).squeeze().toArray(), [0, 0, 0, 0, 0, 1, 2, 3]);
  });
});
