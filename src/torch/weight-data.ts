/** A tensor of a file as a weight of a graph: left where it is when its bytes are dense. */
import { basename } from "node:path";
import { type TensorData, tensorData } from "../onnx/index.js";
import { denseBytes, materialize, type TensorRef } from "./tensor-ref.js";

/** Weights below this size go into the graph: a reference to their file would be longer. */
const INLINE_BELOW = 64;

/**
 * The weight, as external data in the file that holds it. Small tensors, strided views and tensors of a buffer are given
 * by their values.
 */
export function tensorDataOf(ref: TensorRef): TensorData {
  const bytes = denseBytes(ref);
  if (bytes === undefined) return tensorData(materialize(ref), ref.name);
  const { name, dtype } = ref;
  const dims = [...ref.shape];
  if (bytes instanceof Uint8Array) return { name, dtype, dims, payload: { in: "raw", bytes } };
  if (bytes.length < INLINE_BELOW) return tensorData(materialize(ref), name);
  const entries = new Map([
    ["location", basename(bytes.file.path)],
    ["offset", String(bytes.offset)],
    ["length", String(bytes.length)],
  ]);
  return { name, dtype, dims, payload: { in: "external", entries, range: bytes } };
}
