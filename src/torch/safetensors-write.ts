/** saveSafetensors: tensors as a .safetensors file, in the layout of the reference's writer. */
import { replaceFile, TenonError } from "../base/index.js";
import { piecesOf } from "../onnx/index.js";
import { byteLengthOf, type DType, Tensor } from "../tensor/index.js";
import { quoted } from "./invalid.js";
import { MAX_HEADER, METADATA_KEY, SAFETENSORS_DTYPES } from "./safetensors.js";
import {
  denseBytes,
  elementCount,
  type MaterializeOptions,
  materialize,
  type TensorRef,
} from "./tensor-ref.js";

export interface SafetensorsOptions extends MaterializeOptions {
  /** Texts for `__metadata__`, in this order. */
  readonly metadata?: ReadonlyMap<string, string> | Readonly<Record<string, string>>;
}

const CODES = Object.entries(SAFETENSORS_DTYPES) as [keyof typeof SAFETENSORS_DTYPES, DType][];

interface Row {
  readonly name: string;
  readonly source: Tensor | TensorRef;
  /** Position in the dtype table, by which rows are sorted. */
  readonly rank: number;
  readonly bytes: number;
}

/**
 * Writes tensors by name: largest dtypes first, then by name, so that every tensor is aligned for its dtype. The file
 * appears complete or not at all; unread tensors are streamed from where they are, strided ones are materialized one at
 * a time. Throws TENSOR_DTYPE for dtypes that the format lacks, and for packed tensors that end inside a byte.
 */
export async function saveSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Tensor | TensorRef> | Readonly<Record<string, Tensor | TensorRef>>,
  options: SafetensorsOptions = {},
): Promise<void> {
  const entries: Iterable<[string, Tensor | TensorRef]> =
    tensors instanceof Map ? tensors : Object.entries(tensors);
  const rows = Array.from(entries, ([name, source]) => rowOf(name, source));
  rows.sort((a, b) => b.rank - a.rank || compareBytes(a.name, b.name));
  const header = headerOf(rows, options.metadata ?? {});
  await replaceFile(path, piecesIn(header, rows, options));
}

function rowOf(name: string, source: Tensor | TensorRef): Row {
  if (name === METADATA_KEY) {
    throw new TenonError("USAGE", { problem: "this name is kept for metadata", given: name });
  }
  const rank = CODES.findIndex(([, dtype]) => dtype === source.dtype);
  const elements = source instanceof Tensor ? source.size : elementCount(source);
  const bytes = byteLengthOf(source.dtype, elements);
  const bits = byteLengthOf(source.dtype, 8) * elements;
  if (rank < 0 || bits % 8 !== 0) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `tensor ${quoted(name)} cannot be written to a safetensors file`,
      given: `${source.dtype} [${source.shape.join(", ")}]`,
      expected:
        rank < 0
          ? CODES.map(([, dtype]) => dtype).join(", ")
          : "a number of elements that ends on a whole byte",
    });
  }
  return { name, source, rank, bytes };
}

/** By Unicode code points, as the reference's UTF-8 strings compare. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function headerOf(rows: readonly Row[], metadata: NonNullable<SafetensorsOptions["metadata"]>): Uint8Array {
  const texts: Iterable<[string, string]> = metadata instanceof Map ? metadata : Object.entries(metadata);
  const pairs = Array.from(texts, ([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
  const members = pairs.length === 0 ? [] : [`"${METADATA_KEY}":{${pairs.join(",")}}`];
  let at = 0;
  for (const { name, source, rank, bytes } of rows) {
    const shape = source.shape.join(",");
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${CODES[rank]![0]}","shape":[${shape}],"data_offsets":[${at},${at + bytes}]}`,
    );
    at += bytes;
  }
  const text = Buffer.from(`{${members.join(",")}}`);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > MAX_HEADER) {
    throw new TenonError("USAGE", {
      problem: "the safetensors header would be too long",
      given: `${length} bytes`,
      expected: `at most ${MAX_HEADER}`,
    });
  }
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return header;
}

async function* piecesIn(
  header: Uint8Array,
  rows: readonly Row[],
  options: MaterializeOptions,
): AsyncGenerator<Uint8Array> {
  yield header;
  for (const { source } of rows) {
    if (source instanceof Tensor) yield source.contiguous().bytes;
    else {
      const dense = denseBytes(source);
      if (dense === undefined) yield materialize(source, options).bytes;
      else yield* piecesOf(dense);
    }
  }
}
