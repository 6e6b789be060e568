/** Copies of strided views into dense storage: by element width, not by dtype, so that every bit pattern survives. */
import { TenonError } from "../base/index.js";
import { allocateStorage, type DType, dtypeInfo, type NumericArray, storageLengthOf } from "./dtype.js";
import { readBits, writeBits } from "./element.js";
import { collapse, denseStrides, forEachIndex, isDense, type Layout, sizeOf } from "./layout.js";
import type { Storage } from "./storage.js";
import { StringStorage } from "./strings.js";

/** Rows and columns of a transposing copy that are moved together. */
const TILE = 32;

/** What a copy reads: any tensor. */
export interface View extends Layout {
  readonly dtype: DType;
  readonly storage: NumericArray | StringStorage;
}

/** Dense storage of its own with the elements of a view, row-major. */
export function copyDense(source: View): Storage {
  const { storage } = source;
  if (storage instanceof StringStorage) {
    const strings: string[] = [];
    forEachIndex(source, (index) => void strings.push(storage.get(index)));
    return StringStorage.fromStrings(strings);
  }
  const target = allocateStorage(source.dtype, sizeOf(source.shape));
  gatherInto(source, target);
  return target;
}

/**
 * Writes the elements of any view, row-major, to the start of `target` (of the dtype's storage type and at least as
 * long); one block copy when the view is dense. Throws TENSOR_SHAPE when `target` is too short, TENSOR_DTYPE when it
 * is of another type or the view holds strings.
 */
export function gatherInto(source: View, target: NumericArray): void {
  const { storage, dtype } = source;
  if (storage instanceof StringStorage) {
    throw new TenonError("TENSOR_DTYPE", { problem: "string tensors are not gathered" });
  }
  if (storage[Symbol.toStringTag] !== target[Symbol.toStringTag]) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "the target stores another type",
      given: target[Symbol.toStringTag],
      expected: `${storage[Symbol.toStringTag]} for ${dtype}`,
    });
  }
  const size = sizeOf(source.shape);
  const length = storageLengthOf(dtype, size);
  if (target.length < length) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "the target is too short",
      given: `${target.length} entries`,
      expected: `at least ${length} for ${dtype} [${source.shape.join(", ")}]`,
    });
  }
  if (size === 0) return;
  const { bits } = dtypeInfo(dtype);
  if (bits < 8) {
    gatherPacked(source, storage as Uint8Array, target as Uint8Array, bits);
    return;
  }
  if (isDense(source)) {
    const start = storageLengthOf(dtype, source.offset);
    (target as Float64Array).set((storage as Float64Array).subarray(start, start + length));
    return;
  }
  copyStrided(source, storage, { ...source, strides: denseStrides(source.shape), offset: 0 }, target);
}

/**
 * Writes the elements of one view to the places of another of the same shape and dtype (not packed, not strings).
 * The two must not overlap.
 */
export function copyStrided(source: View, from: NumericArray, target: Layout, to: NumericArray): void {
  const width = dtypeInfo(source.dtype).bits / 8;
  const words = Math.max(width / 4, 1);
  const { shape, strides } = collapse(source.shape, [source.strides, target.strides]);
  const [fromStrides, toStrides] = [strides[0]!, strides[1]!];
  if (words > 1) {
    shape.push(words);
    fromStrides.forEach((stride, axis) => {
      fromStrides[axis] = stride * words;
      toStrides[axis]! *= words;
    });
    fromStrides.push(1);
    toStrides.push(1);
  }
  while (shape.length < 2) {
    shape.unshift(1);
    fromStrides.unshift(0);
    toStrides.unshift(0);
  }
  const rank = shape.length;
  const counter = new Array<number>(rank - 2).fill(0);
  let read = source.offset * words;
  let written = target.offset * words;
  const planes = sizeOf(shape.slice(0, -2));
  const [rows, columns] = [shape[rank - 2]!, shape[rank - 1]!];
  const [fromRow, fromColumn] = [fromStrides[rank - 2]!, fromStrides[rank - 1]!];
  const [toRow, toColumn] = [toStrides[rank - 2]!, toStrides[rank - 1]!];
  const blocks = fromColumn === 1 && toColumn === 1 && columns >= BLOCK_ROW;
  // The words are of the width that chooses the loop.
  const move = blocks ? moveRows : (PLANES[Math.min(width, 4) as 1 | 2 | 4] as Plane<never> as Plane<Words>);
  // Where reading and writing run along different axes, small tiles keep the lines of both in the cache.
  const crossed = Math.abs(fromColumn) > Math.abs(fromRow) && Math.abs(toColumn) < Math.abs(toRow);
  const [tileRows, tileColumns] = crossed ? [TILE, TILE] : [rows, columns];
  const input = wordsOf(from, width);
  const output = wordsOf(to, width);
  for (let done = 0; done < planes; done++) {
    for (let row = 0; row < rows; row += tileRows) {
      for (let column = 0; column < columns; column += tileColumns) {
        move(
          input,
          read + row * fromRow + column * fromColumn,
          fromRow,
          fromColumn,
          output,
          written + row * toRow + column * toColumn,
          toRow,
          toColumn,
          Math.min(tileRows, rows - row),
          Math.min(tileColumns, columns - column),
        );
      }
    }
    for (let axis = rank - 3; axis >= 0; axis--) {
      read += fromStrides[axis]!;
      written += toStrides[axis]!;
      if (++counter[axis]! < shape[axis]!) break;
      read -= fromStrides[axis]! * shape[axis]!;
      written -= toStrides[axis]! * shape[axis]!;
      counter[axis] = 0;
    }
  }
}

