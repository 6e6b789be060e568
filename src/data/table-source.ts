/** Tables that the program itself has, or makes one after the other, as a source: a chunk each, read once in order. */
import { TenonError } from "../base/index.js";
import { type FieldType, printType } from "./column.js";
import type { Chunk, Scan, Source } from "./scan.js";
import { columnsOf, fieldsOf, type Table } from "./sink/table.js";

export type Tables = Iterable<Table> | AsyncIterable<Table>;

export function tableSource(tables: Tables): Source {
  return { identity: { kind: "tables" }, open: () => openTables(tables) };
}

async function openTables(tables: Tables): Promise<Scan> {
  const iterator =
    Symbol.asyncIterator in tables ? tables[Symbol.asyncIterator]() : tables[Symbol.iterator]();
  const first = await iterator.next();
  const schema =
    first.done === true ? new Map<string, FieldType>() : fieldsOf(columnsOf(first.value).columns);
  async function* stream(names: readonly string[]): AsyncGenerator<Chunk, void> {
    for (let next = first; next.done !== true; next = await iterator.next()) {
      const { rows, columns } = columnsOf(next.value);
      const found = fieldsOf(columns);
      for (const name of names) {
        const [given, expected] = [found.get(name), schema.get(name)!];
        if (given !== undefined && printType(given.dtype) === printType(expected.dtype)) continue;
        throw new TenonError("USAGE", {
          problem: `the tables differ in column "${name}"`,
          given: given === undefined ? "no such column" : printType(given.dtype),
          expected: `${printType(expected.dtype)}, as in the first one`,
        });
      }
      if (rows > 0) yield { rows, columns };
    }
  }
  return {
    engine: "ts",
    schema,
    files: [],
    splits: null,
    read: () => Promise.reject(new TenonError("INTERNAL", { problem: "a stream has no splits" })),
    stream,
    async [Symbol.asyncDispose]() {
      await iterator.return?.();
    },
  };
}
