/** The sink of Arrow IPC files: a record batch for each run of rows, the footer at the end. */
import { TenonError } from "../../base/index.js";
import { dtypeInfo } from "../../tensor/index.js";
import {
  byte,
  type FlatValue,
  flatBuffer,
  int,
  long,
  short,
  structs,
  table,
  tables,
  text,
} from "../arrow/flat-writer.js";
import type { Column, ColumnType, FieldType, Logical, Schema } from "../column.js";
import { copyRows, joinColumns } from "../rows.js";
import { wholeNumber } from "../whole-number.js";
import type { Format } from "./sink.js";
import { checkColumns, columnsOf, fieldsOf, type Rows, type Table } from "./table.js";

export interface ArrowSinkOptions {
  /** Rows per record batch. Default 122,880. */
  readonly rowGroup?: number;
  /** The columns with their types; default: those of the first rows, all nullable. */
  readonly schema?: Schema;
  /** Texts kept with the schema. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const MAGIC = Buffer.from("ARROW1\0\0");
/** Version 5 of the metadata. */
const VERSION = 4;

export class ArrowFormat implements Format {
  readonly #most: number;
  readonly #options: ArrowSinkOptions;
  #schema: Schema | undefined;
  #size = 0;
  #waiting: Rows[] = [];
  #waitingRows = 0;
  /** Place, bytes of the message and bytes of the body of each batch. */
  readonly #blocks: number[] = [];
  rows = 0;

  constructor(options: ArrowSinkOptions) {
    this.#options = options;
    this.#most = wholeNumber("rows per record batch", options.rowGroup ?? 122_880, 1);
    if (options.schema === undefined) return;
    schemaTable(options.schema, {}); // refuses types that Arrow does not have
    this.#schema = options.schema;
  }

  #begin(schema: Schema): Uint8Array[] {
    this.#schema = schema;
    const message = framed(flatBuffer(table(short(VERSION), byte(1), schemaTable(schema, {}), long(0))));
    this.#size = MAGIC.length + message.length;
    return [MAGIC, message];
  }

