/** Answers of DuckDB as columns; an optional peer, loaded in its own process alone. */
import type { DuckDBConnection, DuckDBDataChunk, DuckDBResult } from "@duckdb/node-api";
import { TenonError } from "../../base/index.js";
import type { NumericArray } from "../../tensor/index.js";
import type { Column, ColumnType, FieldType, Logical, Schema } from "../column.js";
import { joinColumns } from "../rows.js";
import { type Builder, builderOf } from "../text/builder.js";
import { checkRows } from "./engine-scan.js";

type DuckDB = typeof import("@duckdb/node-api");

/** Rejects where the package is not installed. */
export function loadDuckDB(): Promise<DuckDB> {
  return import("@duckdb/node-api");
}

/** A connection to a database in memory that fetches no extensions from the network. */
export async function openDuckDB(): Promise<DuckDBConnection> {
  const { DuckDBInstance } = await loadDuckDB();
  const instance = await DuckDBInstance.create(":memory:", {
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  return instance.connect();
}

/** The columns of a query that gives `rows` rows, as `fields` say. Throws FILE_INVALID where it does not. */
export async function readRows(
  connection: DuckDBConnection,
  query: string,
  fields: Schema,
  rows: number,
): Promise<Map<string, Column>> {
  try {
    return await gathered(await connection.stream(query), fields, rows);
  } catch (cause) {
    if (cause instanceof TenonError) throw cause;
    throw new TenonError("FILE_INVALID", {
      problem: "DuckDB cannot read a row group",
      given: cause instanceof Error ? cause.message.slice(0, 300) : String(cause),
      cause,
    });
  }
}

async function gathered(result: DuckDBResult, fields: Schema, rows: number): Promise<Map<string, Column>> {
  const parts: { rows: number; columns: Map<string, Column> }[] = [];
  for await (const chunk of chunksOf(result)) {
    const columns = new Map<string, Column>();
    let index = 0;
    for (const [name, field] of fields) columns.set(name, columnOf(name, chunk, index++, field));
    parts.push({ rows: chunk.rowCount, columns });
  }
  checkRows(
    "DuckDB",
    parts.reduce((sum, part) => sum + part.rows, 0),
    rows,
  );
  const joined = new Map<string, Column>();
  for (const name of fields.keys())
    joined.set(
      name,
      joinColumns(
        name,
        parts.map(({ rows, columns }) => ({ column: columns.get(name)!, rows })),
      ),
    );
  return joined;
}

async function* chunksOf(result: DuckDBResult): AsyncGenerator<DuckDBDataChunk, void> {
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    yield chunk;
  }
}

/** A query's columns and its rows, in the order in which DuckDB gives them. Throws USAGE for what it refuses. */
export async function query(
  connection: DuckDBConnection,
  sql: string,
): Promise<{ schema: Schema; chunks: AsyncIterable<ReadonlyMap<string, Column>> }> {
  const { DuckDBTypeId } = await loadDuckDB();
  let result: DuckDBResult;
  try {
    // A stream that fails midway ends like one that is done: its rows would be cut off unseen.
    result = await connection.run(sql);
  } catch (cause) {
    throw new TenonError("USAGE", {
      problem: "DuckDB refuses the query",
      given: cause instanceof Error ? cause.message.slice(0, 500) : String(cause),
      cause,
    });
  }
  if (result.columnCount === 0) {
    throw new TenonError("USAGE", {
      problem: "the query gives no columns",
      given: sql.trim().slice(0, 500) || "nothing",
      expected: "a statement that gives rows, such as SELECT",
    });
  }
  // An enum of TypeScript: its numbers lead to its names.
  const names = DuckDBTypeId as unknown as Readonly<Record<number, string>>;
  const schema = new Map<string, FieldType>();
  result.columnNames().forEach((name, i) => {
    if (schema.has(name)) throw new TenonError("USAGE", { problem: `the query gives two columns "${name}"` });
    const type = result.columnType(i);
    schema.set(name, fieldOf(name, type, names));
  });
  async function* chunks(): AsyncGenerator<ReadonlyMap<string, Column>, void> {
    for await (const chunk of chunksOf(result)) {
      const columns = new Map<string, Column>();
      let index = 0;
      for (const [name, field] of schema) columns.set(name, columnOf(name, chunk, index++, field));
      yield columns;
    }
  }
  return { schema, chunks: chunks() };
}

const stamp = (unit: "ms" | "us" | "ns", utc = false): Omit<FieldType, "nullable"> => ({
  dtype: "int64",
  logical: { kind: "timestamp", unit, utc },
});

/** By DuckDB's names of types; sums of integers are HUGEINT and must fit int64. */
const FIELDS: Readonly<Record<string, Omit<FieldType, "nullable">>> = {
  BOOLEAN: { dtype: "bool" },
  TINYINT: { dtype: "int8" },
  SMALLINT: { dtype: "int16" },
  INTEGER: { dtype: "int32" },
  BIGINT: { dtype: "int64" },
  HUGEINT: { dtype: "int64" },
  UTINYINT: { dtype: "uint8" },
  USMALLINT: { dtype: "uint16" },
  UINTEGER: { dtype: "uint32" },
  UBIGINT: { dtype: "uint64" },
  FLOAT: { dtype: "float32" },
  DOUBLE: { dtype: "float64" },
  VARCHAR: { dtype: "utf8" },
  ENUM: { dtype: "utf8" },
  UUID: { dtype: "utf8" },
  BLOB: { dtype: "binary" },
  DATE: { dtype: "int32", logical: { kind: "date" } },
  TIME: { dtype: "int64", logical: { kind: "time", unit: "us" } },
  TIMESTAMP: stamp("us"),
  TIMESTAMP_S: stamp("ms"),
  TIMESTAMP_MS: stamp("ms"),
  TIMESTAMP_NS: stamp("ns"),
  TIMESTAMP_TZ: stamp("us", true),
};

interface TypeLike {
  readonly typeId: number;
  readonly valueType?: TypeLike;
  readonly width?: number;
  readonly scale?: number;
}

function fieldOf(name: string, type: TypeLike, ids: Readonly<Record<number, string>>): FieldType {
  const id = ids[type.typeId] ?? String(type.typeId);
  if ((id === "LIST" || id === "ARRAY") && type.valueType !== undefined) {
    const { dtype, logical } = fieldOf(name, type.valueType, ids);
    return { dtype: { list: dtype }, nullable: true, logical };
  }
  if (id === "DECIMAL" && type.width !== undefined && type.scale !== undefined)
    return {
      dtype: type.width <= 18 ? "int64" : "utf8",
      nullable: true,
      logical: { kind: "decimal", precision: type.width, scale: type.scale },
    };
  const found = FIELDS[id];
  if (found === undefined) throw unread(name, id);
  return { ...found, nullable: true };
}

function unread(name: string, given: string): TenonError {
  return new TenonError("USAGE", {
    problem: `column "${name}" has a type that this engine does not give`,
    given,
    do: "cast it in the query, leave it out, or read it by the built-in engine",
  });
}

/** What vectors of numbers hold besides their public face; checked before it is used. */
interface NumberVector {
  readonly items?: unknown;
  readonly validity?: { itemValid?: (row: number) => boolean };
}

function columnOf(name: string, chunk: DuckDBDataChunk, index: number, field: FieldType): Column {
  const vector = chunk.getColumnVector(index);
  const rows = chunk.rowCount;
  const { items, validity } = vector as unknown as NumberVector; // not of its public face
  const { dtype, logical } = field;
  const builder = builderOf(withoutBytes(dtype), undefined, rows);
  const kind = typeof dtype === "string" ? DIRECT[dtype] : undefined;
  if (
    logical === undefined &&
    kind !== undefined &&
    items instanceof kind &&
    validity?.itemValid !== undefined
  ) {
    const values = items.slice(0, rows) as NumericArray;
    let valid: Uint8Array | null = null;
    for (let row = 0; row < rows; row++) {
      if (validity.itemValid(row)) continue;
      valid ??= new Uint8Array(rows).fill(1);
      valid[row] = 0;
      (values as Float64Array)[row] = (typeof values[row] === "bigint" ? 0n : 0) as number; // its own zero
    }
    return { kind: "fixed", dtype: dtype as "float32", values, valid }; // the table's key
  }
  for (let row = 0; row < rows; row++) put(name, builder, vector.getItem(row), logical);
  return renamed(builder.finish(), dtype, logical);
}

type NumericConstructor = new (length: number) => NumericArray;

const DIRECT: Readonly<Record<string, NumericConstructor>> = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
};

