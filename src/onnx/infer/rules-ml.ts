/** Inference rules of the ai.onnx.ml domain: classical models over rows of features. */
import type { Dim } from "../graph.js";
import { type Call, type Rule, shaped } from "./call.js";

const rowsOf = (call: Call): Dim => {
  const shape = call.shape(0);
  // A vector is one row.
  return shape === undefined ? null : shape.length === 1 ? null : (shape[0] ?? null);
};

/** Classifiers: a label a row, and scores. */
export const classifier: Rule = (call) => [{ shape: [rowsOf(call)] }, { shape: [rowsOf(call), null] }];

/** Regressors: `[rows, targets]`. */
export const regressor: Rule = (call) => {
  const targets = call.int("n_targets") ?? call.int("targets") ?? null;
  return shaped([rowsOf(call), call.node.op === "SVMRegressor" ? 1 : targets]);
};

/** Scaler, Normalizer: the features as they came. */
export const columns: Rule = (call) => shaped(call.shape(0));

/** OneHotEncoder: an axis more, as long as its categories. */
export const oneHotEncoder: Rule = (call) => {
  const categories = call.attr("cats_int64s", "ints")?.length ?? call.attr("cats_strings", "strings")?.length;
  const shape = call.shape(0);
  return shaped(shape === undefined ? undefined : [...shape, categories ?? null]);
};

/** ZipMap: a map from label to score for each row. */
export const zipMap: Rule = (call) => {
  const key = call.node.attrs.has("classlabels_strings") ? "string" : "int64";
  return [
    {
      type: {
        kind: "sequence",
        element: { kind: "map", key, value: { kind: "tensor", dtype: "float32", shape: [] } },
      },
    },
  ];
};
