/** The table of ATen ops and its door for users. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { handlerOf, knownOps, registerOp } from "./table.js";

describe("ATen ops", () => {
  test("names are complete, and each has its handler", () => {
    for (const op of knownOps()) {
      assert.match(op, /^aten\.\w+\.\w+$/);
      assert.equal(typeof handlerOf(op), "function");
    }
  });

  test("a row can be added, replaced and taken out", () => {
    const own = () => "value";
    const undo = registerOp("aten.relu.default", own);
    assert.equal(handlerOf("aten.relu.default"), own);
    undo();
    assert.notEqual(handlerOf("aten.relu.default"), own);
    assert.equal(handlerOf("my_ops.twice.default"), undefined);
    assert.throws(() => registerOp("relu", own), /namespace\.op\.overload/);
  });
});
