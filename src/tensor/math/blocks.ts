/**
 * Blocks: arithmetic reads and writes tensors of any dtype and layout in runs of at most BLOCK elements of one of four
 * block types, so that an operation is a plain loop a type. Dense tensors of a block type are read in place.
 */
import { TenonError } from "../../base/index.js";
import type { DType, NumericArray } from "../dtype.js";
import { bfloat16ToNumber, encodeFloat16, float16Values, numberToBfloat16 } from "../float16.js";
import { collapse, type Layout } from "../layout.js";
import type { StringStorage } from "../strings.js";

/** Elements in a block: three blocks of doubles fit the first-level cache beside each other. */
export const BLOCK = 1024;

/** From this length on a run without gaps is copied as one block. */
const BLOCK_COPY = 64;

/**
 * What computes a dtype: float32 also does float16 and bfloat16, rounding each result; `int` holds bool and the ints up
 * to 32 bits in doubles, exactly; `big` is 64-bit ints.
 */
export type Domain = "float32" | "float64" | "int" | "big";

interface BlockArrays {
  readonly float32: Float32Array;
  readonly float64: Float64Array;
  readonly int: Float64Array;
  readonly big: BigInt64Array | BigUint64Array;
}

export type Block<D extends Domain = Domain> = BlockArrays[D];

type Load<S, B> = (from: S, index: number, step: number, to: B, at: number, count: number) => void;
type Store<S, B> = (from: B, at: number, to: S, index: number, step: number, count: number) => void;

interface BlockFormat {
  readonly domain: Domain;
  /** True when the storage itself is of the block's type. */
  readonly direct: boolean;
  readonly load: Load<never, never>;
  readonly store: Store<never, never>;
}

function format<S, B>(domain: Domain, direct: boolean, load: Load<S, B>, store: Store<S, B>): BlockFormat {
  return { domain, direct, load, store } as BlockFormat;
}

// The loops below have one text and differ in their types: a loop that has seen one pair of array types only is
// compiled to plain loads and stores. Integers wrap on their way into storage, as typed arrays do.
// biome-ignore format: a table is read by columns
const FORMATS: { readonly [D in DType]: BlockFormat | null } = {
  float64: format<Float64Array, Float64Array>("float64", true,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  float32: format<Float32Array, Float32Array>("float32", true,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  float16: format<Uint16Array, Float32Array>("float32", false,
    (s, i, step, o, k, n) => { const values = float16Values(); for (let e = k + n; k < e; k++, i += step) o[k] = values[s[i]!]!; },
    encodeFloat16),
  bfloat16: format<Uint16Array, Float32Array>("float32", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = bfloat16ToNumber(s[i]!); },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = numberToBfloat16(b[k]!); }),
  float8e4m3fn: null, float8e4m3fnuz: null, float8e5m2: null, float8e5m2fnuz: null, float8e8m0: null,
  float6e2m3: null, float6e3m2: null, float4e2m1: null,
  int64: format<BigInt64Array, BigInt64Array>("big", true,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  int32: format<Int32Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  int16: format<Int16Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  int8: format<Int8Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  int4: null, int2: null,
  uint64: format<BigUint64Array, BigUint64Array>("big", true,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  uint32: format<Uint32Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  uint16: format<Uint16Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  uint8: format<Uint8Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = s[i]!; },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = b[k]!; }),
  uint4: null, uint2: null,
  bool: format<Uint8Array, Float64Array>("int", false,
    (s, i, step, o, k, n) => { for (let e = k + n; k < e; k++, i += step) o[k] = Number(s[i] !== 0); },
    (b, k, s, i, step, n) => { for (let e = k + n; k < e; k++, i += step) s[i] = Number(b[k] !== 0); }),
  string: null, complex64: null, complex128: null,
};

/** The domain that computes a dtype; undefined for dtypes that are only stored (small floats, packed ints, complex, string). */
export function domainOf(dtype: DType): Domain | undefined {
  return FORMATS[dtype]?.domain;
}

/** A tensor as the block loops see it. */
export interface BlockView extends Layout {
  readonly dtype: DType;
  readonly storage: NumericArray | StringStorage;
}

function formatOf(dtype: DType): BlockFormat {
  const found = FORMATS[dtype];
  if (found !== null) return found;
  throw new TenonError("TENSOR_DTYPE", {
    problem: `arithmetic does not take ${dtype}`,
    expected: "float64, float32, float16, bfloat16, bool, or an int or uint of 8 to 64 bits",
    do: 'cast first, for example cast(x, "float32")',
  });
}

/** Who uses a scratch block within one operation: two users in one operation have different names. */
export type Role = 0 | 1 | 2 | 3;

// Operations are synchronous and call nothing of the user's, so one block a role and type serves all of them.
const scratch = new Map<string, Block>();

/** A block of BLOCK elements that operations share. */
export function scratchBlock(dtype: DType, role: Role): Block {
  const { domain } = formatOf(dtype);
  const make =
    domain === "float32"
      ? Float32Array
      : domain !== "big"
        ? Float64Array
        : dtype === "int64"
          ? BigInt64Array
          : BigUint64Array;
  const key = `${make.name}${role}`;
  const known = scratch.get(key);
  if (known !== undefined) return known;
  const made = new make(BLOCK);
  scratch.set(key, made);
  return made;
}

