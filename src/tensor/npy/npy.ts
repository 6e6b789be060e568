/** The .npy format of numpy, versions 1.0 to 3.0 (NEP 1 and numpy/lib/_format_impl.py). */
import { TenonError } from "../../base/index.js";
import { byteLengthOf, type DType, dtypeFromNumpy, dtypeInfo, storageAlignment } from "../dtype.js";
import { denseLayout, forEachIndex, type Layout, sizeOf } from "../layout.js";
import { tensorFromBytes } from "../make.js";
import type { Storage } from "../storage.js";
import { StringStorage } from "../strings.js";
import { Tensor } from "../tensor.js";
import { formatHeader, type Literal, type NpyHeader, parseHeader } from "./header.js";

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const;

/** Data starts at a multiple of this, so that it can be viewed in place. */
const ALIGNMENT = 64;

function damaged(problem: string, parts: { given?: string; expected?: string } = {}): TenonError {
  return new TenonError("FILE_INVALID", { problem: `damaged .npy file: ${problem}`, ...parts });
}

/**
 * The tensor in the bytes of a .npy file: a view on them when they are little-endian and aligned (numpy aligns to 64
 * bytes within the file), else one copy. Fortran order becomes a strided view. `<U` and `|S` arrays become string tensors,
 * without the NULs that numpy pads with.
 *
 * Throws FILE_INVALID for damaged, truncated or surplus bytes, TENSOR_DTYPE for types that have no dtype here; object
 * arrays hold Python pickles, which are never executed.
 */
export function readNpy(bytes: Uint8Array): Tensor {
  const { header, start } = readHeader(bytes);
  const type = elementType(header.descr);
  const size = sizeOf(header.shape);
  const wanted = size * type.width;
  if (bytes.length - start !== wanted) {
    throw damaged(bytes.length - start < wanted ? "it is truncated" : "there are bytes after the array", {
      given: `${bytes.length - start} bytes of data`,
      expected: `${wanted} for ${String(header.descr)} of shape [${header.shape.join(", ")}]`,
    });
  }
  const data = bytes.subarray(start);
  const layout = header.fortranOrder ? fortranLayout(header.shape) : denseLayout(header.shape);
  if (type.text !== undefined) {
    return new Tensor("string", readTexts(data, type.text, type.width, type.bigEndian, size), layout);
  }
  const flat = tensorFromBytes(
    type.dtype as Exclude<DType, "string">,
    [size],
    type.bigEndian ? swapped(data, storageAlignment(type.dtype)) : data,
  ) as Tensor;
  return new Tensor(type.dtype, flat.storage, layout);
}

function readHeader(bytes: Uint8Array): { header: NpyHeader; start: number } {
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw new TenonError("FILE_INVALID", { problem: "no .npy file: it does not start with \\x93NUMPY" });
  }
  const [major, minor] = [bytes[6], bytes[7]];
  if (major === undefined || minor === undefined || major < 1 || major > 3 || minor !== 0) {
    throw damaged("unknown version", { given: `${major}.${minor}`, expected: "1.0, 2.0 or 3.0" });
  }
  const lengthBytes = major === 1 ? 2 : 4;
  const start = 8 + lengthBytes;
  if (bytes.length < start) throw damaged("it is truncated", { given: `${bytes.length} bytes` });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > bytes.length - start) {
    throw damaged("it is truncated", { given: `${bytes.length} bytes`, expected: `a header of ${length}` });
  }
  // Decoders, unlike String.fromCharCode, take any length; header text outside ASCII only occurs in field names.
  const text = new TextDecoder(major === 3 ? "utf-8" : "latin1").decode(
    bytes.subarray(start, start + length),
  );
  return { header: parseHeader(text), start: start + length };
}

interface ElementType {
  readonly dtype: DType;
  /** Bytes per element. */
  readonly width: number;
  readonly bigEndian: boolean;
  /** Fixed-length text: code points of four bytes, or bytes. */
  readonly text?: "unicode" | "bytes";
}

/** Elements of no bytes at all: a header alone could ask for any number of them. */
const MAX_EMPTY_TEXTS = 65536;

function elementType(descr: Literal): ElementType {
  if (typeof descr !== "string") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "structured arrays are not read",
      do: "save each field as an array of its own",
    });
  }
  const match = /^([<>|=]?)([?a-zA-Z])(\d{0,9})$/.exec(descr);
  const [order, kind, width] = match === null ? [] : [match[1]!, match[2]!, Number(match[3] || 1)];
  if (kind === "O") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "object arrays hold Python pickles, which are never executed",
      do: "save the array with a numeric or string dtype",
    });
  }
  const bigEndian = order === ">";
  if (kind === "U" && width !== undefined)
    return { dtype: "string", width: width * 4, bigEndian, text: "unicode" };
  if ((kind === "S" || kind === "a") && width !== undefined) {
    return { dtype: "string", width, bigEndian, text: "bytes" };
  }
  const name = kind === "?" ? "b1" : `${kind}${width}`;
  const dtype = dtypeFromNumpy(`<${name}`) ?? dtypeFromNumpy(`|${name}`);
  if (dtype === undefined) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "this numpy type has no dtype here",
      given: descr,
      expected: "a float of 2, 4 or 8 bytes, an int or uint, bool, complex, <U or |S",
    });
  }
  return { dtype, width: byteLengthOf(dtype, 1), bigEndian };
}

