/** Exported graphs that are stored without their weights, which a formula or the caller gives. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { denseStrides, readNpz, type Tensor } from "tenon/tensor";
import { decodeProgram, type ExportedProgram, type TensorRef, type TorchDType } from "tenon/torch";

export interface GraphFixture {
  readonly program: ExportedProgram;
  readonly values: Readonly<Record<string, Tensor>>;
}

/** The values of a weight that is not stored. */
export type WeightMaker = (
  name: string,
  shape: readonly number[],
  dtype: TorchDType,
) => TensorRef["storage"] | undefined;

/** The graph `name` of a folder with its weights; undefined when `make` does not give one. */
export function graphFixture(folder: string, name: string, make: WeightMaker): GraphFixture | undefined {
  const bare = decodeProgram(gunzipSync(readFileSync(join(folder, `${name}.graph.json.gz`))), name);
  const meta = JSON.parse(readFileSync(join(folder, `${name}.meta.json`), "utf8"));
  const values = readNpz(readFileSync(join(folder, `${name}.npz`)));
  const weights = new Map<string, TensorRef>();
  const storages = new Map<string, TensorRef["storage"]>();
  for (const spec of bare.inputs) {
    if (spec.kind !== "parameter" && spec.kind !== "buffer" && spec.kind !== "tensorConstant") continue;
    const { dtype, sizes } = bare.graph.tensors.get(spec.name)!;
    const shape = sizes.map(Number);
    const source: string = meta.alias?.[spec.target] ?? spec.target;
    let storage = storages.get(source);
    if (storage === undefined) {
      const stored = values[`w/${spec.target}`] ?? values[`w/${source}`];
      storage = stored === undefined ? make(source, shape, dtype) : bytesOf(stored);
      if (storage === undefined) return undefined;
      storages.set(source, storage);
    }
    weights.set(spec.target, {
      name: spec.target,
      dtype,
      shape,
      strides: denseStrides(shape),
      offset: 0,
      storage,
    });
  }
  return { program: { ...bare, weights }, values };
}

function bytesOf(x: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = x.contiguous().data as Uint8Array;
  return new Uint8Array(buffer, byteOffset, byteLength);
}
