/** Typed contents of a tensor (`InferTensorContents`), read straight into its storage once the datatype is known. */
import { TenonError } from "../../base/index.js";
import {
  allocateStorage,
  byteLengthOf,
  type DType,
  dtypeInfo,
  type NumericArray,
  StringStorage,
  type Tensor,
  tensorFromStorage,
} from "../../tensor/index.js";
import { longString, type StringPlace, sizeMismatch, wrongElements } from "../oip/binary.js";
import { WireReader } from "../protobuf/decode.js";

type Read = (reader: WireReader) => number | bigint;

interface Slot {
  /** Number and name of the field in `InferTensorContents`. */
  readonly field: number;
  readonly name: string;
  readonly wireType: number;
  readonly read: Read;
  readonly lowest?: number;
  readonly highest?: number;
}

const int: Read = (reader) => reader.int32();
const unsigned: Read = (reader) => reader.int32() >>> 0;

/** The field of each datatype; FP16 and BF16 have none, BYTES is read apart. */
const SLOTS: Partial<Readonly<Record<DType, Slot>>> = {
  bool: { field: 1, name: "bool_contents", wireType: 0, read: (reader) => (reader.bool() ? 1 : 0) },
  int8: { field: 2, name: "int_contents", wireType: 0, read: int, lowest: -128, highest: 127 },
  int16: { field: 2, name: "int_contents", wireType: 0, read: int, lowest: -32_768, highest: 32_767 },
  int32: { field: 2, name: "int_contents", wireType: 0, read: int },
  int64: { field: 3, name: "int64_contents", wireType: 0, read: (reader) => BigInt(reader.int64()) },
  uint8: { field: 4, name: "uint_contents", wireType: 0, read: unsigned, lowest: 0, highest: 255 },
  uint16: { field: 4, name: "uint_contents", wireType: 0, read: unsigned, lowest: 0, highest: 65_535 },
  uint32: { field: 4, name: "uint_contents", wireType: 0, read: unsigned },
  uint64: { field: 5, name: "uint64_contents", wireType: 0, read: (reader) => BigInt(reader.uint64()) },
  float32: { field: 6, name: "fp32_contents", wireType: 5, read: (reader) => reader.float() },
  float64: { field: 7, name: "fp64_contents", wireType: 1, read: (reader) => reader.double() },
};

/** What each field of `InferTensorContents` holds, in the words of its errors. */
const FIELD_TYPES = [undefined, "BOOL", "INT32", "INT64", "UINT32", "UINT64", "FP32", "FP64", "BYTES"];
const BYTES_FIELD = 8;
const DELIMITED = 2;

/** The tensor of typed contents. Throws REQUEST_INVALID, INPUT_SIZE or INPUT_VALUE. */
export function tensorFromContents(
  bytes: Uint8Array,
  place: StringPlace,
  dtype: DType,
  shape: readonly number[],
  size: number,
  maxStringBytes: number,
): Tensor {
  const { input } = place;
  const reader = new WireReader(bytes, "InferTensorContents");
  if (dtype === "string") return stringTensor(reader, place, shape, size, maxStringBytes);
  const slot = SLOTS[dtype];
  if (slot === undefined) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `${dtypeInfo(dtype).oip ?? dtype} has no typed contents; send input '${input}' in raw_input_contents`,
    });
  }
  // Each value takes a byte at least, so memory is bounded by what came.
  const storage = allocateStorage(dtype, Math.min(size, bytes.length));
  let got = 0;
  const take = (): void => {
    const value = slot.read(reader);
    if (got++ >= size) return;
    if (slot.lowest !== undefined && (value < slot.lowest || value > slot.highest!)) {
      throw new TenonError("INPUT_VALUE", {
        problem: `${value} does not fit ${dtypeInfo(dtype).oip ?? dtype} in input '${input}'`,
        details: { input },
      });
    }
    (storage as NumericArray)[got - 1] = value as never; // the slot reads what the dtype stores
  };
  forEachField(reader, place, dtype, slot.field, (wireType) => {
    if (wireType === slot.wireType) take();
    else if (wireType === DELIMITED) {
      const length = reader.length();
      const outer = reader.end;
      reader.end = reader.at + length;
      while (reader.at < reader.end) take();
      reader.end = outer;
    } else reader.fail(`${slot.name} has wire type ${wireType}`);
  });
  if (got !== size)
    throw sizeMismatch(input, place.model, byteLengthOf(dtype, size), byteLengthOf(dtype, got));
  return tensorFromStorage(dtype, shape, storage as never); // made for this dtype
}

function stringTensor(
  reader: WireReader,
  place: StringPlace,
  shape: readonly number[],
  size: number,
  maxBytes: number,
): Tensor {
  const elements: Uint8Array[] = [];
  let got = 0;
  let total = 0;
  forEachField(reader, place, "string", BYTES_FIELD, (wireType) => {
    if (wireType !== DELIMITED) reader.fail(`bytes_contents has wire type ${wireType}`);
    const element = reader.delimited();
    if (++got > size) return;
    if (element.length > maxBytes) throw longString(maxBytes, place);
    total += element.length;
    elements.push(element);
  });
  if (got !== size) throw wrongElements(got, size, place);
  const text = new Uint8Array(total);
  const offsets = new Uint32Array(size + 1);
  let at = 0;
  elements.forEach((element, i) => {
    text.set(element, at);
    at += element.length;
    offsets[i + 1] = at;
  });
  return tensorFromStorage("string", shape, StringStorage.fromBytes(text, offsets));
}

/** Calls `read` at each value of one field; another field's values are of the wrong datatype. */
function forEachField(
  reader: WireReader,
  { input, model }: StringPlace,
  dtype: DType,
  field: number,
  read: (wireType: number) => void,
): void {
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    if (tag >>> 3 === field) {
      read(tag & 7);
      continue;
    }
    const before = reader.at;
    reader.skip(tag & 7);
    // An empty packed field says nothing.
    if ((tag & 7) === DELIMITED && reader.at - before <= 1) continue;
    throw new TenonError("REQUEST_INVALID", {
      problem:
        `unexpected explicit tensor data for input tensor '${input}' for model '${model}' of type ` +
        `'${FIELD_TYPES[tag >>> 3] ?? "unknown"}', expected datatype '${dtypeInfo(dtype).oip ?? dtype}'`,
    });
  }
}
