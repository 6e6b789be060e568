/** The official binding of ONNX Runtime for Node: its public session, and the synchronous native call inside it. */
import { createRequire } from "node:module";
import { InferenceSession, Tensor } from "onnxruntime-node";
import type { Binding } from "onnxruntime-node/dist/binding.js";
import type { Tensor as OurTensor } from "tenon/tensor";

/** Session options; `threads` 0 leaves everything at the library's defaults. */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  if (threads === 0) return {};
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    extra: { session: { intra_op: { allow_spinning: "0" }, inter_op: { allow_spinning: "0" } } },
  };
}

/** The same elements as a tensor of the official binding, without a copy. */
export function officialTensor(tensor: OurTensor): Tensor {
  const { dtype } = tensor;
  if (dtype !== "float32" && dtype !== "int64") throw new Error(`no official tensor of ${dtype}`);
  return new Tensor(dtype, tensor.data as Float32Array | BigInt64Array, tensor.shape);
}

export function officialFeeds(inputs: Readonly<Record<string, OurTensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, officialTensor(tensor)]));
}

/** `InferenceSession.run` of the public interface: one promise and one turn of the event loop a call. */
export async function officialSession(file: string, threads = 1): Promise<InferenceSession> {
  return InferenceSession.create(file, sessionOptions(threads));
}

/** The native synchronous call that `InferenceSession.run` wraps. */
export interface RawSession {
  run(feeds: Readonly<Record<string, Tensor>>): Readonly<Record<string, Tensor>>;
  dispose(): void;
}

export function rawSession(file: string, threads = 1): RawSession {
  const require = createRequire(import.meta.url);
  const { binding, initOrt } = require("onnxruntime-node/dist/binding.js") as {
    binding: { InferenceSession: Binding.InferenceSessionConstructor };
    initOrt: () => void;
  };
  initOrt();
  const session = new binding.InferenceSession();
  session.loadModel(file, sessionOptions(threads));
  const fetches = Object.fromEntries(session.outputMetadata.map(({ name }) => [name, null]));
  return {
    run: (feeds) => session.run(feeds, fetches, {}) as Record<string, Tensor>,
    dispose: () => session.dispose(),
  };
}
