/** OutputShapes: a plan only after a run has confirmed the declared dims. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { OutputShapes } from "./output-shapes.js";
import type { Signature } from "./signature.js";

const signature: Signature = {
  inputs: [
    { name: "x", dtype: "float32", dims: ["N", "S"] },
    { name: "m", dtype: "float32", dims: ["N", "S"] },
  ],
  outputs: [
    { name: "y", dtype: "float32", dims: ["N", 10] },
    { name: "z", dtype: "float32", dims: ["K", 2] },
    { name: "s", dtype: "string", dims: ["N"] },
  ],
};

suite("output shapes", () => {
  const inputs = [
    [2, 5],
    [2, 5],
  ];
  const key = OutputShapes.key(inputs);

  test("nothing is planned before a run, only what was confirmed after it", () => {
    const shapes = new OutputShapes(signature);
    assert.deepEqual(shapes.plan(key), [undefined, undefined, undefined]);
    shapes.confirm(
      key,
      inputs,
      new Map([
        [0, [2, 10]],
        [1, [7, 2]],
        [2, [2]],
      ]),
    );
    assert.deepEqual(shapes.plan(key), [[2, 10], undefined, undefined]);
  });

  test("declared dims that the run contradicts are not used", () => {
    const shapes = new OutputShapes(signature);
    shapes.confirm(key, inputs, new Map([[0, [1, 10]]]));
    assert.deepEqual(shapes.plan(key), [undefined, undefined, undefined]);
    assert.ok(shapes.has(key));
  });

  test("a symbol with two sizes binds nothing", () => {
    const shapes = new OutputShapes(signature);
    const unequal = [
      [2, 5],
      [3, 5],
    ];
    const other = OutputShapes.key(unequal);
    shapes.confirm(other, unequal, new Map([[0, [2, 10]]]));
    assert.equal(shapes.plan(other)[0], undefined);
  });

  test("a refuted plan is never made again", () => {
    const shapes = new OutputShapes(signature);
    const actual = new Map([[0, [2, 10]]]);
    shapes.confirm(key, inputs, actual);
    shapes.refute();
    shapes.confirm(key, inputs, actual);
    assert.equal(shapes.plan(key)[0], undefined);
  });

  test("the number of remembered shapes is bounded", () => {
    const shapes = new OutputShapes(signature);
    for (let s = 1; s <= 2000; s++)
      shapes.confirm(
        `${s}`,
        [
          [1, s],
          [1, s],
        ],
        new Map([[0, [1, 10]]]),
      );
    assert.equal(shapes.has("1"), false);
    assert.equal(shapes.has("2000"), true);
  });
});
