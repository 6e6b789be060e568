/** The safetensors format: its dtype names and the reader, with every check of the reference implementation. */
import { byteLengthOf, type DType, denseStrides } from "../tensor/index.js";
import { damaged, quoted, unsupported } from "./invalid.js";
import { parseJson } from "./json.js";
import type { Json } from "./json-value.js";
import { type Region, withRegion } from "./region.js";
import { makeTensorRef, type TensorRef } from "./tensor-ref.js";
import type { Weights } from "./weights.js";

/** dtype names of the format, in the reference's order: its writer puts later ones first in the file. */
export const SAFETENSORS_DTYPES = {
  BOOL: "bool",
  F4: "float4e2m1",
  F6_E2M3: "float6e2m3",
  F6_E3M2: "float6e3m2",
  U8: "uint8",
  I8: "int8",
  F8_E5M2: "float8e5m2",
  F8_E4M3: "float8e4m3fn",
  F8_E8M0: "float8e8m0",
  F8_E4M3FNUZ: "float8e4m3fnuz",
  F8_E5M2FNUZ: "float8e5m2fnuz",
  I16: "int16",
  U16: "uint16",
  F16: "float16",
  BF16: "bfloat16",
  I32: "int32",
  U32: "uint32",
  F32: "float32",
  C64: "complex64",
  F64: "float64",
  I64: "int64",
  U64: "uint64",
} as const satisfies Record<string, DType>;

/** The reference refuses larger headers. */
export const MAX_HEADER = 100_000_000;
/** The key beside the tensors that holds texts. */
export const METADATA_KEY = "__metadata__";

/**
 * The tensors of a .safetensors file or its bytes, unread. Throws FILE_INVALID for whatever the reference refuses: a
 * header that is too long, no JSON or has a key twice; sizes that differ from shape and dtype; holes, overlaps, bytes
 * left over. Throws MODEL_UNSUPPORTED for an unknown dtype.
 */
export async function readSafetensors(input: string | Uint8Array): Promise<Weights> {
  return withRegion(input, safetensorsIn);
}

/** True for bytes that begin as a safetensors file does. */
export function looksLikeSafetensors(head: Uint8Array): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  return new DataView(head.buffer, head.byteOffset).getBigUint64(0, true) <= MAX_HEADER;
}

interface Entry {
  readonly name: string;
  readonly dtype: Exclude<DType, "string">;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

export function safetensorsIn(region: Region): Weights {
  const { header, start } = headerOf(region);
  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    if (name === METADATA_KEY) readMetadata(value, metadata);
    else entries.push(entryOf(name, value));
  }
  checkPlaces(entries, region.size - start);
  const tensors = new Map<string, TensorRef>();
  for (const { name, dtype, shape, begin, end } of entries) {
    const storage = region.chunk(start + begin, end - begin);
    tensors.set(
      name,
      makeTensorRef({ name, dtype, shape, strides: denseStrides(shape), offset: 0, storage }),
    );
  }
  return { format: "safetensors", tensors, metadata };
}

function headerOf(region: Region): { header: Map<string, Json>; start: number } {
  if (region.size < 8) throw damaged("the safetensors file is shorter than its own length field");
  const field = region.bytes(0, 8);
  const length = new DataView(field.buffer, field.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER) {
    throw damaged("the safetensors header is too long", {
      given: `${length} bytes`,
      expected: `at most ${MAX_HEADER}`,
    });
  }
  const start = 8 + Number(length);
  if (start > region.size) throw damaged("the safetensors header is cut off");
  const bytes = region.bytes(8, Number(length));
  if (bytes[0] !== 0x7b) throw damaged("the safetensors header does not begin with {");
  const header = parseJson(bytes, "the safetensors header", { countsOnly: true });
  // It begins with {, and no key is lazy.
  return { header: header as Map<string, Json>, start };
}

function readMetadata(value: Json, metadata: Map<string, string>): void {
  if (value === null) return;
  if (!(value instanceof Map)) throw damaged("the safetensors metadata is no object");
  for (const [key, text] of value) {
    if (typeof text !== "string") throw damaged(`the safetensors metadata ${quoted(key)} is no text`);
    metadata.set(key, text);
  }
}

function entryOf(name: string, value: Json): Entry {
  const refuse = (what: string): never => {
    throw damaged(`the safetensors header describes tensor ${quoted(name)} wrongly`, { expected: what });
  };
  if (!(value instanceof Map)) return refuse("an object");
  const [code, shape, offsets] = [value.get("dtype"), value.get("shape"), value.get("data_offsets")];
  if (typeof code !== "string") return refuse("a dtype");
  if (!Object.hasOwn(SAFETENSORS_DTYPES, code)) {
    throw unsupported(`tensor ${quoted(name)} has an unknown dtype`, {
      given: quoted(code),
      expected: Object.keys(SAFETENSORS_DTYPES).join(", "),
    });
  }
  const dtype = SAFETENSORS_DTYPES[code as keyof typeof SAFETENSORS_DTYPES];
  if (!isCounts(shape)) return refuse("a shape of counts");
  if (!isCounts(offsets) || offsets.length !== 2) return refuse("two data_offsets");
  const [begin, end] = offsets as [number, number];
  const elements = shape.reduce((size, dim) => size * dim, 1);
  const bits = elements * bitsOf(dtype);
  if (!Number.isSafeInteger(bits)) return refuse("a shape of fewer than 2^53 bits");
  if (bits % 8 !== 0) return refuse("elements that end on a whole byte");
  if (end < begin || end - begin !== bits / 8) {
    throw damaged(`tensor ${quoted(name)} has another size than its shape`, {
      given: `${end - begin} bytes`,
      expected: `${bits / 8} for ${code} [${shape.join(", ")}]`,
    });
  }
  return { name, dtype, shape, begin, end };
}

function bitsOf(dtype: DType): number {
  return byteLengthOf(dtype, 8);
}

function isCounts(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

/** Tensors must fill the data from its start to its end, without a hole and without an overlap. */
function checkPlaces(entries: readonly Entry[], size: number): void {
  const sorted = [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of sorted) {
    if (begin !== at) {
      throw damaged(`tensor ${quoted(name)} ${begin < at ? "overlaps another one" : "follows a hole"}`, {
        given: `data from ${begin}`,
        expected: `from ${at}`,
      });
    }
    at = end;
  }
  if (at !== size) {
    throw damaged(
      at < size ? "there are bytes after the last tensor" : "the file ends before its last tensor",
      {
        given: `${size} bytes of data`,
        expected: String(at),
      },
    );
  }
}
