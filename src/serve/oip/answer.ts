/** The infer answer: a JSON header, tensors in it as text or behind it as the bytes they are. */
import { setImmediate } from "node:timers/promises";
import { dtypeInfo, type NumericArray, StringStorage, type Tensor } from "../../tensor/index.js";
import type { BodyPart, HeaderList } from "../http/open-exchange.js";
import { type FloatFormat, JsonWriter } from "../json/writer.js";
import type { SharedPlace } from "../shared-memory.js";
import { encodeTensor } from "./binary.js";
import type { ModelWire, OutputWire } from "./model-wire.js";

/** One output of an answer. */
export interface AnswerOutput {
  readonly wire: OutputWire;
  readonly tensor: Tensor;
  readonly binary: boolean;
  /** Where its bytes were put, in place of the answer. */
  readonly shared?: SharedPlace | undefined;
}

/** An answer, ready to be sent. */
export interface Answer {
  readonly headers: HeaderList;
  readonly parts: readonly BodyPart[];
}

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];

/** Elements that are printed before the event loop gets its turn: about a millisecond. */
const SLICE = 16_384;

/** JSON up to this many bytes is sent as a string, together with the headers in one write. */
const STRING_BYTES = 16_384;

/** The writer of answers that are finished in one turn. */
const shared = new JsonWriter(4096);

/**
 * Composes the answer. Binary outputs are views on the tensors' bytes; JSON is complete when this returns, so an answer
 * without binary outputs needs the tensors no longer.
 */
export function composeAnswer(
  wire: ModelWire,
  id: string | undefined,
  outputs: readonly AnswerOutput[],
  format: FloatFormat,
): Answer | Promise<Answer> {
  let printed = 0;
  for (const { tensor, binary } of outputs) if (!binary) printed += tensor.size;
  if (printed > SLICE) return composeInSlices(wire, id, outputs, format);
  shared.reset();
  begin(shared, wire, id);
  const sections: Uint8Array[] = [];
  outputs.forEach((output, i) => {
    if (i > 0) shared.ascii(",");
    const tensor = beginOutput(shared, output, sections);
    if (tensor === undefined) return;
    writeElements(shared, tensor, 0, tensor.size, format);
    shared.ascii("]}");
  });
  shared.ascii("]}");
  return finish(shared, sections);
}

async function composeInSlices(
  wire: ModelWire,
  id: string | undefined,
  outputs: readonly AnswerOutput[],
  format: FloatFormat,
): Promise<Answer> {
  const writer = new JsonWriter(65_536);
  begin(writer, wire, id);
  const sections: Uint8Array[] = [];
  for (const [i, output] of outputs.entries()) {
    if (i > 0) writer.ascii(",");
    const tensor = beginOutput(writer, output, sections);
    if (tensor === undefined) continue;
    for (let from = 0; from < tensor.size; from += SLICE) {
      if (from > 0) writer.ascii(",");
      writeElements(writer, tensor, from, Math.min(tensor.size, from + SLICE), format);
      await setImmediate();
    }
    writer.ascii("]}");
  }
  writer.ascii("]}");
  return finish(writer, sections);
}

function begin(writer: JsonWriter, wire: ModelWire, id: string | undefined): void {
  writer.ascii("{");
  if (id !== undefined && id !== "") {
    writer.ascii('"id":');
    writer.string(id);
    writer.ascii(",");
  }
  writer.json(wire.identity);
  writer.ascii(',"outputs":[');
}

/** Writes an output up to its elements; the dense tensor whose elements must follow, or undefined when it is done. */
function beginOutput(writer: JsonWriter, output: AnswerOutput, sections: Uint8Array[]): Tensor | undefined {
  const { wire, tensor } = output;
  writer.json(wire.head);
  writer.integers(tensor.shape, 0, tensor.rank);
  if (output.shared !== undefined) {
    // Without parameters: Triton's C++ client takes those of an output for a binary section's.
    writer.ascii("]}");
    return undefined;
  }
  if (!output.binary) {
    writer.ascii('],"data":[');
    return tensor.contiguous();
  }
  const bytes = encodeTensor(tensor);
  writer.ascii('],"parameters":{"binary_data_size":');
  writer.integer(bytes.length);
  writer.ascii("}}");
  if (bytes.length > 0) sections.push(bytes);
  return undefined;
}

function finish(writer: JsonWriter, sections: readonly Uint8Array[]): Answer {
  const { length } = writer;
  const json = length <= STRING_BYTES ? writer.latin1() : writer.take();
  if (sections.length === 0) return { headers: JSON_HEADERS, parts: [json] };
  const headers = [
    "Content-Type",
    "application/octet-stream",
    "Inference-Header-Content-Length",
    String(length),
  ];
  return { headers, parts: [json, ...sections] };
}

/** Elements `[from, to)` of a dense tensor. */
export function writeElements(
  writer: JsonWriter,
  tensor: Tensor,
  from: number,
  to: number,
  format: FloatFormat,
): void {
  const { storage } = tensor;
  if (storage instanceof StringStorage) {
    for (let i = from; i < to; i++) {
      if (i > from) writer.ascii(",");
      writer.string(storage.get(tensor.offset + i));
    }
    return;
  }
  const data = tensor.data as NumericArray; // strings have a StringStorage
  if (data instanceof Float32Array) writer.float32s(data, from, to, format);
  else if (data instanceof Float64Array) writer.float64s(data, from, to, format);
  else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const { buffer, byteOffset, length } = data;
    const low = new Uint32Array(buffer, byteOffset, 2 * length);
    const high = data instanceof BigInt64Array ? new Int32Array(buffer, byteOffset, 2 * length) : low;
    writer.longs(data, low, high, from, to);
  } else if (dtypeInfo(tensor.dtype).kind === "bool") {
    writer.booleans(data as Uint8Array, from, to); // the storage of bool
  } else {
    writer.integers(data, from, to);
  }
}
