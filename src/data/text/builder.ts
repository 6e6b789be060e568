/** Columns under construction, value by value: numbers, texts and lists, from bytes of a text or from JSON. */
import {
  allocateStorage,
  type DType,
  dtypeInfo,
  type NumericArray,
  tryWriteElement,
} from "../../tensor/index.js";
import type { Column, ColumnType, Logical } from "../column.js";
import { elementOf } from "../convert.js";
import { parseNumber, plainNumber, timeOf } from "../number.js";

/** Each `put` appends one row, or is false when the value does not fit the column's type; the builder is of no use then. */
export interface Builder {
  /** Whether rows are texts. */
  readonly text: boolean;
  putNull(): void;
  /** The text `bytes[from, to)`, spelled out: UTF-8, or a number as people write it. */
  putText(bytes: Uint8Array, from: number, to: number): boolean;
  /** A value of JSON; long integers as bigint. */
  putValue(value: unknown): boolean;
  readonly length: number;
  finish(): Column;
}

/** One builder for a type; `rows` are expected. */
export function builderOf(type: ColumnType, logical: Logical | undefined, rows: number): Builder {
  if (typeof type !== "string") return new ListBuilder(builderOf(type.list, logical, rows), rows);
  if (type === "utf8") return new TextBuilder(rows);
  return new NumberBuilder(type as DType, logical, rows); // columnTypeOf lets no other type through
}

/** Which rows have a value; made when the first one has none. */
class Validity {
  #flags: Uint8Array | null = null;

