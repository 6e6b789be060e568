/** Padding: whether requests of other lengths may share a run, filled up with zeros; proved by runs, like the batch axis. */
import { isTenonError } from "../base/index.js";
import {
  allocateStorage,
  type DType,
  denseLayout,
  dtypeInfo,
  gatherInto,
  type NumericArray,
  type Storage,
  sizeOf,
  Tensor,
} from "../tensor/core.js";
import { numbersOf, probeOfShape, runProbe } from "./probe.js";
import type { RunLane } from "./session.js";
import type { Signature } from "./signature.js";

/** By input or output, the axes that have the length. */
type Axes = readonly (readonly number[])[];

/** Along which dim requests are filled up to the length of the longest in a run. */
export interface Padding {
  /** True when rows give the same alone and filled up beside longer ones, to 1e-6. */
  readonly harmless: boolean;
  /** Why not, when it is false. */
  readonly reason?: string;
  /** The declared symbol. */
  readonly dim?: string;
  readonly inputs?: Axes;
  readonly outputs?: Axes;
  /** Inputs whose zeros say what is padding. A row that has nothing else there is never filled up. */
  readonly masks?: readonly number[];
  /** Largest difference seen. */
  readonly maxAbs?: number;
}

/** Of the largest value, at least of 1. */
const TOLERANCE = 1e-6;
const SEED = 0x70ad;

/** What the places of a probe hold. */
interface Filling {
  /** Integers are all one, not zeros and ones. */
  readonly ones?: true;
  /** Floats are of this sign, and so much larger; else normal values. */
  readonly times?: number;
}

/**
 * A model that takes the largest of all places sees no zeros beside larger numbers, nor beside zeros: rows of one sign, and
 * rows without a zero, show those.
 */
const FILLINGS: readonly Filling[] = [
  {},
  { ones: true, times: -1 },
  { ones: true, times: 1 },
  { times: -100 },
];

/** The one free dim besides the leading one, by input; or why there is none. */
function declaredLength(signature: Signature): { readonly dim: string; readonly axes: Axes } | string {
  const symbols = new Set<string>();
  for (const { name, dtype, dims } of signature.inputs) {
    if (oneOf(dtype) === undefined) return `"${name}" is of ${dtype}`;
    for (const dim of dims!.slice(1)) {
      if (dim === null) return `a free dimension of "${name}" has no name`;
      if (typeof dim === "string") symbols.add(dim);
    }
  }
  const [dim] = symbols;
  if (dim === undefined) return "no dimension but the leading one is free";
  if (symbols.size > 1) return `several dimensions are free: ${[...symbols].join(", ")}`;
  const axes = signature.inputs.map(({ dims }) =>
    dims!.flatMap((other, axis) => (axis > 0 && other === dim ? [axis] : [])),
  );
  return { dim, axes };
}

/**
 * Runs rows alone, and filled up beside longer ones, for a model whose batch axis is proved; `size` is a length at which it
 * runs. Never throws for a model that cannot be probed: it is then not padded.
 */
export async function provePadding(signature: Signature, lane: RunLane, size: number): Promise<Padding> {
  const declared = declaredLength(signature);
  if (typeof declared === "string") return { harmless: false, reason: declared };
  const probe = new PaddingProbe(signature, lane, declared.axes);
  try {
    const proved: Padding[] = [];
    const lengths = [
      [size, size + 3],
      [Math.max(2, size >> 2), size],
    ] as const;
    const floats = signature.inputs.some(({ dtype }) => dtypeInfo(dtype).kind === "float");
    for (const filling of floats ? FILLINGS : FILLINGS.slice(0, 2))
      for (const [short, long] of lengths) {
        const found = await probe.pair(short, long, filling);
        if (!found.harmless) return { ...found, dim: declared.dim };
        proved.push(found);
      }
    const maxAbs = Math.max(...proved.map(({ maxAbs: each }) => each!));
    const masks = [...new Set(proved.flatMap(({ masks: each }) => each!))].sort((a, b) => a - b);
    return { ...proved[0]!, dim: declared.dim, masks, maxAbs };
  } catch (error) {
    if (!isTenonError(error)) throw error;
    return { harmless: false, reason: `a probe did not run: ${error.message}`, dim: declared.dim };
  }
}

class PaddingProbe {
  readonly #signature: Signature;
  readonly #lane: RunLane;
  readonly #axes: Axes;

  constructor(signature: Signature, lane: RunLane, axes: Axes) {
    this.#signature = signature;
    this.#lane = lane;
    this.#axes = axes;
  }

