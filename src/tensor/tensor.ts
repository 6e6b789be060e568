/** Tensor: a dtype and a layout over shared storage. Every method but toArray, clone and contiguous is a view. */
import { TenonError } from "../base/index.js";
import { copyDense } from "./copy.js";
import { byteLengthOf, DTYPES, type DType, type NumericArray, storageLengthOf } from "./dtype.js";
import { type Element, readElement } from "./element.js";
import {
  denseLayout,
  forEachIndex,
  isDense,
  type Layout,
  normalizeAxis,
  resolveIndex,
  sizeOf,
} from "./layout.js";
import { resolveShape, stridesAfterReshape } from "./reshape.js";
import type { DataOf, Storage } from "./storage.js";
import { StringStorage } from "./strings.js";

/** Nested arrays of JavaScript values: number, bigint (64-bit ints), boolean, string, [re, im]. */
export type NestedArray = Element | readonly NestedArray[];

/** A step of `slice`: everything, from start, [start, end) or [start, end) by step; negative counts from the end. */
export type SliceStep = null | number | readonly [start: number | null, end?: number | null, step?: number];

/** An n-dimensional array: immutable layout over shared, mutable storage. Made by `tensor`, `tensorFromBytes`, `zeros`, … */
export class Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  /** In elements, as `offset`. Negative after a reversing slice, 0 after broadcasting. */
  readonly strides: readonly number[];
  readonly offset: number;
  readonly storage: Storage<D>;
  readonly size: number;

  /** Checks nothing about the storage's length: use the functions that make tensors. */
  constructor(dtype: D, storage: Storage<D>, layout: Layout) {
    this.dtype = dtype;
    this.storage = storage;
    this.shape = layout.shape;
    this.strides = layout.strides;
    this.offset = layout.offset;
    this.size = sizeOf(layout.shape);
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Bytes of the elements when dense; 0 for strings. */
  get byteLength(): number {
    return byteLengthOf(this.dtype, this.size);
  }

  /** True when the elements lie row-major without gaps, so that `data` and `bytes` are views. */
  get isDense(): boolean {
    return isDense(this);
  }

  /** The elements as a typed array (strings: an array), a view on the storage. Throws TENSOR_SHAPE unless dense. */
  get data(): DataOf<D> {
    this.#needDense("data");
    const storage = this.storage as Storage;
    if (storage instanceof StringStorage) {
      return Array.from({ length: this.size }, (_, i) =>
        storage.get(this.offset + i),
      ) as unknown as DataOf<D>;
    }
    const bits = DTYPES[this.dtype].bits;
    if (bits < 8 && (this.offset * bits) % 8 !== 0) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: `a view of packed ${this.dtype} starts inside a byte`,
        do: "call contiguous() first",
      });
    }
    const start = storageLengthOf(this.dtype, this.offset);
    const length = storageLengthOf(this.dtype, this.size);
    if (start === 0 && length === storage.length) return storage as unknown as DataOf<D>;
    return storage.subarray(start, start + length) as unknown as DataOf<D>;
  }

  /** The elements' bytes, little-endian, a view on the storage. Throws TENSOR_SHAPE unless dense, TENSOR_DTYPE for strings. */
  get bytes(): Uint8Array {
    if (this.dtype === "string") {
      throw new TenonError("TENSOR_DTYPE", {
        problem: "string tensors have no fixed-size bytes",
        do: "read storage.encoded()",
      });
    }
    const data = this.data as unknown as NumericArray;
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  /** One element; negative indices count from the end. Scalar tensors take no index. */
  at(...indices: readonly number[]): Element {
    if (indices.length !== this.rank) {
      throw new TenonError("TENSOR_SHAPE", {
        given: `${indices.length} indices`,
        expected: `${this.rank}, one per dimension of [${this.shape.join(", ")}]`,
      });
    }
    let index = this.offset;
    indices.forEach((given, axis) => {
      index += this.strides[axis]! * resolveIndex(given, this.shape[axis]!, axis);
    });
    return readElement(this.dtype, this.storage as Storage, index);
  }

  // ── views ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Python's slicing, one step per leading dimension: `x.slice(null, [0, 2], [null, null, -1])` is `x[:, 0:2, ::-1]`.
   * A bare number n means [n, end). Bounds are clamped, as in Python; a step of 0 throws TENSOR_SHAPE.
   */
  slice(...steps: readonly SliceStep[]): Tensor<D> {
    if (steps.length > this.rank) {
      throw new TenonError("TENSOR_SHAPE", {
        given: `${steps.length} slices`,
        expected: `at most ${this.rank}`,
      });
    }
    const shape = [...this.shape];
    const strides = [...this.strides];
    let offset = this.offset;
    steps.forEach((given, axis) => {
      if (given === null) return;
      const [from, to, by] = typeof given === "number" ? [given, null, 1] : given;
      const { start, count, step } = resolveSlice(from ?? null, to ?? null, by ?? 1, shape[axis]!);
      offset += count === 0 ? 0 : start * strides[axis]!;
      shape[axis] = count;
      strides[axis] = strides[axis]! * step;
    });
    return this.#with({ shape, strides, offset });
  }

  /** The sub-tensor at one index of an axis; the axis disappears. */
  select(axis: number, index: number): Tensor<D> {
    const at = normalizeAxis(axis, this.rank);
    const offset = this.offset + this.strides[at]! * resolveIndex(index, this.shape[at]!, at);
    return this.#with({ shape: without(this.shape, at), strides: without(this.strides, at), offset });
  }

  /** Axes in a new order; without arguments reversed. */
  transpose(...axes: readonly number[]): Tensor<D> {
    const order =
      axes.length === 0
        ? this.shape.map((_, axis) => this.rank - 1 - axis)
        : axes.map((a) => normalizeAxis(a, this.rank));
    if (order.length !== this.rank || new Set(order).size !== this.rank) {
      throw new TenonError("TENSOR_SHAPE", {
        given: `axes [${axes.join(", ")}]`,
        expected: `each of the ${this.rank} axes once`,
      });
    }
    return this.#with({
      shape: order.map((axis) => this.shape[axis]!),
      strides: order.map((axis) => this.strides[axis]!),
      offset: this.offset,
    });
  }

  /** Alias of `transpose` under PyTorch's name. */
  permute(...axes: readonly number[]): Tensor<D> {
    return this.transpose(...axes);
  }

  /** The same elements in another shape; one dim may be -1. Throws TENSOR_SHAPE when that would need a copy. */
  reshape(shape: readonly number[]): Tensor<D> {
    const target = resolveShape(shape, this.size);
    if (this.isDense) return this.#with(denseLayout(target, this.offset));
    const strides = stridesAfterReshape(this, target);
    if (strides === undefined) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: "this reshape of a strided view needs a copy",
        given: `shape [${this.shape.join(", ")}], strides [${this.strides.join(", ")}]`,
        expected: `a view of shape [${target.join(", ")}]`,
        do: "call contiguous() first",
      });
    }
    return this.#with({ shape: target, strides, offset: this.offset });
  }

  /** Without dims of size 1: all of them, or those named (which must be 1). */
  squeeze(...axes: readonly number[]): Tensor<D> {
    const drop = new Set(
      axes.length === 0
        ? this.shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []))
        : axes.map((axis) => normalizeAxis(axis, this.rank)),
    );
    for (const axis of drop) {
      if (this.shape[axis] !== 1) {
        throw new TenonError("TENSOR_SHAPE", {
          given: `axis ${axis} of size ${this.shape[axis]}`,
          expected: "size 1",
        });
      }
    }
    const keep = <T>(_: T, axis: number): boolean => !drop.has(axis);
    return this.#with({
      shape: this.shape.filter(keep),
      strides: this.strides.filter(keep),
      offset: this.offset,
    });
  }

  /** With a new dim of size 1 before `axis` (in the new rank; -1 appends). */
  unsqueeze(axis: number): Tensor<D> {
    const at = normalizeAxis(axis, this.rank + 1);
    const shape = [...this.shape];
    const strides = [...this.strides];
    shape.splice(at, 0, 1);
    strides.splice(at, 0, (this.shape[at] ?? 1) * (this.strides[at] ?? 1));
    return this.#with({ shape, strides, offset: this.offset });
  }

  /** A view of a larger shape in which dims of size 1 (and new leading dims) repeat, by numpy's rules. */
  broadcastTo(shape: readonly number[]): Tensor<D> {
    const extra = shape.length - this.rank;
    const fits = extra >= 0 && this.shape.every((dim, axis) => dim === 1 || dim === shape[axis + extra]);
    if (!fits) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: "shape does not broadcast",
        given: `[${this.shape.join(", ")}]`,
        expected: `something that broadcasts to [${shape.join(", ")}]`,
      });
    }
    const strides = shape.map((_, axis) => {
      const own = axis - extra;
      return own < 0 || this.shape[own] === 1 ? 0 : this.strides[own]!;
    });
    return this.#with({ shape, strides, offset: this.offset });
  }

  /** Views along an axis: `parts` equal ones, or of the given sizes. */
  split(parts: number | readonly number[], axis = 0): Tensor<D>[] {
    const at = normalizeAxis(axis, this.rank);
    const length = this.shape[at]!;
    const sizes = typeof parts === "number" ? equalParts(parts, length) : parts;
    if (
      sizes.some((size) => !Number.isInteger(size) || size < 0) ||
      sizes.reduce((a, b) => a + b, 0) !== length
    ) {
      throw new TenonError("TENSOR_SHAPE", {
        given: `sizes [${sizes.join(", ")}]`,
        expected: `non-negative integers that add up to ${length}`,
      });
    }
    let start = 0;
    return sizes.map((size) => {
      const shape = [...this.shape];
      shape[at] = size;
      const offset = size === 0 ? this.offset : this.offset + start * this.strides[at]!;
      start += size;
      return this.#with({ shape, strides: this.strides, offset });
    });
  }

  // ── copies ───────────────────────────────────────────────────────────────────────────────────

  /** Nested JavaScript arrays; the element itself for a scalar. float16 and smaller floats become numbers. */
  toArray(): NestedArray {
    const flat: Element[] = [];
    forEachIndex(this, (index) => void flat.push(readElement(this.dtype, this.storage as Storage, index)));
    let level: NestedArray[] = flat;
    for (let axis = this.rank - 1; axis > 0; axis--) {
      const width = this.shape[axis]!;
      const count = sizeOf(this.shape.slice(0, axis));
      level = Array.from({ length: count }, (_, i) => level.slice(i * width, (i + 1) * width));
    }
    return this.rank === 0 ? level[0]! : level;
  }

  /** A dense copy with storage of its own. */
  clone(): Tensor<D> {
    return this.#copy();
  }

  /** This tensor when it is dense and starts on a byte, else a dense copy. */
  contiguous(): Tensor<D> {
    const startsOnByte = (this.offset * DTYPES[this.dtype].bits) % 8 === 0;
    return this.isDense && startsOnByte ? this : this.#copy();
  }

  /** `Tensor float32 [2, 3]`: what it is, not what it holds. */
  toString(): string {
    return `Tensor ${this.dtype} [${this.shape.join(", ")}]`;
  }

  #copy(): Tensor<D> {
    return new Tensor(this.dtype, copyDense(this) as Storage<D>, denseLayout(this.shape));
  }

  #with(layout: Layout): Tensor<D> {
    return new Tensor(this.dtype, this.storage, layout);
  }

  #needDense(what: string): void {
    if (this.isDense) return;
    throw new TenonError("TENSOR_SHAPE", {
      problem: `${what} of a strided view`,
      given: `shape [${this.shape.join(", ")}], strides [${this.strides.join(", ")}]`,
      do: "call contiguous() first, which copies",
    });
  }
}

