/** Losses: functions of values that give a value, in stable forms, with the formulas of torch.nn.functional. */
import { TenonError } from "../base/index.js";
import { DTYPES, tensorFromStorage } from "../tensor/index.js";
import {
  abs,
  add,
  cast,
  div,
  equal,
  exp,
  gather,
  gatherElements,
  less,
  log,
  logSoftmax,
  matmul,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  softmax,
  sqrt,
  squeeze,
  stopGradient,
  sub,
  sum,
  transpose,
  unsqueeze,
  where,
} from "./model/ops.js";
import type { Var } from "./model/tape.js";

export interface LossOptions {
  /** Over the losses of the rows (for elementwise losses: of the elements); default `mean`. */
  readonly reduction?: "mean" | "sum" | "none";
  /** A weight for each of them; `mean` then divides by the sum of the weights. */
  readonly weights?: Var;
}

/** `total` is what `mean` divides by, where that is not the number of losses. */
function reduced(losses: Var, { reduction = "mean", weights }: LossOptions, total?: Var): Var {
  const weighted = weights === undefined ? losses : mul(losses, cast(weights, losses.dtype));
  if (reduction === "none") return weighted;
  if (reduction === "sum") {
    const all = sum(weighted);
    all.tape.markSum(all);
    return all;
  }
  if (total === undefined && weights === undefined) {
    const all = mean(weighted);
    all.tape.markMean(all);
    return all;
  }
  const count = weights === undefined ? total! : total === undefined ? weights : mul(weights, total);
  return div(sum(weighted), sum(cast(count, losses.dtype)));
}

function sameShape(name: string, a: Var, b: Var): void {
  const known = a.shape.every((dim, i) => {
    const other = b.shape[i];
    return typeof dim !== "number" || typeof other !== "number" || dim === other;
  });
  if (a.rank === b.rank && known) return;
  const text = (value: Var): string => `[${value.shape.join(", ")}]`;
  throw new TenonError("TENSOR_SHAPE", {
    problem: `${name} compares values of different shapes`,
    given: `${text(a)} and ${text(b)}`,
    expected: "the same shape",
  });
}

/** Float targets of the predictions' dtype. */
function targetsFor(name: string, prediction: Var, target: Var): Var {
  sameShape(name, prediction, target);
  return cast(target, prediction.dtype);
}

export interface CrossEntropyOptions extends LossOptions {
  /** Share of the target that is spread over all classes, 0 to 1; default 0. */
  readonly labelSmoothing?: number;
  /** Labels of this value count for nothing; default none. */
  readonly ignoreIndex?: number;
  /** A weight for each class, [classes]. */
  readonly classWeights?: Var | readonly number[];
}

/**
 * Cross-entropy of logits [..., classes] with whole-number labels [...], or with probabilities [..., classes]. The
 * classes are the last axis. Labels outside 0 … classes − 1 fail the run.
 */
export function crossEntropy(logits: Var, labels: Var, options: CrossEntropyOptions = {}): Var {
  return likelihood("crossEntropy", logSoftmax(logits), labels, options);
}

/** Negative log-likelihood of log-probabilities [..., classes]: cross-entropy without the softmax. */
export function nll(logProbabilities: Var, labels: Var, options: CrossEntropyOptions = {}): Var {
  return likelihood("nll", logProbabilities, labels, options);
}

