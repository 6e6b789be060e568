/** One request's share of a batch's outputs. */
import { TenonError } from "../base/index.js";
import { gatherInto, type NumericArray, type Tensor } from "../tensor/core.js";
import { type Outputs, outputRecord, type SharedBuffers } from "./outputs.js";
import { cutTensor, type Padding } from "./padding.js";
import type { Pending } from "./pending.js";

/**
 * The outputs that `request` asked for, of its own rows: cut to its own length where the batch was filled up, and in the
 * tensors that it gave for them. `names`: of the model's outputs. Throws TENSOR_SHAPE where such a tensor does not fit.
 */
export function answerOf(
  request: Pending,
  rows: readonly Tensor[],
  names: readonly { readonly name: string }[],
  filled: Padding | undefined,
  shared: SharedBuffers,
): Outputs {
  const { outputs, length } = request;
  const { into } = request.member;
  let kept =
    filled === undefined
      ? rows
      : rows.map((tensor, i) => cutTensor(tensor, filled.outputs![outputs[i]!]!, length!));
  if (into !== undefined) kept = kept.map((tensor, i) => placeInto(tensor, into.get(outputs[i]!)));
  return outputRecord(
    outputs.map((output) => names[output]!.name),
    kept,
    shared,
  );
}

function placeInto(tensor: Tensor, target: Tensor | undefined): Tensor {
  if (target === undefined || (tensor.storage === target.storage && tensor.offset === target.offset))
    return tensor;
  if (target.dtype !== tensor.dtype || target.size !== tensor.size || !target.isDense) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "`into` does not fit the output",
      given: String(target),
      expected: `a dense ${String(tensor)}`,
    });
  }
  gatherInto(tensor, target.data as unknown as NumericArray);
  return target.reshape(tensor.shape);
}
