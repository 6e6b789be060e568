/** The Parquet sink: rows collected into row groups, each encoded and written when it is full. */
import type { FieldType } from "../column.js";
import { ParquetWriter, type WriterOptions } from "../parquet/write.js";
import type { Position } from "../position.js";
import { wholeNumber } from "../whole-number.js";
import { RowGroup } from "./row-group.js";
import type { Format } from "./sink.js";
import { checkColumns, columnsOf, fieldsOf, type Table } from "./table.js";

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
  readonly #group = new RowGroup();
  #position: Position | undefined;
  rows = 0;

  constructor(options: ParquetSinkOptions) {
    this.#options = options;
    this.#most = wholeNumber("rows per row group", options.rowGroup ?? DEFAULT_ROW_GROUP, 1);
    if (options.schema !== undefined) this.#writer = new ParquetWriter(options.schema, options);
  }

  write(table: Table, at: Position | undefined): Uint8Array[] {
    const given = columnsOf(table);
    this.#writer ??= new ParquetWriter(fieldsOf(given.columns), this.#options);
    checkColumns(given.columns, this.#writer.fields);
    this.#position = at;
    this.rows += given.rows;
    const parts: Uint8Array[] = [];
    let done = 0;
    while (done < given.rows) {
      const count = Math.min(given.rows - done, this.#most - this.#group.rows);
      this.#group.add(given.columns, done, done + count);
      done += count;
      if (this.#group.rows === this.#most) parts.push(...this.#flush(this.#writer));
    }
    return parts;
  }

  #flush(writer: ParquetWriter): Uint8Array[] {
    const { columns, rows } = this.#group.take(writer.fields.keys());
    return writer.rowGroup(columns, rows);
  }

  finish(): Uint8Array[] {
    const writer = (this.#writer ??= new ParquetWriter(new Map(), this.#options));
    const parts = this.#group.rows > 0 ? this.#flush(writer) : [];
    const position = this.#position === undefined ? {} : { "tenon.position": JSON.stringify(this.#position) };
    return [...parts, ...writer.finish({ ...this.#options.metadata, ...position })];
  }
}
