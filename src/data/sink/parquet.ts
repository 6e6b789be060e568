/** The Parquet sink: rows collected into row groups, each encoded and written when it is full. */
import { TenonError } from "../../base/index.js";
import type { Column, FieldType } from "../column.js";
import { MAGIC, ParquetWriter, type WriterOptions } from "../parquet/write.js";
import type { Position } from "../position.js";
import { joinColumns, sliceColumn } from "../rows.js";
import type { Format } from "./sink.js";
import { columnsOf, fieldsOf, type Rows, type Table } from "./table.js";

export interface ParquetSinkOptions extends WriterOptions {
  /** Rows per row group. Default 122,880. */
  readonly rowGroup?: number;
  /** The columns with their types; default: those of the first rows, all nullable. */
  readonly schema?: ReadonlyMap<string, FieldType>;
  /** Texts kept in the file's footer. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const DEFAULT_ROW_GROUP = 122_880;

export class ParquetFormat implements Format {
  readonly #options: ParquetSinkOptions;
  readonly #most: number;
  #writer: ParquetWriter | undefined;
  #fields: ReadonlyMap<string, FieldType> | undefined;
  #waiting: Rows[] = [];
  #waitingRows = 0;
  #position: Position | undefined;
  #started = false;
  rows = 0;

  constructor(options: ParquetSinkOptions) {
    this.#options = options;
    this.#most = options.rowGroup ?? DEFAULT_ROW_GROUP;
    this.#fields = options.schema;
  }

  write(table: Table, at: Position | undefined): Uint8Array[] {
    const given = columnsOf(table);
    this.#fields ??= fieldsOf(given.columns);
    for (const name of this.#fields.keys())
      if (!given.columns.has(name))
        throw new TenonError("USAGE", { problem: `the rows lack column "${name}"` });
    for (const name of given.columns.keys())
      if (!this.#fields.has(name))
        throw new TenonError("USAGE", {
          problem: `the rows have a column "${name}" that the file does not have`,
        });
    this.#position = at;
    this.rows += given.rows;
    const parts: Uint8Array[] = [];
    let done = 0;
    while (done < given.rows) {
      const count = Math.min(given.rows - done, this.#most - this.#waitingRows);
      this.#waiting.push(copied(given, done, done + count));
      this.#waitingRows += count;
      done += count;
      if (this.#waitingRows === this.#most) parts.push(...this.#flush());
    }
    return parts;
  }

  #flush(): Uint8Array[] {
    const rows = this.#waitingRows;
    const columns = new Map<string, Column>();
    for (const name of this.#fields!.keys())
      columns.set(
        name,
        joinColumns(
          name,
          this.#waiting.map((part) => ({ column: part.columns.get(name)!, rows: part.rows })),
        ),
      );
    this.#waiting = [];
    this.#waitingRows = 0;
    return [...this.#start(), ...this.#writer!.rowGroup(columns, rows)];
  }

  #start(): Uint8Array[] {
    this.#writer ??= new ParquetWriter(this.#fields ?? new Map(), this.#options);
    if (this.#started) return [];
    this.#started = true;
    return [MAGIC];
  }

  finish(): Uint8Array[] {
    const parts = this.#waitingRows > 0 ? this.#flush() : this.#start();
    const position = this.#position === undefined ? {} : { "tenon.position": JSON.stringify(this.#position) };
    return [...parts, this.#writer!.finish({ ...this.#options.metadata, ...position })];
  }
}

/** Rows that stay when the caller's memory changes. */
function copied({ columns }: Rows, from: number, to: number): Rows {
  const kept = new Map<string, Column>();
  for (const [name, column] of columns) {
    const part = sliceColumn(column, from, to);
    kept.set(
      name,
      part.kind === "fixed"
        ? { ...part, values: part.values.slice() }
        : part.kind === "list"
          ? copiedList(part)
          : part,
    );
  }
  return { rows: to - from, columns: kept };
}

function copiedList(column: Extract<Column, { kind: "list" }>): Column {
  const { child, offsets } = column;
  if (child.kind !== "fixed") return column;
  const start = offsets[0] ?? 0;
  const end = offsets[offsets.length - 1] ?? 0;
  const values = child.values.slice(start, end);
  const valid = child.valid === null ? null : child.valid.slice(start, end);
  return { ...column, offsets: offsets.map((offset) => offset - start), child: { ...child, values, valid } };
}
