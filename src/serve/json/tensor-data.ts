/** The `data` of a JSON tensor, flat or nested, scanned straight into a typed array (strings: bytes and offsets). */
import { TenonError } from "../../base/index.js";
import { allocateStorage, type DType, dtypeInfo, type NumericArray } from "../../tensor/index.js";
import { type NumberRule, scanLongs, scanNumbers, valueError } from "./numbers.js";
import { BYTE, type JsonScanner } from "./scanner.js";

/** Elements of a string tensor: element i is `bytes[offsets[i], offsets[i + 1])`. */
export interface EncodedStrings {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

export type TensorValues = NumericArray | EncodedStrings;

/** Reads `count` elements of a row to their place in the tensor; the cursor ends behind the last of them. */
type ReadRow = (from: number, count: number) => void;

/**
 * Scans the array at the cursor as a tensor of `shape`. A nested array must have exactly the shape's nesting and
 * lengths, a flat one exactly its number of elements.
 * Throws REQUEST_INVALID for broken JSON and for data of another shape, INPUT_VALUE for elements that the dtype
 * cannot hold, REQUEST_UNSUPPORTED for dtypes that JSON does not carry.
 */
export function scanTensorData(
  scanner: JsonScanner,
  dtype: DType,
  shape: readonly number[],
  size: number,
): TensorValues {
  if (scanner.peek() !== BYTE.openArray) mismatch();
  // An element takes a byte and a separator at least: what cannot be there is not allocated.
  if (size > scanner.end - scanner.at) mismatch();
  const { readRow, values } = rowReader(scanner, dtype, size);
  scanner.open(BYTE.openArray);
  const nested = scanner.peek() === BYTE.openArray;
  if (nested) scanNested(scanner, shape, 0, 0, readRow);
  else scanRow(scanner, 0, size, readRow);
  return values();
}

/** Reads the items of the array just opened, and closes it. Returns the place of the next element. */
function scanNested(
  scanner: JsonScanner,
  shape: readonly number[],
  axis: number,
  from: number,
  readRow: ReadRow,
): number {
  const length = shape[axis];
  if (length === undefined) return mismatch();
  if (axis === shape.length - 1) {
    scanRow(scanner, from, length, readRow);
    return from + length;
  }
  for (let i = 0; i < length; i++) {
    if (i > 0 && !scanner.accept(BYTE.comma)) mismatch();
    if (scanner.peek() !== BYTE.openArray) mismatch();
    scanner.open(BYTE.openArray);
    from = scanNested(scanner, shape, axis + 1, from, readRow);
  }
  closeRow(scanner);
  return from;
}

function scanRow(scanner: JsonScanner, from: number, count: number, readRow: ReadRow): void {
  const empty = scanner.peek() === BYTE.closeArray;
  if (empty !== (count === 0)) mismatch();
  if (count > 0) readRow(from, count);
  closeRow(scanner);
}

function closeRow(scanner: JsonScanner): void {
  if (scanner.peek() === BYTE.comma) mismatch();
  scanner.close(BYTE.closeArray);
}

function mismatch(): never {
  throw new TenonError("REQUEST_INVALID", {
    problem: "Unable to parse 'data': Shape does not match true shape of 'data' field",
  });
}

/** Numbers pass through this block on their way into arrays of other types: one loop then serves all dtypes. */
const block = new Float64Array(1024);

function rowReader(
  scanner: JsonScanner,
  dtype: DType,
  size: number,
): { readRow: ReadRow; values: () => TensorValues } {
  const { kind, bits, oip } = dtypeInfo(dtype);
  if (kind === "string") return stringReader(scanner, size);
  if (oip === null || bits < 8 || kind === "complex" || (kind === "float" && bits < 32)) {
    throw new TenonError("REQUEST_UNSUPPORTED", { problem: `${oip ?? dtype} has no JSON form` });
  }
  const target = allocateStorage(dtype, size);
  const values = (): TensorValues => target;
  if (kind === "bool") return { readRow: booleanRow(scanner, target as Uint8Array), values };
  const rule = numberRule(oip, kind === "float", kind === "uint", bits);
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    const words = new Uint32Array(target.buffer);
    return {
      readRow: (from, count) => scanLongs(scanner, target, words, from, count, rule, mismatch),
      values,
    };
  }
  return {
    readRow: (from, count) => {
      for (let done = 0; done < count; done += block.length) {
        const part = Math.min(block.length, count - done);
        if (done > 0 && !scanner.accept(BYTE.comma)) mismatch();
        scanNumbers(scanner, block, 0, part, rule, mismatch);
        if (part > 16) target.set(part === block.length ? block : block.subarray(0, part), from + done);
        else for (let i = 0; i < part; i++) target[from + done + i] = block[i]!;
      }
    },
    values,
  };
}

function numberRule(datatype: string, float: boolean, unsigned: boolean, bits: number): NumberRule {
  if (float) return { datatype, integer: false, min: 0, max: 0, single: bits === 32 };
  const max = unsigned ? 2 ** bits - 1 : 2 ** (bits - 1) - 1;
  return { datatype, integer: true, min: unsigned ? 0 : -max - 1, max, single: false };
}

function booleanRow(scanner: JsonScanner, target: Uint8Array): ReadRow {
  return (from, count) => {
    for (let i = 0; i < count; i++) {
      if (i > 0 && !scanner.accept(BYTE.comma)) mismatch();
      const value = scanner.boolean();
      if (value === undefined && scanner.peek() === BYTE.openArray) mismatch();
      if (value === undefined) throw valueError(`expected true or false at ${scanner.at}`);
      target[from + i] = value ? 1 : 0;
    }
  };
}

function stringReader(scanner: JsonScanner, size: number): { readRow: ReadRow; values: () => TensorValues } {
  const offsets = new Uint32Array(size + 1);
  const start = scanner.at;
  const room = new Uint8Array(scanner.end - start);
  let length = 0;
  return {
    readRow: (from, count) => {
      for (let i = 0; i < count; i++) {
        if (i > 0 && !scanner.accept(BYTE.comma)) mismatch();
        if (scanner.peek() === BYTE.openArray) mismatch();
        if (scanner.peek() !== BYTE.quote) throw valueError(`expected a string at ${scanner.at}`);
        length = scanner.stringInto(room, length);
        offsets[from + i + 1] = length;
      }
    },
    values: () => ({ bytes: room.slice(0, length), offsets }),
  };
}
