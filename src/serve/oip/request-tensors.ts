/** The tensors of an infer request, from its JSON, the bytes behind that, or shared memory. */
import { TenonError } from "../../base/index.js";
import { StringStorage, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import type { SharedMemory } from "../shared-memory.js";
import { BinarySection } from "./binary.js";
import type { InferInput, InferRequest } from "./request.js";

export interface TensorSources {
  /** Everything behind the JSON. */
  readonly section: Uint8Array;
  readonly memory: SharedMemory;
  /** For the words of errors. */
  readonly model: string;
  /** Most bytes of one element of a string tensor. */
  readonly stringBytes: number;
}

/** Throws INPUT_SIZE, and what shared memory throws. */
export function requestTensors(
  request: InferRequest,
  { section, memory, model, stringBytes }: TensorSources,
): Record<string, Tensor> {
  const binary = new BinarySection(section, model, stringBytes);
  // Without a prototype: inputs may be called anything.
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const input of request.inputs) {
    const { name, dtype, shape, size, binarySize, shared } = input;
    if (shared !== undefined) {
      const place = new BinarySection(memory.read(shared), model, stringBytes);
      tensors[name] = place.take(name, dtype, shape, size, shared.size);
    } else if (binarySize === undefined) tensors[name] = jsonTensor(input);
    else tensors[name] = binary.take(name, dtype, shape, size, binarySize);
  }
  binary.finish();
  return tensors;
}

export function jsonTensor({ dtype, shape, values }: InferInput): Tensor {
  if (values === undefined)
    throw new TenonError("INTERNAL", { problem: "an input without data passed the reader" });
  if ("offsets" in values) {
    return tensorFromStorage("string", shape, StringStorage.fromBytes(values.bytes, values.offsets));
  }
  return tensorFromStorage(dtype, shape, values as never); // the reader made the storage for this dtype
}