function resolveSlice(
  from: number | null,
  to: number | null,
  step: number,
  length: number,
): { start: number; count: number; step: number } {
  const integer = (value: number | null): boolean => value === null || Number.isInteger(value);
  if (!integer(from) || !integer(to) || !Number.isInteger(step) || step === 0) {
    throw new TenonError("TENSOR_SHAPE", {
      given: `slice [${from}, ${to}, ${step}]`,
      expected: "integers, and a step other than 0",
    });
  }
  const low = step > 0 ? 0 : -1;
  const high = step > 0 ? length : length - 1;
  const clamp = (value: number): number => Math.min(Math.max(value < 0 ? value + length : value, low), high);
  const start = from === null ? (step > 0 ? 0 : length - 1) : clamp(from);
  const end = to === null ? (step > 0 ? length : -1) : clamp(to);
  return { start, count: Math.max(0, Math.ceil((end - start) / step)), step };
}

function equalParts(parts: number, length: number): number[] {
  if (!Number.isInteger(parts) || parts < 1 || length % parts !== 0) {
    throw new TenonError("TENSOR_SHAPE", {
      given: `${parts} parts of ${length}`,
      expected: "a positive integer that divides the axis",
    });
  }
  return new Array<number>(parts).fill(length / parts);
}

function without(values: readonly number[], axis: number): number[] {
  return values.filter((_, i) => i !== axis);
}
