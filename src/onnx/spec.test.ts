/** The op table: every row parses, lookups take the newest row that holds, and counts are those of the schemas. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDType, parseDType } from "../tensor/index.js";
import { ATTR_KIND_NAMES } from "./attributes.js";
import { TYPE_SETS } from "./spec.data.js";
import { allRows, arityOf, introducedIn, opRow, opsOf } from "./spec.js";

test("every row is well formed", () => {
  for (const row of allRows()) {
    for (const [name, { kind }] of row.attrs) {
      assert.ok(ATTR_KIND_NAMES.includes(kind), `${row.op} ${row.since}: ${name}`);
    }
    for (const formal of [...row.inputs.slice(0, -1), ...row.outputs.slice(0, -1)]) {
      assert.notEqual(formal.option, "variadic", `${row.op} ${row.since}`);
    }
  }
});

test("the types of the table are our dtypes", () => {
  const names = new Set(
    TYPE_SETS.flatMap((set) => set.split(" ")).flatMap((type) => type.match(/[a-z0-9]+/g) ?? []),
  );
  for (const outer of ["seq", "optional", "map"]) names.delete(outer);
  for (const name of names) assert.ok(isDType(parseDType(name)), name);
});

test("the newest row up to the opset holds", () => {
  assert.equal(opRow("", "Clip", 10)?.inputs.length, 1);
  assert.equal(opRow("", "Clip", 11)?.inputs.length, 3);
  assert.equal(opRow("", "Clip", 99)?.since, 13);
  assert.equal(opRow("", "Gelu", 19), undefined);
  assert.equal(introducedIn("", "Gelu"), 20);
  assert.equal(opRow("", "Upsample", 10)?.deprecated, true);
  assert.equal(opRow("com.microsoft", "FusedMatMul", 1)?.attrs.get("alpha")?.kind, "float");
  // ONNX Runtime knows this op before the opset that brought it officially.
  assert.equal(opRow("", "LayerNormalization", 12)?.since, 1);
  assert.equal(opRow("", "LayerNormalization", 17)?.since, 17);
});

test("arity counts required, optional and variadic values", () => {
  const arity = (op: string, opset: number): unknown => arityOf(opRow("", op, opset)!.inputs);
  assert.deepEqual(arity("Conv", 22), { least: 2, most: 3 });
  assert.deepEqual(arity("Concat", 13), { least: 1, most: Number.POSITIVE_INFINITY });
  assert.deepEqual(arity("Loop", 21), { least: 0, most: Number.POSITIVE_INFINITY });
  assert.deepEqual(arity("Constant", 21), { least: 0, most: 0 });
});

test("all official ops are there", () => {
  assert.ok(opsOf("").length >= 203);
  assert.equal(opsOf("ai.onnx.ml").length, 19);
});
