/** Validation: each way in which a request can be wrong, and what the error says. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isTenonError } from "../base/index.js";
import { type Tensor, zeros } from "../tensor/index.js";
import type { Signature } from "./signature.js";
import { orderInputs, orderOutputs } from "./validate.js";

const signature: Signature = {
  inputs: [
    { name: "image", dtype: "float32", dims: ["N", 3, null] },
    { name: "mask", dtype: "int64", dims: undefined },
  ],
  outputs: [
    { name: "y", dtype: "float32", dims: ["N", 2] },
    { name: "z", dtype: "float32", dims: ["N"] },
  ],
};
const image = zeros("float32", [2, 3, 4]);
const mask = zeros("int64", [2]);
const order = (inputs: Record<string, Tensor>, allowZero = false): Tensor[] =>
  orderInputs("m", signature, inputs, { allowZero });

const refused =
  (code: string, ...texts: string[]) =>
  (error: unknown): boolean => {
    assert.ok(isTenonError(error), String(error));
    assert.equal(error.code, code);
    for (const text of texts) assert.ok(error.message.includes(text), `${error.message} lacks ${text}`);
    return true;
  };

suite("validation", () => {
  test("inputs come in the signature's order", () => {
    assert.deepEqual(order({ mask, image }), [image, mask]);
  });

  const cases: readonly (readonly [string, Record<string, unknown>, string, ...string[]])[] = [
    ["a missing input", { image }, "INPUT_MISSING", '"mask"'],
    ["no inputs", {}, "INPUT_MISSING", '"image", "mask"'],
    ["a misspelt input", { imge: image, mask }, "INPUT_UNKNOWN", 'did you mean "image"'],
    ["an extra input", { image, mask, extra: mask }, "INPUT_UNKNOWN", "extra"],
    ["another dtype", { image: zeros("float64", [2, 3, 4]), mask }, "INPUT_DTYPE", "float64", "float32"],
    ["a rank too low", { image: zeros("float32", [2, 3]), mask }, "INPUT_SHAPE", "[2, 3]", "[N, 3, ?]"],
    ["a wrong fixed dim", { image: zeros("float32", [2, 4, 4]), mask }, "INPUT_SHAPE", "[2, 4, 4]"],
    ["a dim of zero", { image: zeros("float32", [2, 3, 0]), mask }, "INPUT_SHAPE", "at least 1", "allowZero"],
    ["no tensor at all", { image: new Float32Array(24), mask }, "INPUT_DTYPE", "tensor(values"],
    ["null", { image: null, mask }, "INPUT_DTYPE", "null"],
    ["a name that every object has", { image, mask, toString: mask }, "INPUT_UNKNOWN", "toString"],
  ];
  for (const [what, inputs, code, ...texts] of cases) {
    test(`${what} is refused with ${code}`, () => {
      assert.throws(() => order(inputs as Record<string, Tensor>), refused(code, ...texts));
    });
  }

  test("dims of zero are taken on request", () => {
    const empty = zeros("float32", [0, 3, 4]);
    assert.equal(order({ image: empty, mask }, true)[0], empty);
  });

  test("outputs come in the signature's order, duplicates once", () => {
    assert.deepEqual(orderOutputs("m", signature, ["z", "y", "z"]), [0, 1]);
    assert.deepEqual(orderOutputs("m", signature, []), []);
    assert.throws(() => orderOutputs("m", signature, ["w"]), refused("OUTPUT_UNKNOWN", "y, z"));
  });
});