  write(rows: Table): Uint8Array[] {
    const given = columnsOf(rows);
    const parts = this.#size === 0 ? this.#begin(this.#schema ?? fieldsOf(given.columns)) : [];
    checkColumns(given.columns, this.#schema!);
    this.rows += given.rows;
    for (let done = 0; done < given.rows; ) {
      const count = Math.min(given.rows - done, this.#most - this.#waitingRows);
      const columns = new Map<string, Column>();
      for (const [name, column] of given.columns) columns.set(name, copyRows(column, done, done + count));
      this.#waiting.push({ rows: count, columns });
      this.#waitingRows += count;
      done += count;
      if (this.#waitingRows === this.#most) parts.push(...this.#flush());
    }
    return parts;
  }

  #flush(): Uint8Array[] {
    const rows = this.#waitingRows;
    const nodes: number[] = [];
    const buffers: Uint8Array[] = [];
    for (const name of this.#schema!.keys()) {
      const parts = this.#waiting.map((part) => ({ column: part.columns.get(name)!, rows: part.rows }));
      putColumn(joinColumns(name, parts), rows, nodes, buffers);
    }
    this.#waiting = [];
    this.#waitingRows = 0;
    const places: number[] = [];
    let body = 0;
    const padded: Uint8Array[] = [];
    for (const buffer of buffers) {
      places.push(body, buffer.length);
      padded.push(buffer);
      const padding = (8 - (buffer.length % 8)) % 8;
      if (padding > 0) padded.push(new Uint8Array(padding));
      body += buffer.length + padding;
    }
    const batch = table(long(rows), structs(nodes, 2), structs(places, 2));
    const message = framed(flatBuffer(table(short(VERSION), byte(3), batch, long(body))));
    this.#blocks.push(this.#size, message.length, body);
    this.#size += message.length + body;
    return [message, ...padded];
  }

  finish(): Uint8Array[] {
    const parts = this.#size === 0 ? this.#begin(this.#schema ?? new Map()) : [];
    if (this.#waitingRows > 0) parts.push(...this.#flush());
    const schema = schemaTable(this.#schema!, this.#options.metadata ?? {});
    const footer = flatBuffer(table(short(VERSION), schema, structs([], 3), structs(this.#blocks, 3)));
    const end = new Uint8Array(8 + footer.length + 4 + 6);
    const view = new DataView(end.buffer);
    view.setInt32(0, -1, true); // the end of the stream
    end.set(footer, 8);
    view.setInt32(8 + footer.length, footer.length, true);
    end.set(MAGIC.subarray(0, 6), 12 + footer.length);
    return [...parts, end];
  }
}

/** A message with its length in front; both together a multiple of 8. */
function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + message.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, -1, true);
  view.setInt32(4, message.length, true);
  bytes.set(message, 8);
  return bytes;
}

function schemaTable(schema: Schema, metadata: Readonly<Record<string, string>>): FlatValue {
  const fields = [...schema].map(([name, field]) => fieldTable(name, field));
  const pairs = Object.entries(metadata).map(([key, value]) => table(text(key), text(value)));
  return table(short(0), tables(fields), tables(pairs));
}

function fieldTable(name: string, { dtype, nullable, logical }: FieldType): FlatValue {
  const [code, type] = typeOf(name, dtype, logical);
  const children =
    typeof dtype === "string" ? [] : [fieldTable("item", { dtype: dtype.list, nullable: true, logical })];
  return table(text(name), byte(nullable ? 1 : 0), byte(code), type, null, tables(children));
}

const UNITS = { ms: 1, us: 2, ns: 3 } as const;
const PRECISIONS: Readonly<Record<string, number>> = { float16: 0, float32: 1, float64: 2 };

/** Number and table of a type, as Schema.fbs has them. */
function typeOf(name: string, dtype: ColumnType, logical: Logical | undefined): [number, FlatValue] {
  if (typeof dtype !== "string") return [12, table()];
  if (dtype === "binary") return [4, table()];
  if (dtype === "utf8") return [5, table()];
  if (dtype === "bool") return [6, table()];
  // A date is kept as days where its numbers are int32, as Arrow has it.
  if (logical?.kind === "date" && dtype === "int32") return [8, table(short(0))];
  if (logical?.kind === "time")
    return [9, table(short(UNITS[logical.unit]), int(dtype === "int64" ? 64 : 32))];
  if (logical?.kind === "timestamp" && dtype === "int64")
    return [10, table(short(UNITS[logical.unit]), logical.utc ? text("UTC") : null)];
  if (logical?.kind === "decimal" && dtype === "int64")
    return [7, table(int(logical.precision), int(logical.scale), int(128))];
  const { kind, bits } = dtypeInfo(dtype);
  const precision = PRECISIONS[dtype];
  if (precision !== undefined) return [3, table(short(precision))];
  if ((kind === "int" || kind === "uint") && bits >= 8)
    return [2, table(int(bits), byte(kind === "int" ? 1 : 0))];
  throw new TenonError("TENSOR_DTYPE", {
    problem: `column "${name}" has a type that Arrow does not have`,
    given: dtype,
  });
}

function putColumn(column: Column, rows: number, nodes: number[], buffers: Uint8Array[]): void {
  const { valid } = column;
  const nulls = valid === null ? 0 : rows - valid.subarray(0, rows).reduce((sum, flag) => sum + flag, 0);
  nodes.push(rows, nulls);
  buffers.push(nulls === 0 || valid === null ? new Uint8Array(0) : bitsOf(valid, rows));
  if (column.kind === "fixed") {
    const values = column.values.subarray(0, rows);
    if (column.dtype === "bool") buffers.push(bitsOf(values as Uint8Array, rows));
    else if (column.logical?.kind === "decimal") buffers.push(wideDecimals(values as BigInt64Array));
    else buffers.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return;
  }
  const { offsets } = column;
  const start = offsets[0] ?? 0;
  const end = offsets[rows] ?? 0;
  const moved = Int32Array.from(offsets.subarray(0, rows + 1), (offset) => offset - start);
  buffers.push(new Uint8Array(moved.buffer));
  if (column.kind === "utf8") buffers.push(column.bytes.subarray(start, end));
  else putColumn(copyRows(column.child, start, end), end - start, nodes, buffers);
}

function bitsOf(flags: Uint8Array, rows: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(rows / 8));
  for (let i = 0; i < rows; i++) if (flags[i] !== 0) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** 64-bit numbers as 128-bit ones. */
function wideDecimals(values: BigInt64Array): Uint8Array {
  const wide = new BigInt64Array(2 * values.length);
  values.forEach((value, i) => {
    wide[2 * i] = value;
    wide[2 * i + 1] = value < 0n ? -1n : 0n;
  });
  return new Uint8Array(wide.buffer);
}
