/** The binary tensor extension: raw tensors behind the JSON header, as views where the bytes allow it. */
import { TenonError } from "../../base/index.js";
import {
  byteLengthOf,
  type DType,
  StringStorage,
  type Tensor,
  tensorFromBytes,
  tensorFromStorage,
} from "../../tensor/index.js";

/**
 * The header `Inference-Header-Content-Length` as a number; undefined when it is absent. Throws REQUEST_INVALID when
 * it is no number, or lies outside the body.
 */
export function headerLength(value: string | undefined, bodyLength: number | undefined): number | undefined {
  if (value === undefined) return undefined;
  const length = /^[0-9]{1,15}$/.test(value) ? Number(value) : undefined;
  if (length !== undefined && (bodyLength === undefined || length <= bodyLength)) return length;
  if (length === undefined && !/^-[0-9]{1,15}$/.test(value)) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `Unable to parse Inference-Header-Content-Length, got: ${value.slice(0, 40)}`,
    });
  }
  throw new TenonError("REQUEST_INVALID", {
    problem: `inference header size should be in range (0, ${bodyLength ?? "body size"}), got: ${value}`,
  });
}

/** Reads the raw tensors of one body in the order of the inputs. */
export class BinarySection {
  readonly #bytes: Uint8Array;
  readonly #model: string;
  readonly #maxStringBytes: number;
  #at = 0;

  /** `bytes`: everything behind the JSON header; `maxStringBytes`: most bytes of one element of a string tensor. */
  constructor(bytes: Uint8Array, model: string, maxStringBytes: number) {
    this.#bytes = bytes;
    this.#model = model;
    this.#maxStringBytes = maxStringBytes;
  }

  /**
   * The next tensor, whose header says that it takes `size` bytes. A view when its place is aligned for the dtype,
   * else a copy; strings are always copied. Throws INPUT_SIZE.
   */
  take(name: string, dtype: DType, shape: readonly number[], elements: number, size: number): Tensor {
    const left = this.#bytes.length - this.#at;
    if (size > left) {
      throw new TenonError("INPUT_SIZE", {
        problem: `unexpected size for input '${name}', expecting ${size - left} additional bytes for model '${this.#model}'`,
      });
    }
    const bytes = this.#bytes.subarray(this.#at, this.#at + size);
    this.#at += size;
    if (dtype === "string") {
      const place = { input: name, model: this.#model };
      return tensorFromStorage(dtype, shape, decodeStrings(bytes, elements, place, this.#maxStringBytes));
    }
    const expected = byteLengthOf(dtype, elements);
    if (size !== expected) throw sizeMismatch(name, this.#model, expected, size);
    return numericTensor(dtype, shape, bytes);
  }

  /** Throws INPUT_SIZE when bytes are left over. */
  finish(): void {
    if (this.#at === this.#bytes.length) return;
    throw new TenonError("INPUT_SIZE", {
      problem: `unexpected additional input data for model '${this.#model}'`,
    });
  }
}

/** The error for raw bytes that are not as many as shape and dtype make. */
export function sizeMismatch(input: string, model: string, expected: number, got: number): TenonError {
  return new TenonError("INPUT_SIZE", {
    problem: `input byte size mismatch for input '${input}' for model '${model}'. Expected ${expected}, got ${got}`,
    details: { named: true },
  });
}

/** A tensor over raw bytes. Bytes of a bool tensor become 0 or 1, which is all that native code expects. */
export function numericTensor(
  dtype: Exclude<DType, "string">,
  shape: readonly number[],
  bytes: Uint8Array,
): Tensor {
  if (dtype === "bool") {
    for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 1) bytes[i] = 1;
  }
  return tensorFromBytes(dtype, shape, bytes);
}

/** Where a string tensor stands, for its errors. */
export interface StringPlace {
  readonly input: string;
  readonly model: string;
}

/** Elements of a string tensor: each a little-endian uint32 length and as many bytes. */
function decodeStrings(
  bytes: Uint8Array,
  elements: number,
  place: StringPlace,
  maxBytes: number,
): StringStorage {
  if (elements * 4 > bytes.length) throw wrongStrings(bytes, elements, place);
  const lengths = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const offsets = new Uint32Array(elements + 1);
  const text = new Uint8Array(bytes.length - 4 * elements);
  let at = 0;
  let filled = 0;
  for (let i = 0; i < elements; i++) {
    if (at + 4 > bytes.length) throw wrongStrings(bytes, elements, place);
    const length = lengths.getUint32(at, true);
    at += 4;
    // The length words of the elements to come must still have their place.
    if (length > bytes.length - at || filled + length > text.length)
      throw wrongStrings(bytes, elements, place);
    if (length > maxBytes) throw longString(maxBytes, place);
    if (length > 32) text.set(bytes.subarray(at, at + length), filled);
    else for (let j = 0; j < length; j++) text[filled + j] = bytes[at + j]!;
    at += length;
    filled += length;
    offsets[i + 1] = filled;
  }
  if (at !== bytes.length) throw wrongStrings(bytes, elements, place);
  return StringStorage.fromBytes(text.subarray(0, filled), offsets);
}

export function longString(maxBytes: number, { input, model }: StringPlace): TenonError {
  return new TenonError("INPUT_SIZE", {
    problem: `a string element of more than ${maxBytes} bytes for inference input '${input}' for model '${model}'`,
  });
}

/** Bytes that are not `elements` strings, in Triton's words: the first string that is cut off, else how many there are. */
function wrongStrings(bytes: Uint8Array, elements: number, place: StringPlace): TenonError {
  const { input, model } = place;
  const lengths = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let got = 0;
  for (let at = 0; at < bytes.length; got++) {
    const left = bytes.length - at;
    if (left < 4) {
      return new TenonError("INPUT_SIZE", {
        problem: `incomplete string length indicator for inference input '${input}' for model '${model}', expecting 4 bytes but only ${left} bytes available. Please make sure the string length indicator is in one buffer.`,
        details: { named: true },
      });
    }
    const length = lengths.getUint32(at, true);
    if (length > left - 4) {
      return new TenonError("INPUT_SIZE", {
        problem: `incomplete string data for inference input '${input}', expecting string of length ${length} but only ${left - 4} bytes available`,
      });
    }
    at += 4 + length;
  }
  return wrongElements(got, elements, place);
}

/** A string tensor of more or fewer elements than its shape makes. */
export function wrongElements(got: number, elements: number, { input, model }: StringPlace): TenonError {
  const whose = `for inference input '${input}' for model '${model}'`;
  return new TenonError("INPUT_SIZE", {
    problem:
      got < elements
        ? `expected ${elements} string elements ${whose}, got ${got}`
        : `unexpected number of string elements ${got} ${whose}, expecting ${elements}`,
    details: { named: true },
  });
}

/** The raw form of a tensor: its own bytes when it is dense, else a dense copy; strings with their lengths. */
export function encodeTensor(tensor: Tensor): Uint8Array {
  const { storage } = tensor;
  if (!(storage instanceof StringStorage)) return tensor.contiguous().bytes;
  const dense = tensor.contiguous() as Tensor<"string">;
  let total = 4 * dense.size;
  for (let i = 0; i < dense.size; i++) total += dense.storage.bytesAt(dense.offset + i).length;
  const bytes = new Uint8Array(total);
  const lengths = new DataView(bytes.buffer);
  let at = 0;
  for (let i = 0; i < dense.size; i++) {
    const element = dense.storage.bytesAt(dense.offset + i);
    lengths.setUint32(at, element.length, true);
    bytes.set(element, at + 4);
    at += 4 + element.length;
  }
  return bytes;
}
