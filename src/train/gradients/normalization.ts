/** Gradients of normalisations that have a kernel worth keeping; the others are lowered. */
import type { Rule, Site } from "./site.js";

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** Mean and inverse deviation: the node's own outputs, which are float32 whatever the input is. */
function statistics(s: Site, axes: readonly number[]): { mean: string; inverse: string } {
  if (s.floatType === "float32") return { mean: s.output(1), inverse: s.output(2) };
  const x = s.x(0);
  const mean = s.mean(x, axes);
  const variance = s.mean(s.square(s.sub(x, mean)), axes);
  const deviation = s.op("Sqrt", [s.add(variance, s.k(s.float("epsilon", 1e-5)))]);
  return { mean, inverse: s.op("Reciprocal", [deviation]) };
}

const layerNorm: Rule = (s) => {
  const [x, w] = [s.x(0), s.x(1)];
  const axes = range(s.axis("axis", -1, x), s.rank(x));
  const { mean, inverse } = statistics(s, axes);
  const normal = s.mul(s.sub(x, mean), inverse);
  const [g, gMean, gInverse] = s.gs;
  const grads: (string | undefined)[] = [undefined, undefined, undefined];
  if (s.needs(0)) {
    const parts: string[] = [];
    if (g !== undefined) {
      const h = s.mul(g, w);
      const centred = s.sub(s.sub(h, s.mean(h, axes)), s.mul(normal, s.mean(s.mul(h, normal), axes)));
      parts.push(s.mul(inverse, centred));
    }
    // Of second derivatives: d mean/dx = 1/n, d inverse/dx = −inverse² · normal / n.
    const share = (value: string): string => s.expandLike(s.div(value, s.share(x, mean)), x);
    if (gMean !== undefined) parts.push(share(s.cast(gMean, s.floatType)));
    if (gInverse !== undefined) {
      const slope = s.mul(s.cast(gInverse, s.floatType), s.square(inverse));
      parts.push(s.neg(s.mul(share(slope), normal)));
    }
    grads[0] = parts.reduce((a, b) => s.add(a, b));
  }
  if (g !== undefined && s.needs(1)) grads[1] = s.unbroadcast(s.mul(g, normal), s.y, w);
  if (g !== undefined && s.needs(2)) grads[2] = s.unbroadcast(g, s.y, s.x(2));
  return grads;
};

/** With running statistics, which are inputs like any other. With those of the batch it is lowered. */
export const batchNormInference: Rule = (s) => {
  const [x, scale, , mean, variance] = s.node.inputs as [string, string, string, string, string];
  s.sameTypes([0, 1, 2, 3, 4]);
  const rank = s.rank(x);
  const others = range(0, rank).filter((axis) => axis !== 1);
  const spread = (value: string): string => s.unsqueeze(value, range(1, rank - 1));
  const deviation = s.op("Sqrt", [s.add(variance, s.k(s.float("epsilon", 1e-5), s.dtype(variance)))]);
  const inverse = s.op("Reciprocal", [deviation]);
  const perChannel = (value: string): string => s.sum(value, others, 0);
  const centred = (): string => s.sub(x, spread(mean));
  const sumG = (): string => perChannel(s.g);
  const sumGx = (): string => perChannel(s.mul(s.g, centred()));
  const slope = s.mul(scale, inverse);
  return [
    s.needs(0) ? s.mul(s.g, spread(slope)) : undefined,
    s.needs(1) ? s.mul(sumGx(), inverse) : undefined,
    s.needs(2) ? sumG() : undefined,
    s.needs(3) ? s.neg(s.mul(sumG(), slope)) : undefined,
    s.needs(4) ? s.scale(s.mul(sumGx(), s.mul(slope, s.square(inverse))), -0.5) : undefined,
  ];
};

export const NORMALIZATION = {
  LayerNormalization: layerNorm,
} satisfies Record<string, Rule>;
