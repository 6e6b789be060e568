/** One weight of a layer that stands on a transformer, read as float32 and checked. */
import { TenonError } from "../../base/index.js";
import { cast, type Tensor } from "../../tensor/index.js";

/** `path` is a file or a folder with weights; `from` tells it in errors. Throws FILE_INVALID unless `key` is there with this rank. */
export async function layerWeight(path: string, key: string, rank: number, from: string): Promise<Tensor> {
  const { materialize, openWeights } = await import("../../torch/index.js");
  const ref = (await openWeights(path)).tensors.get(key);
  if (ref === undefined || ref.shape.length !== rank) {
    throw new TenonError("FILE_INVALID", {
      problem: `the weights of ${from} do not fit`,
      given: ref === undefined ? `no "${key}"` : `"${key}" [${ref.shape.join(", ")}]`,
      expected: `"${key}" of ${rank} ${rank === 1 ? "dim" : "dims"}`,
    });
  }
  return cast(materialize(ref), "float32") as Tensor;
}
