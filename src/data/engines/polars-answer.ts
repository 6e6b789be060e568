/** What polars answers, an Arrow stream in memory, as columns. */
import { TenonError } from "../../base/index.js";
import { readBatch } from "../arrow/batch.js";
import { type ArrowIndex, indexMessages, readBlock } from "../arrow/messages.js";
import { type ArrowField, fieldsOf } from "../arrow/schema.js";
import type { SeekableBytes } from "../byte-source.js";
import { type Column, type FieldType, printType, typeOf } from "../column.js";
import { joinColumns } from "../rows.js";
import { checkRows } from "./engine-scan.js";

async function opened(
  bytes: Uint8Array,
): Promise<{ file: SeekableBytes; index: ArrowIndex; fields: ArrowField[] }> {
  const file = {
    size: bytes.length,
    read: (target: Uint8Array, position: number) => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return Promise.resolve(part.length);
    },
    close: () => Promise.resolve(),
  };
  const index = await indexMessages(file);
  return { file, index, fields: fieldsOf(index.schema) };
}

/** The fields of an Arrow stream in memory. */
export async function streamFields(bytes: Uint8Array): Promise<ArrowField[]> {
  return (await opened(bytes)).fields;
}

/** The columns of an Arrow stream in memory that must hold `rows` rows. */
export async function columnsOf(bytes: Uint8Array, rows: number): Promise<Map<string, Column>> {
  const { file, index, fields } = await opened(bytes);
  const parts: { rows: number; columns: Map<string, Column> }[] = [];
  for (const block of index.batches) {
    const { content, body } = await readBlock(file, block);
    parts.push(readBatch(content, body, fields, () => true, new Map()));
  }
  checkRows(
    "polars",
    parts.reduce((sum, part) => sum + part.rows, 0),
    rows,
  );
  const joined = new Map<string, Column>();
  for (const name of parts[0]?.columns.keys() ?? [])
    joined.set(
      name,
      joinColumns(
        name,
        parts.map(({ rows, columns }) => ({ column: columns.get(name)!, rows })),
      ),
    );
  return joined;
}

/** The column with the meaning of its field; polars keeps numbers as they are stored. */
export function fitting(name: string, column: Column | undefined, field: FieldType): Column {
  if (column === undefined) throw differs(name, "no such column", printType(field.dtype));
  if (printType(typeOf(column)) !== printType(field.dtype))
    throw differs(name, printType(typeOf(column)), printType(field.dtype));
  return column;
}

function differs(name: string, given: string, expected: string): TenonError {
  return new TenonError("USAGE", {
    problem: `polars gives another type of column "${name}"`,
    given,
    expected,
    do: "leave the column out, or read it by the built-in engine",
  });
}