  miss(row: number, capacity: number): void {
    if (this.#flags === null || this.#flags.length <= row) {
      const larger = new Uint8Array(Math.max(capacity, row + 1)).fill(1);
      if (this.#flags !== null) larger.set(this.#flags);
      this.#flags = larger;
    }
    this.#flags[row] = 0;
  }

  finish(rows: number): Uint8Array | null {
    if (this.#flags === null) return null;
    if (this.#flags.length >= rows) return this.#flags.subarray(0, rows);
    const all = new Uint8Array(rows).fill(1);
    all.set(this.#flags);
    return all;
  }
}

const SPECIAL: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

class NumberBuilder implements Builder {
  readonly text = false;
  readonly #dtype: DType;
  readonly #logical: Logical | undefined;
  readonly #element: ReturnType<typeof elementOf>;
  readonly #floats: boolean;
  readonly #valid = new Validity();
  #values: NumericArray;
  length = 0;

  constructor(dtype: DType, logical: Logical | undefined, rows: number) {
    this.#dtype = dtype;
    this.#logical = logical;
    this.#element = elementOf(dtype);
    this.#values = allocateStorage(dtype, Math.max(rows, 16));
    this.#floats = this.#values instanceof Float32Array || this.#values instanceof Float64Array;
  }

  #room(): void {
    if (this.length < this.#values.length) return;
    const larger = allocateStorage(this.#dtype, 2 * this.#values.length);
    (larger as Float64Array).set(this.#values as Float64Array); // one dtype, one array type
    this.#values = larger;
  }

  putNull(): void {
    this.#room();
    this.#valid.miss(this.length++, this.#values.length);
  }

  putText(bytes: Uint8Array, from: number, to: number): boolean {
    this.#room();
    if (this.#floats) {
      const value = plainNumber(bytes, from, to);
      if (value !== undefined) {
        this.#values[this.length++] = value;
        return true;
      }
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
      .toString("latin1")
      .trim();
    if (text === "") {
      this.putNull();
      return true;
    }
    return this.#put(this.#logical === undefined ? parseNumber(text) : timeOf(text, this.#logical));
  }

  putValue(value: unknown): boolean {
    if (this.#logical !== undefined)
      return this.#put(typeof value === "string" ? timeOf(value, this.#logical) : undefined);
    if (typeof value === "number" || typeof value === "bigint") {
      if (dtypeInfo(this.#dtype).kind === "bool") return false;
      return this.#put(value);
    }
    if (typeof value === "boolean") return dtypeInfo(this.#dtype).kind === "bool" && this.#put(value ? 1 : 0);
    return dtypeInfo(this.#dtype).kind === "float" && this.#put(SPECIAL.get(value));
  }

  #put(value: number | bigint | undefined): boolean {
    if (value === undefined) return false;
    this.#room();
    if (!tryWriteElement(this.#dtype, this.#values, this.length, this.#element(value))) return false;
    this.length++;
    return true;
  }

  finish(): Column {
    return {
      kind: "fixed",
      dtype: this.#dtype,
      values: this.#values.subarray(0, this.length) as NumericArray,
      valid: this.#valid.finish(this.length),
      logical: this.#logical,
    };
  }
}

class TextBuilder implements Builder {
  readonly text = true;
  #bytes: Uint8Array = new Uint8Array(1024);
  #offsets: Int32Array;
  readonly #valid = new Validity();
  length = 0;

  constructor(rows: number) {
    this.#offsets = new Int32Array(Math.max(rows, 16) + 1);
  }

  #end(at: number): void {
    if (this.length + 1 >= this.#offsets.length) {
      const larger = new Int32Array(2 * this.#offsets.length);
      larger.set(this.#offsets);
      this.#offsets = larger;
    }
    this.#offsets[++this.length] = at;
  }

  #room(size: number): number {
    const at = this.#offsets[this.length]!;
    if (at + size > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, at + size));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }

  putNull(): void {
    this.#valid.miss(this.length, this.#offsets.length);
    this.#end(this.#offsets[this.length]!);
  }

  putText(bytes: Uint8Array, from: number, to: number): boolean {
    const size = to - from;
    const at = this.#room(size);
    const own = this.#bytes;
    if (size > 32) own.set(bytes.subarray(from, to), at);
    else for (let i = 0; i < size; i++) own[at + i] = bytes[from + i]!;
    this.#end(at + size);
    return true;
  }

  /** A text; what else there is in JSON stays JSON. */
  putValue(value: unknown): boolean {
    const text = typeof value === "string" ? value : jsonText(value);
    const at = this.#room(3 * text.length);
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(at));
    this.#end(at + written);
    return true;
  }

  finish(): Column {
    return {
      kind: "utf8",
      dtype: "utf8",
      bytes: this.#bytes,
      offsets: this.#offsets.subarray(0, this.length + 1),
      valid: this.#valid.finish(this.length),
    };
  }
}

const encoder = new TextEncoder();

/** JSON with long integers in full. */
export function jsonText(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, field]) => `${JSON.stringify(key)}:${jsonText(field)}`)
      .join(",")}}`;
  return JSON.stringify(value);
}

class ListBuilder implements Builder {
  readonly text = false;
  readonly #child: Builder;
  readonly #valid = new Validity();
  #offsets: Int32Array;
  length = 0;

  constructor(child: Builder, rows: number) {
    this.#child = child;
    this.#offsets = new Int32Array(rows + 1);
  }

  #end(): void {
    if (this.length + 1 >= this.#offsets.length) {
      const larger = new Int32Array(2 * this.#offsets.length + 1);
      larger.set(this.#offsets);
      this.#offsets = larger;
    }
    this.#offsets[++this.length] = this.#child.length;
  }

  putNull(): void {
    this.#valid.miss(this.length, this.#offsets.length);
    this.#end();
  }

  putText(bytes: Uint8Array, from: number, to: number): boolean {
    try {
      return this.putValue(
        JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString()),
      );
    } catch {
      return false;
    }
  }

  putValue(value: unknown): boolean {
    if (!Array.isArray(value)) return false;
    for (const item of value) {
      if (item === null) this.#child.putNull();
      else if (!this.#child.putValue(item)) return false;
    }
    this.#end();
    return true;
  }

  finish(): Column {
    return {
      kind: "list",
      offsets: this.#offsets.subarray(0, this.length + 1),
      child: this.#child.finish(),
      valid: this.#valid.finish(this.length),
    };
  }
}
