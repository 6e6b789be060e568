/** Tensors inside frames: their heads one behind the other, then the bytes of each. */
import { DTYPES, type DType, type Tensor } from "../../tensor/index.js";
import { BinarySection, encodeTensor } from "../oip/binary.js";
import { ALIGNMENT, HEADER_BYTES, JOINED_BYTES, LINE, padded } from "./frames.js";
import type { Packer, Unpacker } from "./packer.js";

const CODES = Object.keys(DTYPES) as readonly DType[];
const CODE_OF: ReadonlyMap<DType, number> = new Map(CODES.map((dtype, code) => [dtype, code]));

/** What is said of a tensor ahead of its bytes. */
export interface TensorHead {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly size: number;
  readonly bytes: number;
}

/** A tensor with the bytes that travel: its own, strings with their lengths. */
export interface PackedTensor {
  readonly tensor: Tensor;
  readonly bytes: Uint8Array;
}

export function packed(tensor: Tensor): PackedTensor {
  return { tensor, bytes: encodeTensor(tensor) };
}

const MOST = 2 ** 32 - 1;

/** False for a tensor that a frame cannot hold. */
export function fits({ tensor: { shape, rank }, bytes }: PackedTensor): boolean {
  return rank < 256 && bytes.length <= MOST / 2 && shape.every((dim) => dim <= MOST);
}

export function headRoom({ tensor }: PackedTensor): number {
  return 6 + 4 * tensor.rank;
}

export function packHead(packer: Packer, { tensor, bytes }: PackedTensor): void {
  const { dtype, shape, rank } = tensor;
  packer.byte(CODE_OF.get(dtype)!);
  packer.byte(rank);
  for (let i = 0; i < rank; i++) packer.word(shape[i]!);
  packer.word(bytes.length);
}

/** Throws RangeError for a head that no tensor has. */
export function unpackHead(unpacker: Unpacker, mostElements: number): TensorHead {
  const dtype = CODES[unpacker.byte()];
  if (dtype === undefined) throw new RangeError("a tensor of no dtype");
  const rank = unpacker.byte();
  const shape: number[] = [];
  let size = 1;
  for (let i = 0; i < rank; i++) {
    const dim = unpacker.word();
    shape.push(dim);
    size *= dim;
  }
  if (size > mostElements) throw new RangeError(`a tensor of ${size} elements`);
  return { dtype, shape, size, bytes: unpacker.word() };
}

/** The tensor whose bytes come next, as a view where its dtype allows that. Throws RangeError for bytes that are not its. */
export function unpackTensor(
  unpacker: Unpacker,
  { dtype, shape, size, bytes }: TensorHead,
  alignment: number,
): Tensor {
  const section = unpacker.take(bytes);
  unpacker.align(0, alignment);
  try {
    const source = new BinarySection(section, "", Number.POSITIVE_INFINITY);
    return source.take("", dtype, shape, size, bytes);
  } catch (cause) {
    throw new RangeError(`bytes that are not a tensor of ${dtype}`, { cause });
  }
}

/** Bytes of a frame with these tensors behind `head` bytes, and the alignment that they have in it. */
export function frameRoom(
  head: number,
  tensors: readonly PackedTensor[],
): { readonly length: number; readonly alignment: number } {
  let data = 0;
  for (const { bytes } of tensors) data += padded(bytes.length);
  const length = padded(HEADER_BYTES + head) + data;
  if (length <= JOINED_BYTES) return { length, alignment: ALIGNMENT };
  data = 0;
  for (const { bytes } of tensors) data += padded(bytes.length, LINE);
  return { length: padded(HEADER_BYTES + head, LINE) + data, alignment: LINE };
}

const ZEROS = Buffer.alloc(LINE);

/** The bytes of tensors as parts of a large frame. */
export function largeParts(tensors: readonly PackedTensor[]): Uint8Array[] {
  return tensors.flatMap(({ bytes }) => {
    const padding = padded(bytes.length, LINE) - bytes.length;
    return padding === 0 ? [bytes] : [bytes, ZEROS.subarray(0, padding)];
  });
}
