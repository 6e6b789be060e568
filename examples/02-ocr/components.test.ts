/** Tests of connected components on small drawn maps. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { tensorFromStorage } from "tenon/tensor";
import { type Outline, outlinesAbove } from "./components.js";

function outlinesOf(...rows: readonly string[]): Outline[] {
  const values = Float32Array.from(rows.join(""), (sign) => (sign === "#" ? 0.9 : 0.1));
  return outlinesAbove(tensorFromStorage("float32", [rows.length, rows[0]!.length], values), 0.5);
}

function bounds(outline: Outline): number[] {
  const xs = outline.map(({ x }) => x);
  const ys = outline.map(({ y }) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

suite("connected components", () => {
  test("pixels that touch by a corner are one component, others are not", () => {
    const found = outlinesOf("##..#", "..#.#", ".....", "####.");
    assert.deepEqual(found.map(bounds), [
      [0, 0, 3, 2],
      [4, 0, 5, 2],
      [0, 3, 4, 4],
    ]);
  });

  test("a component that reaches around another keeps its own outline", () => {
    const found = outlinesOf("#####", "#...#", "#.#.#", "#...#", "#####");
    assert.deepEqual(found.map(bounds), [
      [0, 0, 5, 5],
      [2, 2, 3, 3],
    ]);
  });

  test("the outline holds both ends of every row", () => {
    const [outline] = outlinesOf(".#..", "###.", "..##");
    assert.deepEqual(
      outline?.map(({ x, y }) => `${x},${y}`),
      [..."1,0 2,0 1,1 2,1".split(" "), ..."0,1 3,1 0,2 3,2".split(" "), ..."2,2 4,2 2,3 4,3".split(" ")],
    );
  });

  test("an empty map has none", () => {
    assert.deepEqual(outlinesOf("...", "..."), []);
  });
});
