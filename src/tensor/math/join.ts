/** Moving elements of any dtype: concat, stack, pad, take, oneHot. */
import { TenonError } from "../../base/index.js";
import { copyStrided } from "../copy.js";
import { type DType, dtypeInfo, type NumericArray } from "../dtype.js";
import { type Element, readElement, writeElement } from "../element.js";
import { denseLayout, forEachIndex, normalizeAxis } from "../layout.js";
import { zeros } from "../make.js";
import type { Storage } from "../storage.js";
import { StringStorage } from "../strings.js";
import { Tensor } from "../tensor.js";
import type { AxisOptions } from "./along-axis.js";
import { oneOf } from "./create.js";
import { type Into, noStringInto, resultTensor, type Scalar, safeToRead, sameDType } from "./operands.js";

/** Writes a view over another of the same dtype and shape, of any dtype with changeable storage. */
function place(from: Tensor, to: Tensor): void {
  if (dtypeInfo(from.dtype).bits >= 8) {
    copyStrided(from, from.storage as unknown as NumericArray, to, to.storage as unknown as NumericArray);
    return;
  }
  const values: Element[] = [];
  forEachIndex(from, (index) => void values.push(readElement(from.dtype, from.storage as Storage, index)));
  let next = 0;
  forEachIndex(to, (index) =>
    writeElement(to.dtype, to.storage as unknown as NumericArray, index, values[next++]!),
  );
}

/** A dense string tensor. */
function stringsAt(shape: readonly number[], texts: readonly string[]): Tensor<"string"> {
  return new Tensor("string", StringStorage.fromStrings(texts), denseLayout([...shape]));
}

function textsOf(x: Tensor): string[] {
  const texts: string[] = [];
  const storage = x.storage as StringStorage;
  forEachIndex(x, (index) => void texts.push(storage.get(index)));
  return texts;
}

/** Tensors of one dtype one after the other along an axis (default 0); their other dimensions are equal. */
export function concat<D extends DType>(
  tensors: readonly Tensor<D>[],
  options: AxisOptions<NoInfer<D>> = {},
): Tensor<D> {
  const parts = sameDType("concat", ...(tensors as readonly Tensor[]));
  const first = parts[0];
  if (first === undefined) throw new TenonError("TENSOR_SHAPE", { problem: "concat of no tensors" });
  const axis = normalizeAxis(options.axis ?? 0, first.rank);
  for (const part of parts) {
    if (part.rank === first.rank && part.shape.every((dim, i) => i === axis || dim === first.shape[i]))
      continue;
    throw new TenonError("TENSOR_SHAPE", {
      problem: "the tensors differ outside the axis",
      given: `[${part.shape.join(", ")}] beside [${first.shape.join(", ")}]`,
      expected: `equal dimensions except on axis ${axis}`,
    });
  }
  const shape = first.shape.map((dim, i) =>
    i === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : dim,
  );
  if (first.dtype === "string") noStringInto(options.into as Tensor | undefined);
  if (first.dtype === "string") return joinStrings(parts, axis, shape) as Tensor as Tensor<D>;
  const out = resultTensor(first.dtype, shape, options.into as Tensor | undefined);
  const sources = parts.map((part) => safeToRead(part, out));
  const slots = out.split(
    parts.map((part) => part.shape[axis]!),
    axis,
  );
  sources.forEach((part, i) => void place(part, slots[i]!));
  return out as Tensor<D>;
}

function joinStrings(parts: readonly Tensor[], axis: number, shape: readonly number[]): Tensor<"string"> {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const texts = parts.map(textsOf);
  const joined: string[] = [];
  for (let i = 0; i < outer; i++) {
    parts.forEach((part, p) => {
      const width = part.shape[axis]! * inner;
      for (let j = i * width; j < (i + 1) * width; j++) joined.push(texts[p]![j]!);
    });
  }
  return stringsAt(shape, joined);
}

/** Tensors of one dtype and shape side by side along a new axis (default 0). */
export function stack<D extends DType>(
  tensors: readonly Tensor<D>[],
  options: AxisOptions<NoInfer<D>> = {},
): Tensor<D> {
  const axis = normalizeAxis(options.axis ?? 0, (tensors[0]?.rank ?? 0) + 1);
  return concat(
    tensors.map((x) => {
      if (x.rank === tensors[0]!.rank) return x.unsqueeze(axis);
      throw new TenonError("TENSOR_SHAPE", {
        problem: "the tensors differ in rank",
        given: `[${x.shape.join(", ")}] beside [${tensors[0]!.shape.join(", ")}]`,
      });
    }),
    { axis, into: options.into },
  );
}