function withoutBytes(dtype: ColumnType): ColumnType {
  if (typeof dtype !== "string") return { list: withoutBytes(dtype.list) };
  return dtype === "binary" ? "utf8" : dtype;
}

/** The column with the type that its field has: builders know no bytes and no meanings. */
function renamed(column: Column, dtype: ColumnType, logical: Logical | undefined): Column {
  if (column.kind === "list")
    return typeof dtype === "string"
      ? column
      : { ...column, child: renamed(column.child, dtype.list, logical) };
  if (column.kind === "utf8") return { ...column, dtype: dtype === "binary" ? "binary" : "utf8", logical };
  return { ...column, logical };
}

function put(name: string, builder: Builder, value: unknown, logical: Logical | undefined): void {
  if (value === null) builder.putNull();
  else if (value instanceof Uint8Array) builder.putText(value, 0, value.length);
  else {
    const stored = storedValue(name, value, logical);
    const fits =
      stored instanceof Uint8Array ? builder.putText(stored, 0, stored.length) : builder.putValue(stored);
    if (!fits) throw unread(name, `the value ${String(value).slice(0, 80)}`);
  }
}

const PER_SECOND = { ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n } as const;
const FRACTIONS: readonly (readonly [string, bigint])[] = [
  ["micros", 1_000_000n],
  ["nanoseconds", 1_000_000_000n],
  ["nanos", 1_000_000_000n],
  ["milliseconds", 1000n],
  ["millis", 1000n],
  ["seconds", 1n],
];

/** DuckDB's objects as numbers, texts, bytes and arrays. */
function storedValue(name: string, value: unknown, logical: Logical | undefined): unknown {
  if (typeof value !== "object" || value === null) return value;
  const held = value as Readonly<Record<string, unknown>>;
  if (Array.isArray(held.items))
    return held.items.map((item: unknown) => (item === null ? null : storedValue(name, item, logical)));
  if (held.bytes instanceof Uint8Array) return held.bytes;
  // As a number, infinity would be some day millions of years away.
  if (held.isFinite === false) throw unread(name, "an infinite date or time");
  if (typeof held.days === "number" && logical?.kind === "date") return held.days;
  if (logical?.kind === "decimal")
    return logical.precision <= 18 && typeof held.value === "bigint" ? held.value : String(value);
  if (logical?.kind === "timestamp" || logical?.kind === "time")
    for (const [key, unit] of FRACTIONS) {
      const count = held[key];
      if (typeof count === "bigint") return (count * PER_SECOND[logical.unit]) / unit;
    }
  if (logical === undefined && Object.keys(held).length > 0 && "hugeint" in held) return String(value);
  throw unread(name, Object.prototype.toString.call(value));
}