/** Position of a walk over a view in row-major order. */
class Walk {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly inner: number;
  readonly step: number;
  index: number;
  column = 0;
  readonly #counter: number[];

  constructor(view: Layout) {
    const { shape, strides } = collapse(view.shape, [view.strides]);
    this.shape = shape;
    this.strides = strides[0]!;
    this.inner = shape[shape.length - 1]!;
    this.step = this.strides[shape.length - 1]!;
    this.index = view.offset;
    this.#counter = new Array<number>(shape.length - 1).fill(0);
  }

  get isDense(): boolean {
    return this.shape.length === 1 && (this.step === 1 || this.inner === 1);
  }

  get isConstant(): boolean {
    return this.shape.length === 1 && (this.step === 0 || this.inner === 1);
  }

  /** Moves by `count` elements, at most to the end of the inner run. */
  advance(count: number): void {
    this.index += count * this.step;
    this.column += count;
    if (this.column < this.inner) return;
    this.column = 0;
    this.index -= this.inner * this.step;
    for (let axis = this.shape.length - 2; axis >= 0; axis--) {
      this.index += this.strides[axis]!;
      if (++this.#counter[axis]! < this.shape[axis]!) return;
      this.index -= this.strides[axis]! * this.shape[axis]!;
      this.#counter[axis] = 0;
    }
  }
}

/** Reads a view block by block, row-major: after `next(n)`, the n elements lie at `array[at]` and following. */
export class Reader<D extends Domain = Domain> {
  readonly array: Block<D>;
  at = 0;
  readonly #storage: NumericArray;
  readonly #walk: Walk;
  readonly #load: Load<NumericArray, Block>;
  readonly #sameType: boolean;
  readonly #mode: "direct" | "constant" | "strided";
  #next: number;

  constructor(view: BlockView, role: Role) {
    const { direct, load } = formatOf(view.dtype);
    this.#storage = view.storage as NumericArray;
    this.#load = load as Load<NumericArray, Block>;
    this.#sameType = direct;
    this.#walk = new Walk(view);
    this.#next = view.offset;
    this.#mode = this.#walk.isConstant ? "constant" : direct && this.#walk.isDense ? "direct" : "strided";
    const block = this.#mode === "direct" ? this.#storage : scratchBlock(view.dtype, role);
    // The dtype's domain is the caller's D: operations choose their loops by it.
    this.array = block as Block<D>;
    if (this.#mode === "constant" && this.#walk.inner > 0) {
      this.#load(this.#storage, view.offset, 0, block as Block, 0, Math.min(BLOCK, this.#walk.inner));
    }
  }

  /** True when the view's own storage is read in place. */
  get isDirect(): boolean {
    return this.#mode === "direct";
  }

  /** Makes the next `count` (at most BLOCK) elements available. */
  next(count: number): void {
    if (this.#mode === "direct") {
      this.at = this.#next;
      this.#next += count;
      return;
    }
    if (this.#mode === "constant") return;
    const walk = this.#walk;
    for (let done = 0; done < count; ) {
      const run = Math.min(count - done, walk.inner - walk.column);
      if (this.#sameType && walk.step === 1 && run >= BLOCK_COPY) {
        const part = this.#storage.subarray(walk.index, walk.index + run);
        (this.array as Float64Array).set(part as Float64Array, done);
      } else this.#load(this.#storage, walk.index, walk.step, this.array, done, run);
      walk.advance(run);
      done += run;
    }
  }
}

/** Writes a view block by block, row-major: put n elements at `array[at]` and following, then `flush(n)`. */
export class Writer<D extends Domain = Domain> {
  readonly array: Block<D>;
  at: number;
  readonly #storage: NumericArray;
  readonly #walk: Walk;
  readonly #store: Store<NumericArray, Block>;
  readonly #sameType: boolean;
  readonly #direct: boolean;

  constructor(view: BlockView, role: Role) {
    const { direct, store } = formatOf(view.dtype);
    this.#storage = view.storage as NumericArray;
    this.#store = store as Store<NumericArray, Block>;
    this.#sameType = direct;
    this.#walk = new Walk(view);
    this.#direct = direct && this.#walk.isDense;
    // The dtype's domain is the caller's D: operations choose their loops by it.
    this.array = (this.#direct ? this.#storage : scratchBlock(view.dtype, role)) as Block<D>;
    this.at = this.#direct ? view.offset : 0;
  }

  /** True when the view's own storage is written in place. */
  get isDirect(): boolean {
    return this.#direct;
  }

  /** Passes on the `count` (at most BLOCK) elements written at `at`. */
  flush(count: number): void {
    if (this.#direct) {
      this.at += count;
      return;
    }
    const walk = this.#walk;
    for (let done = 0; done < count; ) {
      const run = Math.min(count - done, walk.inner - walk.column);
      if (this.#sameType && walk.step === 1 && run >= BLOCK_COPY) {
        const part = this.array.subarray(done, done + run);
        (this.#storage as Float64Array).set(part as Float64Array, walk.index);
      } else this.#store(this.array, done, this.#storage, walk.index, walk.step, run);
      walk.advance(run);
      done += run;
    }
  }
}
