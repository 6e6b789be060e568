/** Ops that are written out in others before they are differentiated. The last node of each gives the op's own output. */
import { gridSample } from "./grid-sample.js";
import { type Lowering, Refusal, type Site } from "./site.js";

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** (x − mean) / sqrt(variance + epsilon) over axes. */
function standardized(s: Site, x: string, axes: readonly number[], epsilon: number): string {
  const centred = s.sub(x, s.mean(x, axes));
  const variance = s.mean(s.square(centred), axes);
  return s.div(centred, s.op("Sqrt", [s.add(variance, s.k(epsilon))]));
}

/** A value per channel, over the axes behind it. */
const perChannel = (s: Site, value: string, rank: number): string => s.unsqueeze(value, range(1, rank - 1));

const batchNormTraining: Lowering = (s) => {
  const [x, scale, bias, mean, variance] = s.node.inputs as [string, string, string, string, string];
  s.sameTypes([0, 1, 2]);
  const rank = s.rank(x);
  const others = range(0, rank).filter((axis) => axis !== 1);
  const own = s.mean(x, others);
  const centred = s.sub(x, own);
  const ownVariance = s.mean(s.square(centred), others);
  const normal = s.div(centred, s.op("Sqrt", [s.add(ownVariance, s.k(s.float("epsilon", 1e-5)))]));
  s.as(0, "Add", [s.mul(normal, perChannel(s, scale, rank)), perChannel(s, bias, rank)]);
  const momentum = s.float("momentum", 0.9);
  const running = (index: number, before: string, batch: string): void => {
    const dtype = s.dtype(before);
    const now = s.squeeze(batch, others);
    const cast = dtype === s.floatType ? now : s.cast(now, dtype);
    s.as(index, "Add", [s.mul(before, s.k(momentum, dtype)), s.mul(cast, s.k(1 - momentum, dtype))]);
  };
  running(1, mean, own);
  running(2, variance, ownVariance);
};

const instanceNorm: Lowering = (s) => {
  const rank = s.rank(s.x(0));
  const normal = standardized(s, s.x(0), range(2, rank), s.float("epsilon", 1e-5));
  s.as(0, "Add", [s.mul(normal, perChannel(s, s.x(1), rank)), perChannel(s, s.x(2), rank)]);
};

/** Before opset 21, scale and bias are of the groups, not of the channels. */
const groupNorm: Lowering = (s) => {
  const x = s.x(0);
  const groups = s.int("num_groups", 0);
  const split = s.op("Reshape", [x, s.vector([0, groups, -1])]);
  const normal = standardized(s, split, [2], s.float("epsilon", 1e-5));
  if (s.opset < 21) {
    const scaled = s.mul(normal, s.unsqueeze(s.x(1), [1]));
    s.as(0, "Reshape", [s.add(scaled, s.unsqueeze(s.x(2), [1])), s.shapeOf(x)]);
    return;
  }
  const rank = s.rank(x);
  const back = s.reshapeLike(normal, x);
  s.as(0, "Add", [s.mul(back, perChannel(s, s.x(1), rank)), perChannel(s, s.x(2), rank)]);
};

const rmsNorm: Lowering = (s) => {
  if ((s.node.outputs[1] ?? "") !== "") throw new Refusal("its statistics as an output have no rule");
  s.sameTypes([0, 1]);
  const x = s.x(0);
  const axes = range(s.axis("axis", -1, x), s.rank(x));
  const square = s.mean(s.square(x), axes);
  const root = s.op("Sqrt", [s.add(square, s.k(s.float("epsilon", 1e-5)))]);
  s.as(0, "Mul", [s.div(x, root), s.x(1)]);
};

const lpNorm: Lowering = (s) => {
  const axis = s.vector([s.axis("axis", -1, s.x(0))]);
  const norm = s.op(s.int("p", 2) === 1 ? "ReduceL1" : "ReduceL2", [s.x(0), axis], { keepdims: 1 });
  const isZero = s.op("Equal", [norm, s.k(0)]);
  s.as(0, "Div", [s.x(0), s.where(isZero, s.k(1), norm)]);
};

const meanVariance: Lowering = (s) => {
  const axes = s.ints("axes") ?? [0, 2, 3];
  const x = s.x(0);
  const centred = s.sub(x, s.mean(x, axes));
  const deviation = s.op("Sqrt", [s.mean(s.square(centred), axes)]);
  s.as(0, "Div", [centred, s.add(deviation, s.k(1e-9))]);
};

