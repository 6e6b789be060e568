/** The table of gradients is total: every op of the specification has a row. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { opsOf } from "../../onnx/index.js";
import { rowOf } from "./table.js";

test("every op of ai.onnx has a row", () => {
  assert.deepEqual(
    opsOf("").filter((op) => rowOf("", op) === undefined),
    [],
  );
});
