/** Rows collected into groups: numbers in memory that is used again, nulls that come and go, texts and lists. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Column, columnValue } from "../column.js";
import { RowGroup } from "./row-group.js";
import { textColumn } from "./table.js";

type Cell = number | null;

function columnsOf(cells: readonly Cell[]): Map<string, Column> {
  const valid = cells.includes(null) ? Uint8Array.from(cells, (cell) => (cell === null ? 0 : 1)) : null;
  const ids = BigInt64Array.from(cells, (cell) => BigInt(cell ?? 0));
  const offsets = Int32Array.from({ length: cells.length + 1 }, (_, i) => i);
  const child: Column = { kind: "fixed", dtype: "int64", values: ids, valid };
  return new Map<string, Column>([
    [
      "number",
      { kind: "fixed", dtype: "float32", values: Float32Array.from(cells, (cell) => cell ?? 0), valid },
    ],
    ["text", textColumn(cells.map((cell) => (cell === null ? null : `t${cell}`)))],
    ["list", { kind: "list", offsets, child, valid: null }],
  ]);
}

test("groups hold what was added, whatever the groups before held", () => {
  const cell = fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.constant(null));
  const batch = fc.oneof(
    fc.array(cell, { minLength: 1, maxLength: 40 }),
    fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 40 }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.array(batch, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      (groups) => {
        const group = new RowGroup();
        for (const batches of groups) {
          for (const cells of batches) group.add(columnsOf([0, ...cells, 0]), 1, cells.length + 1);
          const { columns, rows } = group.take(["number", "text", "list"]);
          const all: Cell[] = batches.flat();
          assert.equal(rows, all.length);
          const read = (name: string): unknown[] => all.map((_, i) => columnValue(columns.get(name)!, i));
          assert.deepEqual(read("number"), all);
          assert.equal(columns.get("number")!.valid === null, !all.includes(null));
          assert.deepEqual(
            read("text"),
            all.map((value) => (value === null ? null : `t${value}`)),
          );
          assert.deepEqual(
            read("list"),
            all.map((value) => [value === null ? null : BigInt(value)]),
          );
        }
      },
    ),
  );
});

test("memory grows while a group is collected", () => {
  const group = new RowGroup();
  const cells = Array.from({ length: 30_000 }, (_, i) => (i === 29_999 ? null : i));
  for (const [from, to] of [
    [0, 10],
    [10, 17_000],
    [17_000, 30_000],
  ] as const)
    group.add(columnsOf(cells), from, to);
  const { columns } = group.take(["number"]);
  cells.forEach((cell, i) => {
    assert.equal(columnValue(columns.get("number")!, i), cell);
  });
});