/** Options of `pad`. */
export interface PadOptions<D extends DType = DType> extends Into<D> {
  /**
   * What the new places hold: a constant; the nearest element; or the elements mirrored at the edge, which itself is not
   * repeated. Default "constant".
   */
  readonly mode?: "constant" | "edge" | "reflect" | undefined;
  /** The constant. Default 0 (false, ""). */
  readonly value?: Element | undefined;
}

/**
 * More elements before and after each dimension: `pads` is one [before, after] a dimension, counts that are not negative.
 * Throws TENSOR_SHAPE when "edge" has no element to repeat, or "reflect" fewer than it needs.
 */
export function pad<D extends DType>(
  x: Tensor<D>,
  pads: readonly (readonly [before: number, after: number])[],
  options: PadOptions<NoInfer<D>> = {},
): Tensor<D> {
  const { mode = "constant" } = options;
  if (pads.length !== x.rank || pads.flat().some((count) => !Number.isInteger(count) || count < 0)) {
    throw new TenonError("TENSOR_SHAPE", {
      given: `pads ${JSON.stringify(pads)}`,
      expected: `${x.rank} pairs of non-negative integers, one a dimension`,
    });
  }
  const shape = x.shape.map((dim, axis) => dim + pads[axis]![0] + pads[axis]![1]);
  if (mode !== "constant") {
    let padded: Tensor = x as Tensor;
    pads.forEach(([before, after], axis) => {
      const last = axis === lastPadded(pads);
      if (before + after > 0)
        padded = take(padded, places(x.shape[axis]!, before, after, mode, axis), {
          axis,
          into: last ? (options.into as Tensor | undefined) : undefined,
        });
    });
    if (padded === (x as Tensor)) return options.into === undefined ? x.clone() : concat([x], options);
    return padded as Tensor<D>;
  }
  if (x.dtype === "string") noStringInto(options.into as Tensor | undefined);
  if (x.dtype === "string")
    return padStrings(x as Tensor, pads, shape, options.value ?? "") as Tensor as Tensor<D>;
  const out = resultTensor(x.dtype, shape, options.into);
  const source = safeToRead(x as Tensor, out as Tensor);
  const filler = zeros(x.dtype, []) as Tensor;
  if (options.value !== undefined)
    writeElement(x.dtype, filler.storage as unknown as NumericArray, 0, options.value);
  place(filler.broadcastTo(shape), out as Tensor);
  place(
    source,
    out.slice(...pads.map(([before], axis) => [before, before + x.shape[axis]!] as const)) as Tensor,
  );
  return out;
}

function lastPadded(pads: readonly (readonly [number, number])[]): number {
  return pads.findLastIndex(([before, after]) => before + after > 0);
}

/** For each place of a padded axis the index that it repeats. */
function places(
  length: number,
  before: number,
  after: number,
  mode: "edge" | "reflect",
  axis: number,
): Tensor<"int64"> {
  const least = mode === "edge" ? 1 : Math.max(before, after) + 1;
  if (length < least) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `axis ${axis} is too short for ${mode} padding`,
      given: String(length),
      expected: `at least ${least}`,
    });
  }
  const indices = zeros("int64", [before + length + after]);
  for (let i = 0; i < indices.size; i++) {
    const place = i - before;
    const mirrored = place < 0 ? -place : place >= length ? 2 * (length - 1) - place : place;
    indices.data[i] = BigInt(mode === "reflect" ? mirrored : Math.min(Math.max(place, 0), length - 1));
  }
  return indices;
}

function padStrings(
  x: Tensor,
  pads: readonly (readonly [number, number])[],
  shape: readonly number[],
  value: Element,
): Tensor<"string"> {
  if (typeof value !== "string") {
    throw new TenonError("TENSOR_VALUE", { given: String(value), expected: "a string to pad with" });
  }
  let padded = x;
  pads.forEach(([before, after], axis) => {
    const side = (count: number): Tensor => {
      const own = padded.shape.map((dim, i) => (i === axis ? count : dim));
      return stringsAt(own, new Array<string>(own.reduce((a, b) => a * b, 1)).fill(value)) as Tensor;
    };
    padded = concat([side(before), padded, side(after)], { axis });
  });
  return stringsAt(shape, textsOf(padded));
}

/**
 * The slices of an axis (default 0) that indices name, which may repeat: ONNX's Gather, numpy's `take`. Indices are an
 * int32 or int64 tensor of any shape, which replaces the axis; negative ones count from the end, others out of range
 * throw TENSOR_VALUE.
 */
