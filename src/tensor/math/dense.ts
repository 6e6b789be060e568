/** Whole tensors as dense arrays of their block type, for operations that walk along one axis. */
import { normalizeAxis } from "../layout.js";
import type { Tensor } from "../tensor.js";
import { BLOCK, type Block, type Domain, Reader, scratchBlock, Writer } from "./blocks.js";

/** The elements, row-major, in an array of the domain's type; the storage itself, not a copy, where that is what it holds. */
export function gathered<D extends Domain>(x: Tensor): { array: Block<D>; at: number } {
  const reader = new Reader<D>(x, 0);
  if (reader.isDirect) return { array: reader.array, at: x.offset };
  const array = blockArray(x, x.size) as Block<D>;
  for (let at = 0; at < x.size; at += BLOCK) {
    const count = Math.min(BLOCK, x.size - at);
    reader.next(count);
    const part = reader.array.subarray(reader.at, reader.at + count);
    // Both are of the domain's one type.
    (array as Float64Array).set(part as Float64Array, at);
  }
  return { array, at: 0 };
}

/** A zeroed array of the type that computes the dtype of `x`. */
export function blockArray(x: Tensor, length: number): Block {
  const make = scratchBlock(x.dtype, 0).constructor as new (length: number) => Block;
  return new make(length);
}

/** Where a dense result is computed: in the tensor's own storage when that has the type and order, else beside it. */
export function resultArray<D extends Domain>(
  out: Tensor,
): { array: Block<D>; at: number; deliver: () => void } {
  const writer = new Writer<D>(out, 2);
  if (writer.isDirect) return { array: writer.array, at: out.offset, deliver: () => undefined };
  const array = blockArray(out, out.size) as Block<D>;
  return { array, at: 0, deliver: () => deliver(array, writer) };
}

function deliver<D extends Domain>(array: Block<D>, writer: Writer<D>): void {
  for (let at = 0; at < array.length; at += BLOCK) {
    const part = array.subarray(at, at + BLOCK);
    (writer.array as Float64Array).set(part as Float64Array, writer.at);
    writer.flush(part.length);
  }
}

/** Stores row-major values in a tensor of a float, int or bool dtype, rounding as the dtype needs. */
export function fill(out: Tensor, values: Float64Array): void {
  const writer = new Writer<"float64">(out, 2);
  for (let at = 0; at < values.length; at += BLOCK) {
    const part = values.subarray(at, at + BLOCK);
    writer.array.set(part, writer.at);
    writer.flush(part.length);
  }
}

/** Stores row-major values in an int64 or uint64 tensor. */
export function fillBig(out: Tensor, values: ArrayLike<bigint>): void {
  const writer = new Writer<"big">(out, 2);
  for (let at = 0; at < values.length; at += BLOCK) {
    const count = Math.min(BLOCK, values.length - at);
    for (let i = 0; i < count; i++) writer.array[writer.at + i] = values[at + i]!;
    writer.flush(count);
  }
}

/** The view with one axis moved to the end. */
export function axisLast(x: Tensor, axis: number): Tensor {
  const at = normalizeAxis(axis, x.rank);
  if (at === x.rank - 1) return x;
  return x.transpose(...x.shape.map((_, i) => i).filter((i) => i !== at), at);
}