type Words = Uint8Array | Uint16Array | Uint32Array;

function wordsOf(array: NumericArray, width: number): Words {
  const make = width === 1 ? Uint8Array : width === 2 ? Uint16Array : Uint32Array;
  const length = array.byteLength / make.BYTES_PER_ELEMENT;
  return new make(array.buffer as ArrayBuffer, array.byteOffset, length);
}

/** Moves rows × columns elements between two places with strides of their own. */
type Plane<A> = (
  from: A,
  read: number,
  fromRow: number,
  fromColumn: number,
  to: A,
  written: number,
  toRow: number,
  toColumn: number,
  rows: number,
  columns: number,
) => void;

/** Rows without gaps on either side, as blocks. */
const moveRows: Plane<Words> = (from, read, fromRow, _, to, written, toRow, __, rows, columns) => {
  for (let row = 0; row < rows; row++) {
    const start = read + row * fromRow;
    to.set(from.subarray(start, start + columns), written + row * toRow);
  }
};

/** From this length on a block copy beats a loop. */
const BLOCK_ROW = 64;

// One function a width, with the same text: a loop that has seen one array type only is compiled to plain loads and
// stores. Four elements at a time: what a step costs beside moving is then paid once for four.
const PLANES: {
  readonly 1: Plane<Uint8Array>;
  readonly 2: Plane<Uint16Array>;
  readonly 4: Plane<Uint32Array>;
} = {
  1: (from, read, fromRow, fromColumn, to, written, toRow, toColumn, rows, columns) => {
    for (let row = 0; row < rows; row++, read += fromRow, written += toRow) {
      let r = read;
      let w = written;
      let left = columns;
      for (; left >= 4; left -= 4, r += 4 * fromColumn, w += 4 * toColumn) {
        to[w] = from[r]!;
        to[w + toColumn] = from[r + fromColumn]!;
        to[w + 2 * toColumn] = from[r + 2 * fromColumn]!;
        to[w + 3 * toColumn] = from[r + 3 * fromColumn]!;
      }
      for (; left > 0; left--, r += fromColumn, w += toColumn) to[w] = from[r]!;
    }
  },
  2: (from, read, fromRow, fromColumn, to, written, toRow, toColumn, rows, columns) => {
    for (let row = 0; row < rows; row++, read += fromRow, written += toRow) {
      let r = read;
      let w = written;
      let left = columns;
      for (; left >= 4; left -= 4, r += 4 * fromColumn, w += 4 * toColumn) {
        to[w] = from[r]!;
        to[w + toColumn] = from[r + fromColumn]!;
        to[w + 2 * toColumn] = from[r + 2 * fromColumn]!;
        to[w + 3 * toColumn] = from[r + 3 * fromColumn]!;
      }
      for (; left > 0; left--, r += fromColumn, w += toColumn) to[w] = from[r]!;
    }
  },
  4: (from, read, fromRow, fromColumn, to, written, toRow, toColumn, rows, columns) => {
    for (let row = 0; row < rows; row++, read += fromRow, written += toRow) {
      let r = read;
      let w = written;
      let left = columns;
      for (; left >= 4; left -= 4, r += 4 * fromColumn, w += 4 * toColumn) {
        to[w] = from[r]!;
        to[w + toColumn] = from[r + fromColumn]!;
        to[w + 2 * toColumn] = from[r + 2 * fromColumn]!;
        to[w + 3 * toColumn] = from[r + 3 * fromColumn]!;
      }
      for (; left > 0; left--, r += fromColumn, w += toColumn) to[w] = from[r]!;
    }
  },
};

function gatherPacked(source: View, from: Uint8Array, to: Uint8Array, bits: number): void {
  const bytes = Math.ceil((sizeOf(source.shape) * bits) / 8);
  to.fill(0, 0, bytes);
  let next = 0;
  forEachIndex(source, (index) => writeBits(to, next++, bits, readBits(from, index, bits)));
}