/** Negative log-likelihood of `log` [N, C, …] at the labels [N, …], reduced as the node asks. */
function likelihood(s: Site, log: string): void {
  const [labels, weights] = [s.x(1), s.x(2)];
  const ignore = s.node.attrs.has("ignore_index") ? s.int("ignore_index", 0) : undefined;
  const labelType = s.dtype(labels);
  const ignored = ignore === undefined ? undefined : s.op("Equal", [labels, s.k(ignore, labelType)]);
  const safe = ignored === undefined ? labels : s.where(ignored, s.k(0, labelType), labels);
  const picked = s.squeeze(s.op("GatherElements", [log, s.unsqueeze(safe, [1])], { axis: 1 }), [1]);
  let weight = weights === "" ? undefined : s.op("Gather", [weights, safe]);
  if (ignored !== undefined) weight = s.where(ignored, s.k(0), weight ?? s.k(1));
  // What is left out counts for nothing, even where its logarithm is −∞.
  const counted = ignored === undefined ? picked : s.where(ignored, s.k(0), picked);
  const loss = s.neg(weight === undefined ? counted : s.mul(counted, weight));
  const reduction = s.text("reduction", "mean");
  if (reduction === "none") s.as(0, "Identity", [loss]);
  else if (reduction === "sum") s.as(0, "ReduceSum", [loss], { keepdims: 0 });
  else if (weight === undefined) s.as(0, "ReduceMean", [loss], { keepdims: 0 });
  else {
    const total = (a: string): string => s.op("ReduceSum", [a], { keepdims: 0 });
    // A weight per label, also where the weights are one constant.
    s.as(0, "Div", [total(loss), total(s.expandLike(weight, labels))]);
  }
}

const crossEntropy: Lowering = (s) => {
  const log = s.op("LogSoftmax", [s.x(0)], { axis: 1 });
  s.as(1, "Identity", [log]);
  likelihood(s, log);
};

const negativeLogLikelihood: Lowering = (s) => likelihood(s, s.x(0));

const localResponse: Lowering = (s) => {
  const x = s.x(0);
  const size = s.int("size", 1);
  const rank = s.rank(x);
  const channels = s.dim(x, 1);
  const before = Math.floor((size - 1) / 2);
  const pads = new Array<number>(2 * rank).fill(0);
  pads[1] = before;
  pads[rank + 1] = size - 1 - before;
  const padded = s.op("Pad", [s.square(x), s.vector(pads), s.k(0)]);
  const parts = range(0, size).map((i) => s.slice(padded, [i], [i + channels], [1]));
  const sum = parts.reduce((a, b) => s.add(a, b));
  const scaled = s.add(s.k(s.float("bias", 1)), s.scale(sum, s.float("alpha", 1e-4) / size));
  s.as(0, "Div", [x, s.op("Pow", [scaled, s.k(s.float("beta", 0.75))])]);
};

/** Attention of opset 23 and 24, without a cache of keys and values. */
const attention: Lowering = (s) => {
  if (s.has(4) || s.has(5) || s.has(6))
    throw new Refusal("attention with a cache or padded lengths has no rule");
  if ([1, 2, 3].some((i) => (s.node.outputs[i] ?? "") !== ""))
    throw new Refusal("attention with further outputs has no rule");
  let [q, k, v] = [s.x(0), s.x(1), s.x(2)] as const as [string, string, string];
  const flat = s.rank(q) === 3;
  let [qHeads, kvHeads] = [s.int("q_num_heads", 0), s.int("kv_num_heads", 0)];
  let [batch, queries, keys] = [s.dim(q, 0), 0, 0];
  if (flat) {
    queries = s.dim(q, 1);
    keys = s.dim(k, 1);
    const heads = (name: string, count: number): string => {
      const [, length, width] = s.dims(name) as [number, number, number];
      const split = s.op("Reshape", [name, s.vector([batch, length, count, width / count])]);
      return s.transpose(split, [0, 2, 1, 3]);
    };
    [q, k, v] = [heads(q, qHeads), heads(k, kvHeads), heads(v, kvHeads)];
  } else {
    [, qHeads, queries] = s.dims(q) as [number, number, number];
    [, kvHeads, keys] = s.dims(k) as [number, number, number];
  }
  const width = flat ? s.dim(s.x(0), 2) / qHeads : s.dim(s.x(0), 3);
  const valueWidth = flat ? s.dim(s.x(2), 2) / kvHeads : s.dim(s.x(2), 3);
  if (qHeads !== kvHeads) {
    const repeat = (name: string, inner: number): string => {
      const wide = s.op("Expand", [
        s.unsqueeze(name, [2]),
        s.vector([batch, kvHeads, qHeads / kvHeads, keys, inner]),
      ]);
      return s.op("Reshape", [wide, s.vector([batch, qHeads, keys, inner])]);
    };
    [k, v] = [repeat(k, width), repeat(v, valueWidth)];
  }
  const scale = s.node.attrs.has("scale") ? s.float("scale", 1) : 1 / Math.sqrt(width);
  let scores = s.scale(s.op("MatMul", [q, s.transpose(k, [0, 1, 3, 2])]), scale);
  const softcap = s.float("softcap", 0);
  const capped = (a: string): string =>
    softcap > 0 ? s.scale(s.op("Tanh", [s.scale(a, 1 / softcap)]), softcap) : a;
  const masks: string[] = [];
  if (s.has(3)) {
    const mask = s.x(3);
    if (s.shape(mask).at(-1) !== keys) throw new Refusal("a mask shorter than the keys has no rule");
    masks.push(s.dtype(mask) === "bool" ? s.where(mask, s.k(0), s.k(-Infinity)) : mask);
  }
  if (s.int("is_causal", 0) === 1) {
    const ones = s.op("Expand", [s.k(1), s.vector([queries, keys])]);
    const seen = s.op("Trilu", [ones], { upper: 0 });
    masks.push(s.where(s.op("Equal", [seen, s.k(1)]), s.k(0), s.k(-Infinity)));
  }
  scores = capped(scores);
  for (const mask of masks) scores = s.add(scores, mask);
  const softmax = (a: string): string => s.op("Softmax", [a], { axis: -1 });
  let weights: string;
  if (!s.has(3)) weights = softmax(scores);
  else {
    // A query that sees no key gives 0.
    const best = s.op("ReduceMax", [scores, s.vector([-1])], { keepdims: 1 });
    const blind = s.op("Equal", [best, s.k(-Infinity)]);
    weights = s.where(blind, s.k(0), softmax(s.where(blind, s.k(0), scores)));
  }
  const out = s.op("MatMul", [weights, v]);
  if (!flat) s.as(0, "Identity", [out]);
  else {
    const joined = s.transpose(out, [0, 2, 1, 3]);
    s.as(0, "Reshape", [joined, s.vector([batch, queries, qHeads * valueWidth])]);
  }
};

