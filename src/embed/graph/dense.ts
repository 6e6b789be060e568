/** The whole graph of a dense model: ids and mask in, one vector a row out. */
import { TenonError } from "../../base/index.js";
import { appendGraph, type OnnxModel, removeDead, run } from "../../onnx/index.js";
import type { ModelCard } from "../card/card.js";
import { sharedScale } from "./batch-variance.js";
import { bodyOf, hiddenStates, idRows, onlyOutputs, tokenInputs } from "./body.js";
import { int8Row, type WeightRoom } from "./int8-row.js";
import { type DenseFacts, EMBEDDING, type OutputType, POOLING_MASK, type Quant } from "./names.js";
import { tailOf, vectorSize } from "./tail.js";

export interface DenseGraph extends DenseFacts {
  readonly model: OnnxModel;
}

/** Builds it. Throws DIMS_MISMATCH, and what reading a model throws. */
export async function denseGraph(
  card: ModelCard,
  options: {
    readonly dims: number | undefined;
    readonly output: OutputType;
    readonly tokenOutputs: boolean;
    readonly quant: Quant;
    readonly weightRoom: WeightRoom;
  },
): Promise<DenseGraph> {
  const read = await bodyOf(card);
  const body =
    options.quant === "int8-row" ? { ...read, model: run(read.model, [int8Row(options.weightRoom)]) } : read;
  const inputs = tokenInputs(body.model);
  if (!inputs.includes("attention_mask")) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph does not tell tokens from padding",
      given: inputs.join(", "),
      expected: "an input attention_mask",
    });
  }
  const hidden = hiddenStates(body.model, card.config);
  const fullDims = vectorSize(card, hidden.size);
  const { dims = fullDims } = options;
  if (!Number.isInteger(dims) || dims < 1 || dims > fullDims) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: "the model's vectors cannot be cut to this size",
      given: String(dims),
      expected: `a whole number from 1 to ${fullDims}`,
    });
  }
  const opset = body.model.opsets.get("") ?? 20;
  const poolingMask = !card.includePrompt;
  const mask = poolingMask ? POOLING_MASK : "mask";
  const tail = await tailOf(card, { ...options, ...hidden, opset, mask });
  const model = run(body.model, [
    appendGraph(
      tail,
      { hidden: hidden.name, ...(poolingMask ? {} : { mask: "attention_mask" }) },
      options.tokenOutputs ? { keep: [hidden.name] } : {},
    ),
    onlyOutputs(EMBEDDING, ...(options.tokenOutputs ? [hidden.name] : [])),
    removeDead,
  ]);
  return {
    model,
    from: body.from,
    inputs,
    poolingMask,
    dims,
    fullDims,
    rows: idRows(read.model),
    hidden: options.tokenOutputs ? hidden.name : undefined,
    sharedScale: sharedScale(read.model),
  };
}
