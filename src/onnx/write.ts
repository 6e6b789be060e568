/** writeModel: a model as the bytes of an ONNX file. */
import { formatBytes, TenonError } from "../base/index.js";
import { encode } from "./encode.js";
import type { Model, TensorData } from "./graph.js";
import { MODEL } from "./proto.js";
import { modelToProto } from "./to-proto.js";
import { concat } from "./types.js";

/** Protobuf's limit for one message. */
export const MAX_FILE = 2 ** 31 - 1;

/**
 * The model as one file, weights inside (external ones too, when the reader found them): they are read or copied
 * once, here. Throws MODEL_UNSUPPORTED when that takes 2 GiB or more.
 */
export function writeModel(model: Model): Uint8Array {
  const { chunks, length } = encode(modelToProto(model, embed), MODEL);
  refuseTooLarge(length);
  return concat(chunks);
}

/** External weights whose bytes are known become inline ones. */
export function embed(data: TensorData): TensorData {
  const { payload } = data;
  if (payload.in !== "external" || payload.range === undefined) return data;
  return { ...data, payload: { in: "raw", bytes: payload.range } };
}

/** Throws MODEL_UNSUPPORTED for more bytes than one message may have. */
export function refuseTooLarge(length: number): void {
  if (length > MAX_FILE) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "an ONNX file cannot hold this many bytes",
      given: formatBytes(length),
      expected: "less than 2 GiB",
      do: 'use saveModel with weights: "external"',
    });
  }
}