function likelihood(name: string, logs: Var, labels: Var, options: CrossEntropyOptions): Var {
  const { labelSmoothing = 0, ignoreIndex, classWeights } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TenonError("USAGE", {
      problem: `${name}: labelSmoothing`,
      given: String(labelSmoothing),
      expected: "0 to 1",
    });
  }
  const { tape } = logs;
  const classes = logs.size(-1);
  const weights =
    classWeights === undefined || "tape" in classWeights
      ? classWeights
      : tape.constant(tensorFromStorage("float32", [classWeights.length], Float32Array.from(classWeights)));
  if (weights !== undefined && weights.size(0) !== classes) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `${name}: classWeights`,
      given: `${weights.size(0)} weights`,
      expected: `${classes}, one for each class`,
    });
  }
  const weighted = (values: Var): Var => (weights === undefined ? values : mul(values, weights));
  if (DTYPES[labels.dtype].kind === "float") {
    const target = targetsFor(name, logs, labels);
    const smooth =
      labelSmoothing === 0 ? target : add(mul(target, 1 - labelSmoothing), labelSmoothing / classes);
    return reduced(neg(sum(weighted(mul(smooth, logs)), { axes: [-1] })), options);
  }
  if (labels.rank !== logs.rank - 1) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `${name}: the labels' rank`,
      given: `labels [${labels.shape.join(", ")}] for [${logs.shape.join(", ")}]`,
      expected: "one label for each row of classes",
    });
  }
  const wide = cast(labels, "int64");
  const ignored = ignoreIndex === undefined ? undefined : equal(wide, ignoreIndex);
  // ONNX counts negative indices from the end; here they are no label, as is what lies beyond the last class.
  const inside = where(less(wide, 0), classes, wide);
  const safe = ignored === undefined ? inside : where(ignored, tape.constant(0, "int64"), inside);
  const counted = (values: Var): Var => (ignored === undefined ? values : where(ignored, 0, values));
  const picked = counted(squeeze(gatherElements(logs, unsqueeze(safe, [-1])), [-1]));
  const labelWeights = weights === undefined ? undefined : counted(gather(weights, safe));
  const ones = ignored === undefined ? undefined : where(ignored, tape.constant(0), tape.constant(1));
  let losses = neg(labelWeights === undefined ? picked : mul(picked, labelWeights));
  if (labelSmoothing > 0) {
    const all = neg(counted(sum(weighted(logs), { axes: [-1] })));
    losses = add(mul(losses, 1 - labelSmoothing), mul(all, labelSmoothing / classes));
  }
  return reduced(losses, options, labelWeights ?? ones);
}

/** Squared differences. */
export function mse(prediction: Var, target: Var, options: LossOptions = {}): Var {
  const difference = sub(prediction, targetsFor("mse", prediction, target));
  return reduced(mul(difference, difference), options);
}

/** Absolute differences. */
export function l1(prediction: Var, target: Var, options: LossOptions = {}): Var {
  return reduced(abs(sub(prediction, targetsFor("l1", prediction, target))), options);
}

/** Half the square up to `delta` (default 1), delta · (|d| − delta / 2) beyond. */
export function huber(
  prediction: Var,
  target: Var,
  options: LossOptions & { readonly delta?: number } = {},
): Var {
  const { delta = 1 } = options;
  if (!(delta > 0))
    throw new TenonError("USAGE", { problem: "huber: delta", given: String(delta), expected: "above 0" });
  const distance = abs(sub(prediction, targetsFor("huber", prediction, target)));
  const near = minimum(distance, delta);
  return reduced(add(mul(mul(near, near), 0.5), mul(sub(distance, near), delta)), options);
}

/** Binary cross-entropy of logits with targets 0 to 1 of the same shape; `posWeight` multiplies the part of targets 1. */
export function bceWithLogits(
  logits: Var,
  target: Var,
  options: LossOptions & { readonly posWeight?: Var | number } = {},
): Var {
  const y = targetsFor("bceWithLogits", logits, target);
  // ln(1 + e^−|x|) + max(−x, 0) is −ln σ(x) without overflow.
  const tail = add(log(add(exp(neg(abs(logits))), 1)), maximum(neg(logits), 0));
  const { posWeight } = options;
  const weight = posWeight === undefined ? undefined : add(mul(sub(posWeight, 1), y), 1);
  const losses = add(mul(sub(1, y), logits), weight === undefined ? tail : mul(weight, tail));
  return reduced(losses, options);
}

/** Σ p · (ln p − q) over the last axis, of log-probabilities q and probabilities p; 0 where p is 0. */
export function klDivergence(logProbabilities: Var, target: Var, options: LossOptions = {}): Var {
  const p = targetsFor("klDivergence", logProbabilities, target);
  // The smallest normal float32 stands in for 0, whose logarithm times 0 would be NaN.
  const entropy = mul(p, log(maximum(p, 1.1754943508222875e-38)));
  return reduced(sum(sub(entropy, mul(p, logProbabilities)), { axes: [-1] }), options);
}