  async pair(short: number, long: number, filling: Filling): Promise<Padding> {
    const signature = this.#signature;
    const inputs = this.#axes;
    const a = this.#row(short, 0, filling);
    const b = this.#row(long, 1, filling);
    const alone = await runProbe(signature, this.#lane, a, 1);
    const other = await runProbe(signature, this.#lane, b, 1);
    const filled = a.map((tensor, i) => padTensor(tensor, inputs[i]!, long));
    const both = filled.map((tensor, i) => twoRows(tensor, b[i]!));
    const together = await runProbe(signature, this.#lane, both, 2);
    const outputs: number[][] = [];
    let maxAbs = 0;
    for (const [i, { name }] of signature.outputs.entries()) {
      const axes = lengthAxes(alone[i]!.shape, other[i]!.shape, together[i]!.shape, short, long);
      if (axes === undefined)
        return { harmless: false, reason: `the shape of "${name}" does not follow the length` };
      outputs.push(axes);
      const first = cutTensor(together[i]!.slice([0, 1]), axes, short);
      const difference = Math.max(
        differenceOf(alone[i]!, first),
        differenceOf(other[i]!, together[i]!.slice([1, 2]).clone()),
      );
      maxAbs = Math.max(maxAbs, difference);
      if (!(difference <= TOLERANCE * Math.max(1, largest(alone[i]!), largest(other[i]!)))) {
        return {
          harmless: false,
          reason: `rows that are filled up change in output "${name}" (difference ${difference.toPrecision(3)})`,
        };
      }
    }
    return { harmless: true, inputs, outputs, masks: await this.#masks(a, alone, outputs, long), maxAbs };
  }

  /** Inputs that tell padding from the rest: ones in the place of their zeros change what comes out. */
  async #masks(
    a: readonly Tensor[],
    alone: readonly Tensor[],
    outputs: Axes,
    long: number,
  ): Promise<number[]> {
    const masks: number[] = [];
    for (const [at, axes] of this.#axes.entries()) {
      if (axes.length === 0) continue;
      const inputs = a.map((tensor, i) => padTensor(tensor, this.#axes[i]!, long, i === at ? 1 : 0));
      const made = await runProbe(this.#signature, this.#lane, inputs, 1);
      const changes = made.some((tensor, i) => {
        const difference = differenceOf(alone[i]!, cutTensor(tensor, outputs[i]!, a[at]!.shape[axes[0]!]!));
        return !(difference <= TOLERANCE * Math.max(1, largest(alone[i]!)));
      });
      if (changes) masks.push(at);
    }
    return masks;
  }

  /** Seeded inputs of one row, none of them zeros alone. */
  #row(length: number, row: number, { ones, times }: Filling): Tensor[] {
    return this.#signature.inputs.map(({ dtype, dims }, i) => {
      const shape = dims!.map((dim, axis) => (axis === 0 ? 1 : typeof dim === "number" ? dim : length));
      const tensor = probeOfShape(dtype, shape, SEED + 31 * i + 7 * row);
      const data = tensor.data as unknown as NumericArray;
      if (dtypeInfo(dtype).kind !== "float") data.fill(oneOf(dtype) as never, 0, ones ? data.length : 1);
      else if (times !== undefined) ofOneSign(dtype, data, times);
      return tensor;
    });
  }
}

/** Gives floats the sign of `times`, and its size where they are numbers of JavaScript; the others are bits. */
function ofOneSign(dtype: DType, data: NumericArray, times: number): void {
  const half = dtypeInfo(dtype).bits === 16;
  for (let at = 0; at < data.length; at++) {
    const value = data[at] as number;
    data[at] = half ? (value & 0x7fff) | (times < 0 ? 0x8000 : 0) : times * Math.abs(value);
  }
}

/** Axes whose size is the length; undefined where another axis changes too, or one otherwise. */
function lengthAxes(
  alone: readonly number[],
  other: readonly number[],
  together: readonly number[],
  short: number,
  long: number,
): number[] | undefined {
  if (alone.length !== together.length || other.length !== together.length) return undefined;
  const axes: number[] = [];
  for (let axis = 0; axis < together.length; axis++) {
    if (axis === 0) {
      if (alone[0] !== 1 || other[0] !== 1 || together[0] !== 2) return undefined;
      continue;
    }
    if (other[axis] !== together[axis]) return undefined;
    if (alone[axis] === together[axis]) continue;
    if (alone[axis] !== short || together[axis] !== long) return undefined;
    axes.push(axis);
  }
  return axes;
}

const BUCKET = 4;
const SMALL = 16;
const RATIO = 1.25;
const BOUNDS: number[] = [];

/**
 * Requests of lengths up to this share runs with one of this length: steps of four up to 16, then of a quarter, so that a
 * tenth of a run is padding on average. On a processor a larger share costs more than company brings.
 */
export function lengthBucket(length: number): number {
  if (length <= SMALL) return Math.max(BUCKET, Math.ceil(length / BUCKET) * BUCKET);
  if (BOUNDS.length === 0) BOUNDS.push(SMALL);
  while (BOUNDS.at(-1)! < length) BOUNDS.push(Math.ceil(BOUNDS.at(-1)! * RATIO));
  return BOUNDS.find((bound) => bound >= length)!;
}

/** The length of a request; undefined where it may not be filled up. */
export function paddableLength(padding: Padding, inputs: readonly Tensor[]): number | undefined {
  let length: number | undefined;
  for (const [i, axes] of padding.inputs!.entries()) {
    for (const axis of axes) {
      const size = inputs[i]!.shape[axis]!;
      if (length !== undefined && size !== length) return undefined;
      length = size;
    }
  }
  if (length === undefined || length === 0) return undefined;
  return padding.masks!.every((at) => everyRowSays(inputs[at]!)) ? length : undefined;
}

/** Whether every row has a number that is not zero. */
function everyRowSays(tensor: Tensor): boolean {
  const dense = tensor.isDense ? tensor : tensor.clone();
  const data = dense.data as unknown as NumericArray;
  const rows = dense.shape[0]!;
  const each = data.length / rows;
  for (let row = 0; row < rows; row++) {
    let found = false;
    // Loose, for int64 too.
    for (let i = row * each; i < (row + 1) * each && !found; i++) found = Number(data[i]) !== 0;
    if (!found) return false;
  }
  return true;
}

/** A copy whose `axes` are filled up to `length` with zeros, or ones. */
export function padTensor(tensor: Tensor, axes: readonly number[], length: number, value: 0 | 1 = 0): Tensor {
  let padded = tensor;
  for (const axis of axes) {
    const { shape, dtype } = padded;
    if (shape[axis] === length) continue;
    const to = shape.map((size, at) => (at === axis ? length : size));
    const source = allocateStorage(dtype, padded.size) as NumericArray;
    gatherInto(padded, source);
    const storage = allocateStorage(dtype, sizeOf(to)) as NumericArray;
    if (value === 1) storage.fill(oneOf(dtype) as never);
    const inner = sizeOf(shape.slice(axis));
    const wide = sizeOf(to.slice(axis));
    for (let from = 0, at = 0; from < source.length; from += inner, at += wide)
      storage.set(source.subarray(from, from + inner) as never, at);
    padded = new Tensor(dtype, storage as unknown as Storage, denseLayout(to));
  }
  return padded;
}

/** The beginning of `axes`, dense. */
export function cutTensor(tensor: Tensor, axes: readonly number[], length: number): Tensor {
  if (axes.length === 0) return tensor;
  const ranges = tensor.shape.map((size, axis) =>
    axes.includes(axis) && size > length ? ([0, length] as const) : null,
  );
  const cut = tensor.slice(...ranges);
  return cut.isDense ? cut : cut.clone();
}

/** One, as it is stored; undefined for dtypes that are not filled up. */
function oneOf(dtype: DType): number | bigint | undefined {
  const { kind, bits } = dtypeInfo(dtype);
  if (dtype === "float16") return 0x3c00;
  if (dtype === "bfloat16") return 0x3f80;
  if (dtype === "string" || kind === "complex" || bits < 8 || (kind === "float" && bits < 32))
    return undefined;
  return kind !== "float" && bits === 64 ? 1n : 1;
}

function twoRows(a: Tensor, b: Tensor): Tensor {
  const shape = [2, ...b.shape.slice(1)];
  const storage = allocateStorage(b.dtype, sizeOf(shape)) as NumericArray;
  gatherInto(a, storage.subarray(0, storage.length / 2) as NumericArray);
  gatherInto(b, storage.subarray(storage.length / 2) as NumericArray);
  return new Tensor(b.dtype, storage as unknown as Storage, denseLayout(shape));
}

/** Largest distance of two tensors of one size; infinite where numbers cannot be compared. */
function differenceOf(a: Tensor, b: Tensor): number {
  if (a.size !== b.size) return Number.POSITIVE_INFINITY;
  const [x, y] = [numbersOf(a.isDense ? a : a.clone()), numbersOf(b.isDense ? b : b.clone())];
  let most = 0;
  for (let i = 0; i < a.size; i++) {
    const [p, q] = [x(i), y(i)];
    if (Object.is(p, q) || p === q) continue;
    const distance = Math.abs(Number(p) - Number(q));
    most = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(most, distance);
  }
  return most;
}

function largest(tensor: Tensor): number {
  const at = numbersOf(tensor.isDense ? tensor : tensor.clone());
  let most = 0;
  for (let i = 0; i < tensor.size; i++) {
    const value = Math.abs(Number(at(i)));
    if (Number.isFinite(value)) most = Math.max(most, value);
  }
  return most;
}
