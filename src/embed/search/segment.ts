/** Segment: rows of an index in one memory of their own, with the kernels that scan them. */
import { hasSimd, type Kernel, loadKernels, makeMemory } from "../../simd/index.js";
import { searchKernels } from "./kernels.js";
import { plainKernels } from "./plain-kernels.js";

/** How rows are held beside their float32 numbers. */
export const STORAGES = ["float32", "int8", "binary"] as const;
export type SearchStorage = (typeof STORAGES)[number];

/** Rows of one scan: their results stay in the processor's cache. */
export const SCANNED = 4096;

/** Bytes of a row, rounded up for the kernels. */
const round = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

type Kernels = Readonly<Record<"products" | "integerProducts" | "differingBits", Kernel>>;

/** A query in every form that a scan takes. */
export interface Query {
  readonly values: Float32Array;
  readonly length: number;
  /** What one step of the integers stands for, and the length of what they leave out. */
  readonly step: number;
  readonly error: number;
  readonly integers: Int16Array;
}

export class Segment {
  readonly capacity: number;
  readonly #dims: number;
  readonly #storage: SearchStorage;
  readonly #kernels: Kernels;
  readonly #buffer: ArrayBuffer;
  /** Offsets in bytes. */
  readonly #at: {
    readonly query: number;
    readonly integers: number;
    readonly bits: number;
    readonly out: number;
    readonly rows: number;
    readonly codes: number;
  };
  /** Bytes of a row. */
  readonly #stride: { readonly rows: number; readonly codes: number };
  /** What one step of a row's codes stands for. */
  readonly #steps: Float32Array;
  /** The length of what a row's codes leave out. */
  readonly #errors: Float32Array;
  /** Of a row's codes and of a row; for the bounds. */
  #longestCode = 0;
  #longest = 0;
  #count = 0;

  /** Throws RangeError where the process cannot have so much memory. */
  constructor(dims: number, storage: SearchStorage, capacity: number) {
    this.capacity = capacity;
    this.#dims = dims;
    this.#storage = storage;
    const rows = round(4 * dims, 16);
    const codes = storage === "int8" ? round(dims, 16) : storage === "binary" ? round(dims / 8, 8) : 0;
    this.#stride = { rows, codes };
    let next = 0;
    const take = (bytes: number): number => {
      const at = next;
      next += round(bytes, 64);
      return at;
    };
    this.#at = {
      query: take(rows),
      integers: take(2 * round(dims, 16)),
      bits: take(round(dims / 8, 8)),
      out: take(4 * SCANNED),
      rows: take(rows * capacity),
      codes: take(codes * capacity),
    };
    this.#steps = new Float32Array(storage === "int8" ? capacity : 0);
    this.#errors = new Float32Array(storage === "int8" ? capacity : 0);
    if (hasSimd()) {
      const memory = makeMemory(next);
      this.#buffer = memory.buffer;
      this.#kernels = loadKernels(searchKernels(), memory);
    } else {
      this.#buffer = new ArrayBuffer(next);
      this.#kernels = plainKernels(this.#buffer);
    }
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes that the segment holds. */
  get bytes(): number {
    return this.#buffer.byteLength + this.#steps.byteLength + this.#errors.byteLength;
  }

  row(index: number): Float32Array {
    return new Float32Array(this.#buffer, this.#at.rows + index * this.#stride.rows, this.#dims);
  }

  /** All rows as one array, of `rowLength` numbers a row. */
  get rows(): Float32Array {
    return new Float32Array(this.#buffer, this.#at.rows, (this.#count * this.#stride.rows) / 4);
  }

  get rowLength(): number {
    return this.#stride.rows / 4;
  }

  /** Puts a row behind the others; `length` is its length. */
  push(values: Float32Array, length: number): void {
    const index = this.#count++;
    this.row(index).set(values);
    this.#longest = Math.max(this.#longest, length);
    if (this.#storage === "int8") this.#pushBytes(index, values);
    if (this.#storage === "binary") {
      const at = this.#at.codes + index * this.#stride.codes;
      setBits(new Uint8Array(this.#buffer, at, this.#stride.codes), values);
    }
  }

  #pushBytes(index: number, values: Float32Array): void {
    const bytes = new Int8Array(this.#buffer, this.#at.codes + index * this.#stride.codes, this.#dims);
    let most = 0;
    for (let j = 0; j < values.length; j++) most = Math.max(most, Math.abs(values[j]!));
    const step = Math.fround(most / 127);
    let left = 0;
    let kept = 0;
    for (let j = 0; j < values.length; j++) {
      const code = step === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(values[j]! / step)));
      bytes[j] = code;
      left += (values[j]! - code * step) ** 2;
      kept += (code * step) ** 2;
    }
    this.#steps[index] = step;
    // Rounded up, so that bounds stay bounds.
    this.#errors[index] = Math.sqrt(left) * (1 + 1e-6);
    this.#longestCode = Math.max(this.#longestCode, Math.sqrt(kept));
  }

  /** Makes a query the one that scans use. */
  setQuery({ values, integers }: Query): void {
    new Float32Array(this.#buffer, this.#at.query, this.#dims).set(values);
    if (this.#storage === "int8") new Int16Array(this.#buffer, this.#at.integers, this.#dims).set(integers);
    if (this.#storage === "binary")
      setBits(new Uint8Array(this.#buffer, this.#at.bits, this.#stride.codes), values);
  }

  /** The product of the query with a row, float32. */
  product(index: number): number {
    return this.products(index, 1)[0]!;
  }

  /** Products with `count` rows, at most `SCANNED`; valid until the next scan. */
  products(from: number, count: number): Float32Array {
    const { query, rows, out } = this.#at;
    this.#kernels.products(query, rows + from * this.#stride.rows, this.#stride.rows, count, out);
    return new Float32Array(this.#buffer, out, count);
  }

  /** For each of `count` rows a number that its product does not exceed, in the place of the last scan's results. */
  bounds(from: number, count: number, query: Query): Float32Array {
    const { integers, codes, out } = this.#at;
    this.#kernels.integerProducts(
      integers,
      codes + from * this.#stride.codes,
      this.#stride.codes,
      count,
      out,
    );
    const sums = new Int32Array(this.#buffer, out, count);
    const bounds = new Float32Array(this.#buffer, out, count);
    // What float32 sums themselves may be off by, of this many terms.
    const rounding = query.length * this.#longest * (this.#dims + 8) * 2 ** -23;
    const slack = query.error * this.#longestCode + rounding;
    const { step, length } = query;
    const steps = this.#steps;
    const errors = this.#errors;
    for (let i = 0; i < count; i++)
      bounds[i] = sums[i]! * step * steps[from + i]! + length * errors[from + i]! + slack;
    return bounds;
  }

  /** Bits that differ from the query's, of `count` rows. */
  distances(from: number, count: number): Int32Array {
    const { bits, codes, out } = this.#at;
    this.#kernels.differingBits(bits, codes + from * this.#stride.codes, this.#stride.codes, count, out);
    return new Int32Array(this.#buffer, out, count);
  }
}

function setBits(bytes: Uint8Array, values: Float32Array): void {
  bytes.fill(0);
  for (let j = 0; j < values.length; j++) if (values[j]! > 0) bytes[j >> 3]! |= 1 << (j & 7);
}
