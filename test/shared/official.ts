/** The official binding, onnxruntime-node, as an oracle: same tensors in, tensors out, one thread. */
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { type Tensor, tensor, tensorFromStorage } from "tenon/tensor";

export interface Official {
  /** `outputs`: which to compute, by default all; the binding refuses to return what is no tensor. */
  run(inputs: Readonly<Record<string, Tensor>>, outputs?: readonly string[]): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

export async function openOfficial(model: string | Uint8Array): Promise<Official> {
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 } as const;
  const session =
    typeof model === "string"
      ? await InferenceSession.create(model, options)
      : await InferenceSession.create(model, options);
  return {
    async run(inputs, outputs = session.outputNames) {
      const feeds = Object.fromEntries(
        Object.entries(inputs).map(([name, value]) => [name, toOrt(value)] as const),
      );
      const fetched = await session.run(feeds, outputs);
      return Object.fromEntries(
        Object.entries(fetched).map(([name, value]) => [name, fromOrt(value)] as const),
      );
    },
    release: () => session.release(),
  };
}

function toOrt(value: Tensor): OrtTensor {
  const { data } = value.contiguous();
  if (value.dtype === "float32") return new OrtTensor("float32", data as Float32Array, value.shape);
  if (value.dtype === "int64") return new OrtTensor("int64", data as BigInt64Array, value.shape);
  throw new TypeError(`the oracle is not fed ${value.dtype}`);
}

function fromOrt({ type, data, dims }: OrtTensor): Tensor {
  if (type === "float32") return tensorFromStorage("float32", dims, data as Float32Array<ArrayBuffer>);
  if (type === "int64") return tensorFromStorage("int64", dims, data as BigInt64Array<ArrayBuffer>);
  if (type === "string") return tensor(data as string[], { dtype: "string", shape: dims });
  throw new TypeError(`the oracle is not asked for ${type}`);
}