export function take<D extends DType>(
  x: Tensor<D>,
  indices: Tensor<"int64"> | Tensor<"int32"> | readonly number[],
  options: AxisOptions<NoInfer<D>> = {},
): Tensor<D> {
  const axis = normalizeAxis(options.axis ?? 0, x.rank);
  const length = x.shape[axis]!;
  const list = indexList(indices);
  const chosen = list.values.map((index) => {
    if (Number.isInteger(index) && index >= -length && index < length)
      return index < 0 ? index + length : index;
    throw new TenonError("TENSOR_VALUE", {
      problem: `an index is out of range on axis ${axis}`,
      given: String(index),
      expected: length === 0 ? "no index: the axis is empty" : `an integer from ${-length} to ${length - 1}`,
    });
  });
  const flat = x.shape.map((dim, i) => (i === axis ? chosen.length : dim));
  const shape = [...x.shape.slice(0, axis), ...list.shape, ...x.shape.slice(axis + 1)];
  if (x.dtype === "string") {
    noStringInto(options.into as Tensor | undefined);
    const rows = chosen.map((index) =>
      x.slice(...x.shape.map((_, i) => (i === axis ? ([index, index + 1] as const) : null))),
    );
    if (rows.length === 0) return stringsAt(shape, []) as Tensor as Tensor<D>;
    return joinStrings(rows as Tensor[], axis, flat).reshape(shape) as Tensor as Tensor<D>;
  }
  const out = resultTensor(x.dtype, shape, options.into);
  const source = safeToRead(x as Tensor, out as Tensor);
  const direct = out.isDense;
  const target = direct ? out.reshape(flat) : zeros(x.dtype, flat);
  chosen.forEach((index, i) => void place(source.select(axis, index), target.select(axis, i) as Tensor));
  if (!direct) place(target.reshape(shape) as Tensor, out as Tensor);
  return out;
}

function indexList(indices: Tensor<"int64"> | Tensor<"int32"> | readonly number[]): {
  values: number[];
  shape: readonly number[];
} {
  if (!(indices instanceof Tensor)) {
    const fraction = indices.find((index) => !Number.isInteger(index));
    if (fraction === undefined) return { values: [...indices], shape: [indices.length] };
    throw new TenonError("TENSOR_VALUE", { given: String(fraction), expected: "indices that are integers" });
  }
  if (indices.dtype !== "int64" && indices.dtype !== "int32") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "indices are int64 or int32",
      given: (indices as Tensor).dtype,
      do: 'cast(indices, "int64")',
    });
  }
  return {
    values: Array.from(indices.contiguous().data as ArrayLike<bigint | number>, Number),
    shape: indices.shape,
  };
}

/** Options of `oneHot`. */
export interface OneHotOptions<D extends DType = DType> {
  /** Default float32. */
  readonly dtype?: D | undefined;
  /** Where the new axis lies in the result. Default -1. */
  readonly axis?: number | undefined;
  /** The values of the named place and of all others. Default 1 and 0 (true and false). */
  readonly on?: Scalar | undefined;
  readonly off?: Scalar | undefined;
}

/** A new axis of size `depth` with `on` at the index and `off` elsewhere; negative indices count from the end. */
export function oneHot<D extends DType = "float32">(
  indices: Tensor<"int64"> | Tensor<"int32"> | readonly number[],
  depth: number,
  options: OneHotOptions<D> = {},
): Tensor<D> {
  const dtype = options.dtype ?? ("float32" as D);
  if (!Number.isInteger(depth) || depth < 0) {
    throw new TenonError("TENSOR_SHAPE", { given: `depth ${depth}`, expected: "a non-negative integer" });
  }
  const list = indexList(indices);
  const last = zeros(dtype, [...list.shape, depth]);
  const storage = last.storage as unknown as NumericArray;
  if (options.off !== undefined) {
    for (let i = 0; i < last.size; i++) writeElement(dtype, storage, i, options.off);
  }
  list.values.forEach((index, i) => {
    if (index < -depth || index >= depth) {
      throw new TenonError("TENSOR_VALUE", {
        problem: "an index is out of range",
        given: String(index),
        expected: `an integer from ${-depth} to ${depth - 1}`,
      });
    }
    writeElement(dtype, storage, i * depth + (index < 0 ? index + depth : index), options.on ?? oneOf(dtype));
  });
  const at = normalizeAxis(options.axis ?? -1, last.rank);
  if (at === last.rank - 1) return last;
  const order = last.shape.map((_, i) => i).slice(0, -1);
  order.splice(at, 0, last.rank - 1);
  return last.transpose(...order).contiguous();
}