/** Rows of length 1; rows shorter than 1e-12 are divided by that. */
function normalized(x: Var): Var {
  return div(x, sqrt(maximum(sum(mul(x, x), { axes: [-1], keep: true }), 1e-24)));
}

/** The cosine of the angle between rows of the last axis: [..., width] → [...]. */
export function cosineSimilarity(a: Var, b: Var): Var {
  sameShape("cosineSimilarity", a, b);
  return sum(mul(normalized(a), normalized(b)), { axes: [-1] });
}

/** 1 − cos for targets 1, max(0, cos − margin) for −1; `target` has a row's one number. Default margin 0. */
export function cosineEmbedding(
  a: Var,
  b: Var,
  target: Var,
  options: LossOptions & { readonly margin?: number } = {},
): Var {
  const cosine = cosineSimilarity(a, b);
  const y = targetsFor("cosineEmbedding", cosine, target);
  const apart = maximum(sub(cosine, options.margin ?? 0), 0);
  return reduced(where(less(y, 0), apart, sub(1, cosine)), options);
}

/**
 * InfoNCE (multiple negatives): each row of `a` [rows, width] is to be nearest, by cosine, to its own row of `b`, the
 * other rows of the batch are its negatives. `b` may have further rows behind, negatives of all. `scale` (default 20)
 * is 1 / temperature; `symmetric` adds the same from b to a and halves the sum.
 */
export function infoNCE(
  a: Var,
  b: Var,
  options: LossOptions & { readonly scale?: number; readonly symmetric?: boolean } = {},
): Var {
  const { tape } = a;
  tape.markMixed();
  const [rows, others] = [a.size(0), b.size(0)];
  if (others < rows || (options.symmetric === true && others !== rows)) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "infoNCE: rows",
      given: `${rows} and ${others}`,
      expected: "a row of the second for each of the first",
    });
  }
  const scores = mul(matmul(normalized(a), transpose(normalized(b))), options.scale ?? 20);
  const own = tape.constant(
    tensorFromStorage(
      "int64",
      [rows],
      BigInt64Array.from({ length: rows }, (_, i) => BigInt(i)),
    ),
  );
  const there = crossEntropy(scores, own, options);
  return options.symmetric === true
    ? mul(add(there, crossEntropy(transpose(scores), own, options)), 0.5)
    : there;
}

/** max(0, |a − p| − |a − n| + margin) of rows, with torch's 1e-6 on each difference. Default margin 1. */
export function triplet(
  anchor: Var,
  positive: Var,
  negative: Var,
  options: LossOptions & { readonly margin?: number } = {},
): Var {
  sameShape("triplet", anchor, positive);
  sameShape("triplet", anchor, negative);
  const distance = (other: Var): Var => {
    const difference = add(sub(anchor, other), 1e-6);
    return sqrt(sum(mul(difference, difference), { axes: [-1] }));
  };
  const gap = add(sub(distance(positive), distance(negative)), options.margin ?? 1);
  return reduced(maximum(gap, 0), options);
}

/**
 * Knowledge distillation: temperature² · KL(teacher ‖ student) of softmax(logits / temperature), as in Hinton et al.
 * 2015. No gradient flows to the teacher. Default temperature 2.
 */
export function distillation(
  student: Var,
  teacher: Var,
  options: LossOptions & { readonly temperature?: number } = {},
): Var {
  const { temperature = 2 } = options;
  if (!(temperature > 0)) {
    throw new TenonError("USAGE", {
      problem: "distillation: temperature",
      given: String(temperature),
      expected: "above 0",
    });
  }
  const target = softmax(div(stopGradient(teacher), temperature));
  const divergence = klDivergence(logSoftmax(div(student, temperature)), target, options);
  return mul(divergence, temperature * temperature);
}