const rotary: Lowering = (s) => {
  const x = s.x(0);
  if (!s.has(3) && s.rank(s.x(1)) !== 3) throw new Refusal("its tables have no positions");
  const flat = s.rank(x) === 3;
  const heads = s.int("num_heads", 0);
  const dims = s.dims(x);
  const batch = dims[0]!;
  const length = flat ? dims[1]! : dims[2]!;
  const count = flat ? heads : dims[1]!;
  const width = flat ? dims[2]! / heads : dims[3]!;
  const turned = s.int("rotary_embedding_dim", 0) || width;
  const half = turned / 2;
  const values = flat
    ? s.op("Reshape", [x, s.vector([batch, length, count, width])])
    : s.transpose(x, [0, 2, 1, 3]);
  const table = (name: string): string => s.unsqueeze(s.has(3) ? s.op("Gather", [name, s.x(3)]) : name, [2]);
  const [cos, sin] = [table(s.x(1)), table(s.x(2))];
  const interleaved = s.int("interleaved", 0) === 1;
  const part = (start: number, end: number, step = 1): string => s.slice(values, [start], [end], [3], [step]);
  const a = interleaved ? part(0, turned, 2) : part(0, half);
  const b = interleaved ? part(1, turned, 2) : part(half, turned);
  const real = s.sub(s.mul(a, cos), s.mul(b, sin));
  const imaginary = s.add(s.mul(a, sin), s.mul(b, cos));
  const rotated = interleaved
    ? s.op("Reshape", [
        s.op("Concat", [s.unsqueeze(real, [4]), s.unsqueeze(imaginary, [4])], { axis: 4 }),
        s.vector([batch, length, count, turned]),
      ])
    : s.op("Concat", [real, imaginary], { axis: 3 });
  const whole = turned === width ? rotated : s.op("Concat", [rotated, part(turned, width)], { axis: 3 });
  if (flat) s.as(0, "Reshape", [whole, s.vector(dims)]);
  else s.as(0, "Transpose", [whole], { perm: [0, 2, 1, 3] });
};

// ── ops of ONNX Runtime ──────────────────────────────────────────────────────────────────────────

const biasGelu: Lowering = (s) => s.as(0, "Gelu", [s.add(s.x(0), s.x(1))]);

const fastGelu: Lowering = (s) =>
  s.as(0, "Gelu", [s.has(1) ? s.add(s.x(0), s.x(1)) : s.x(0)], { approximate: "tanh" });

const skipLayerNorm: Lowering = (s) => {
  if ((s.node.outputs[1] ?? "") !== "" || (s.node.outputs[2] ?? "") !== "")
    throw new Refusal("its statistics as outputs have no rule");
  let sum = s.add(s.x(0), s.x(1));
  if (s.has(4)) sum = s.add(sum, s.x(4));
  s.as(3, "Identity", [sum]);
  const inputs = s.has(3) ? [sum, s.x(2), s.x(3)] : [sum, s.x(2)];
  s.as(0, "LayerNormalization", inputs, { axis: -1, epsilon: s.float("epsilon", 1e-12) });
};

export const LOWERED = {
  InstanceNormalization: instanceNorm,
  GroupNormalization: groupNorm,
  RMSNormalization: rmsNorm,
  SimplifiedLayerNormalization: rmsNorm,
  LpNormalization: lpNorm,
  MeanVarianceNormalization: meanVariance,
  SoftmaxCrossEntropyLoss: crossEntropy,
  NegativeLogLikelihoodLoss: negativeLogLikelihood,
  LRN: localResponse,
  Attention: attention,
  RotaryEmbedding: rotary,
  GridSample: gridSample,
  "com.microsoft:BiasGelu": biasGelu,
  "com.microsoft:FastGelu": fastGelu,
  "com.microsoft:SkipLayerNormalization": skipLayerNorm,
} satisfies Record<string, Lowering>;

export { batchNormTraining };
