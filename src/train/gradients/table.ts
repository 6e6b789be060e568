/** The table of gradients: every op of ai.onnx, and those of ONNX Runtime, with its rule or the reason why it has none. */
import { CONVOLUTION } from "./convolution.js";
import { ELEMENTWISE } from "./elementwise.js";
import { LAYOUT } from "./layout.js";
import { LINEAR } from "./linear.js";
import { batchNormTraining, LOWERED } from "./lowering.js";
import { batchNormInference, NORMALIZATION } from "./normalization.js";
import { POOLING } from "./pooling.js";
import { RECURRENT } from "./recurrent.js";
import { REDUCTION } from "./reduction.js";
import type { Lowering, Rule, Site } from "./site.js";
import { SPATIAL } from "./spatial.js";
import { TRANSFORMS } from "./transforms.js";

export type Row =
  | { readonly kind: "rule"; readonly rule: Rule }
  /** Written out in other ops first; one that answers false for a node leaves it to the rule. */
  | {
      readonly kind: "lower";
      readonly lower: Lowering;
      readonly when?: (site: Site) => boolean;
      readonly rule?: Rule;
    }
  /** No output depends on an input in a way that a gradient could tell. */
  | { readonly kind: "ends" }
  | { readonly kind: "refused"; readonly reason: string };

const ENDS =
  "And ArgMax ArgMin Bernoulli BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BlackmanWindow Constant " +
  "ConstantOfShape Equal EyeLike Greater GreaterOrEqual HammingWindow HannWindow ImageDecoder IsInf IsNaN Less " +
  "LessOrEqual MelWeightMatrix Multinomial NonMaxSuppression NonZero Not OptionalHasElement Or RandomNormal " +
  "RandomNormalLike RandomUniform RandomUniformLike Range RegexFullMatch SequenceLength Shape Size StringConcat " +
  "StringNormalizer StringSplit TfIdfVectorizer Xor";

const REFUSED: Readonly<Record<string, string>> = {
  "If Loop Scan SequenceMap": "control flow has no rule",
  "Optional OptionalGetElement SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SplitToSequence ConcatFromSequence":
    "sequences and optional values have no rule",
  "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul QuantizeLinear":
    "quantised values have no rule",
  "CausalConvWithState CumProd Det LinearAttention MaxRoiPool STFT SwiGLU TensorScatter Unique":
    "it has no rule",
  "Affine Crop ImageScaler ParametricSoftplus ScaledTanh Scatter Upsample": "it is obsolete and has no rule",
};

function rows(): Map<string, Row> {
  const table = new Map<string, Row>();
  const rules: Readonly<Record<string, Rule>> = {
    ...ELEMENTWISE,
    ...LAYOUT,
    ...REDUCTION,
    ...LINEAR,
    ...NORMALIZATION,
    ...CONVOLUTION,
    ...POOLING,
    ...TRANSFORMS,
  };
  for (const [op, rule] of Object.entries(rules)) table.set(op, { kind: "rule", rule });
  for (const [op, lower] of Object.entries({ ...LOWERED, ...RECURRENT, ...SPATIAL }))
    table.set(op, { kind: "lower", lower });
  table.set("BatchNormalization", {
    kind: "lower",
    lower: batchNormTraining,
    when: (site) => site.int("training_mode", 0) === 1,
    rule: batchNormInference,
  });
  for (const op of ENDS.split(" ")) table.set(op, { kind: "ends" });
  for (const [ops, reason] of Object.entries(REFUSED))
    for (const op of ops.split(" ")) table.set(op, { kind: "refused", reason });
  return table;
}

const TABLE = rows();

/** The row of an op; undefined for ops of other domains that are not in the table. */
export function rowOf(domain: string, op: string): Row | undefined {
  return TABLE.get(domain === "" ? op : `${domain}:${op}`);
}