function fortranLayout(shape: readonly number[]): Layout {
  const reversed = denseLayout([...shape].reverse());
  return { shape, strides: [...reversed.strides].reverse(), offset: 0 };
}

/** A copy with the bytes of each part of `width` bytes reversed. */
function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at += width) {
    for (let i = 0; i < width; i++) out[at + i] = bytes[at + width - 1 - i]!;
  }
  return out;
}

function readTexts(
  data: Uint8Array,
  text: "unicode" | "bytes",
  width: number,
  bigEndian: boolean,
  size: number,
): StringStorage {
  if (width === 0 && size > MAX_EMPTY_TEXTS) {
    throw damaged("too many texts of length 0", {
      given: String(size),
      expected: `at most ${MAX_EMPTY_TEXTS}`,
    });
  }
  if (text === "bytes") return readByteTexts(data, width, size);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const texts: string[] = [];
  for (let start = 0, i = 0; i < size; i++, start += width) {
    let end = start + width;
    while (end > start && view.getUint32(end - 4) === 0) end -= 4;
    let decoded = "";
    for (let at = start; at < end; at += 4) {
      const point = view.getUint32(at, !bigEndian);
      if (point > 0x10ffff)
        throw damaged(`element ${i} is no Unicode text`, { given: `code point ${point}` });
      decoded += String.fromCodePoint(point);
    }
    texts.push(decoded);
  }
  return StringStorage.fromStrings(texts);
}

function readByteTexts(data: Uint8Array, width: number, size: number): StringStorage {
  const kept = new Uint8Array(data.length);
  const offsets = new Uint32Array(size + 1);
  let next = 0;
  for (let i = 0; i < size; i++) {
    let end = (i + 1) * width;
    while (end > i * width && data[end - 1] === 0) end--;
    kept.set(data.subarray(i * width, end), next);
    next += end - i * width;
    offsets[i + 1] = next;
  }
  return StringStorage.fromBytes(kept.subarray(0, next), offsets);
}

/**
 * The bytes of a .npy file (version 1.0, C order) with the tensor's elements; strings are written as `<U`.
 * Throws TENSOR_DTYPE for dtypes that numpy lacks: cast them first. Throws TENSOR_VALUE for texts that end in NUL.
 */
export function writeNpy(tensor: Tensor): Uint8Array {
  const texts = tensor.dtype === "string" ? collectTexts(tensor) : undefined;
  const descr = texts === undefined ? dtypeInfo(tensor.dtype).numpy : `<U${texts.width}`;
  if (descr === null) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `numpy has no ${tensor.dtype}`,
      do: 'cast first, for example cast(x, "float32")',
    });
  }
  const header = headerBytes(descr, tensor.shape, 0);
  const start = header.length;
  const dataLength = texts === undefined ? tensor.byteLength : texts.list.length * texts.width * 4;
  const out = new Uint8Array(start + dataLength);
  out.set(header);
  if (texts === undefined) out.set(tensor.contiguous().bytes, start);
  else writeTexts(texts.list, texts.width, new DataView(out.buffer), start);
  return out;
}

/** The bytes before the data of a .npy file, at least `least` of them. Throws TENSOR_DTYPE for dtypes that numpy lacks. */
export function npyHeader(dtype: DType, shape: readonly number[], least = 0): Uint8Array {
  const descr = dtypeInfo(dtype).numpy;
  if (descr === null) throw new TenonError("TENSOR_DTYPE", { problem: `numpy has no ${dtype}` });
  return headerBytes(descr, shape, least);
}

function headerBytes(descr: string, shape: readonly number[], least: number): Uint8Array {
  const header = formatHeader(descr, shape);
  // Magic, version, length and the closing newline; the rest is padding.
  const size = Math.ceil(Math.max(least, 10 + header.length + 1) / ALIGNMENT) * ALIGNMENT;
  const out = new Uint8Array(size);
  out.set(MAGIC);
  out[6] = 1;
  new DataView(out.buffer).setUint16(8, size - 10, true);
  new TextEncoder().encodeInto(`${header.padEnd(size - 11)}\n`, out.subarray(10));
  return out;
}

function collectTexts(tensor: Tensor): { list: string[][]; width: number } {
  const storage = tensor.storage as Storage<"string">;
  const list: string[][] = [];
  let width = 1;
  forEachIndex(tensor, (index) => {
    const text = storage.get(index);
    if (text.endsWith("\0")) {
      throw new TenonError("TENSOR_VALUE", {
        problem: "numpy drops NULs at the end of a text",
        given: JSON.stringify(text),
      });
    }
    const points = [...text];
    width = Math.max(width, points.length);
    list.push(points);
  });
  return { list, width };
}

function writeTexts(
  texts: readonly (readonly string[])[],
  width: number,
  view: DataView,
  start: number,
): void {
  texts.forEach((points, i) => {
    points.forEach((point, j) => {
      view.setUint32(start + (i * width + j) * 4, point.codePointAt(0)!, true);
    });
  });
}
