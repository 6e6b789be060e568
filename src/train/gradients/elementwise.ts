/** Gradients of elementwise ops. Kinks and ties follow PyTorch. */
import { DTYPES } from "../../tensor/index.js";
import { NONE, Refusal, type Rule, type Site, ZERO } from "./site.js";

/** A rule of one input from its factor: dy/dx. */
function factor(of: (s: Site, x: string, y: () => string) => string): Rule {
  return (s) => [
    s.mul(
      s.g,
      of(s, s.x(0), () => s.y),
    ),
  ];
}

/** A rule of one input from its gradient. */
function unary(of: (s: Site, g: string, x: string) => string): Rule {
  return (s) => [of(s, s.g, s.x(0))];
}

/** A rule of two operands that are broadcast. */
function binary(left: (s: Site) => string, right: (s: Site) => string): Rule {
  return (s) => [
    s.needs(0) ? s.unbroadcast(left(s), s.y, s.x(0)) : undefined,
    s.needs(1) ? s.unbroadcast(right(s), s.y, s.x(1)) : undefined,
  ];
}

const greater = (s: Site, a: string, b: string): string => s.op("Greater", [a, b]);
const less = (s: Site, a: string, b: string): string => s.op("Less", [a, b]);
const sigmoid = (s: Site, a: string): string => s.op("Sigmoid", [a]);
const exp = (s: Site, a: string): string => s.op("Exp", [a]);
/** 1 − a² and the like. */
const oneMinus = (s: Site, a: string): string => s.sub(s.k(1), a);
const onePlus = (s: Site, a: string): string => s.add(s.k(1), a);

function pow(s: Site): (string | undefined)[] {
  const [a, b] = [s.x(0), s.x(1)];
  const dtype = s.floatType;
  const constant = s.numbers(1);
  const cast = (name: string): string => (s.dtype(name) === dtype ? name : s.cast(name, dtype));
  const base = (): string => {
    if (constant?.length === 1 && s.rank(b) <= s.rank(a)) {
      const [c] = constant as [number];
      if (c === 0) return ZERO;
      if (c === 1) return s.g;
      if (c === 2) return s.mul(s.g, s.scale(a, 2));
      if (c === 0.5) return s.div(s.scale(s.g, 0.5), s.y);
      if (c === -1) return s.neg(s.mul(s.g, s.square(s.y)));
      return s.mul(s.g, s.scale(s.op("Pow", [a, s.k(c - 1)]), c));
    }
    const e = cast(b);
    const slope = s.mul(e, s.op("Pow", [a, s.sub(e, s.k(1))]));
    const zero = s.op("Equal", [e, s.k(0)]);
    return s.unbroadcast(s.where(zero, s.k(0), s.mul(s.g, slope)), s.y, a);
  };
  const exponent = (): string => {
    // Of a negative base the logarithm is NaN, and so is the gradient; 0 to a power of 0 or more stays 0 or 1.
    const flat = s.op("And", [s.op("Equal", [a, s.k(0)]), s.op("GreaterOrEqual", [cast(b), s.k(0)])]);
    const grad = s.where(flat, s.k(0), s.mul(s.mul(s.g, s.y), s.op("Log", [a])));
    const back = s.unbroadcast(grad, s.y, b);
    return s.dtype(b) === dtype ? back : s.cast(back, s.dtype(b));
  };
  return [s.needs(0) ? base() : undefined, s.needs(1) ? exponent() : undefined];
}

/** Operands that equal the result share its gradient evenly. */
const extremum: Rule = (s) => {
  const { inputs } = s.node;
  if (inputs.length === 1) return [s.g];
  const masks = inputs.map((x) => s.op("Equal", [x, s.y]));
  const counts = masks.map((mask) => s.cast(mask, s.floatType));
  const share = s.div(
    s.g,
    counts.reduce((a, b) => s.add(a, b)),
  );
  return inputs.map((x, i) =>
    s.needs(i) ? s.unbroadcast(s.where(masks[i]!, share, s.k(0)), s.y, x) : undefined,
  );
};

const sum: Rule = (s) => s.node.inputs.map((x, i) => (s.needs(i) ? s.unbroadcast(s.g, s.y, x) : undefined));

const mean: Rule = (s) => {
  const share = s.scale(s.g, 1 / s.node.inputs.length);
  return s.node.inputs.map((x, i) => (s.needs(i) ? s.unbroadcast(share, s.y, x) : undefined));
};

const clip: Rule = (s) => {
  const x = s.x(0);
  const [low, high] = [s.x(1), s.x(2)];
  const below = s.has(1) ? less(s, x, low) : undefined;
  const above = s.has(2) ? greater(s, x, high) : undefined;
  const outside = below !== undefined && above !== undefined ? s.op("Or", [below, above]) : (below ?? above);
  const grads: (string | undefined)[] = [
    outside === undefined ? s.g : s.drop(outside, s.g),
    undefined,
    undefined,
  ];
  // With crossed bounds every element is the upper one.
  const crossed = s.has(1) && s.has(2) ? less(s, high, low) : undefined;
  if (s.needs(1)) {
    const mask = crossed === undefined ? below! : s.op("And", [below!, s.op("Not", [crossed])]);
    grads[1] = s.unbroadcast(s.where(mask, s.g, s.k(0)), s.y, low);
  }
  if (s.needs(2)) {
    const mask = crossed === undefined ? above! : s.op("Or", [above!, crossed]);
    grads[2] = s.unbroadcast(s.where(mask, s.g, s.k(0)), s.y, high);
  }
  return grads;
};

const where: Rule = (s) => {
  const [condition, a, b] = [s.x(0), s.x(1), s.x(2)];
  return [
    undefined,
    s.needs(1) ? s.unbroadcast(s.where(condition, s.g, s.k(0)), s.y, a) : undefined,
    s.needs(2) ? s.unbroadcast(s.where(condition, s.k(0), s.g), s.y, b) : undefined,
  ];
};

const gelu = factor((s, x) => {
  const half = (a: string): string => s.scale(a, 0.5);
  if (s.text("approximate", "none") === "tanh") {
    const k = Math.sqrt(2 / Math.PI);
    const x2 = s.square(x);
    const u = s.mul(x, s.add(s.k(k), s.scale(x2, k * 0.044715)));
    const t = s.op("Tanh", [u]);
    const slope = s.add(s.k(k), s.scale(x2, 3 * k * 0.044715));
    return s.add(half(onePlus(s, t)), half(s.mul(s.mul(x, oneMinus(s, s.square(t))), slope)));
  }
  const cdf = half(onePlus(s, s.op("Erf", [s.scale(x, Math.SQRT1_2)])));
  const pdf = s.scale(exp(s, s.scale(s.square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return s.add(cdf, s.mul(x, pdf));
});

const prelu: Rule = (s) => {
  const [x, slope] = [s.x(0), s.x(1)];
  const positive = greater(s, x, s.k(0));
  return [
    s.needs(0) ? s.where(positive, s.g, s.mul(s.g, slope)) : undefined,
    s.needs(1) ? s.unbroadcast(s.where(positive, s.k(0), s.mul(s.g, x)), s.y, slope) : undefined,
  ];
};

const castBack = (s: Site): string => {
  const from = s.dtype(s.x(0));
  if (DTYPES[from].bits < 16) throw new Refusal(`${from} holds no gradient`);
  return from === s.dtype(s.y) ? s.g : s.cast(s.g, from);
};

const identity: Rule = (s) => [s.g];

/** Of steps: zero everywhere, but the output does depend on the input. */
const steps: Rule = () => [ZERO];

const dropout: Rule = (s) => {
  const training = s.numbers(2);
  if (!s.has(2) || training?.[0] === 0) return [s.g];
  const mask = s.output(1);
  const ratio = s.has(1) ? s.cast(s.x(1), s.floatType) : s.k(0.5);
  const scale = s.div(s.k(1), oneMinus(s, ratio));
  const kept = s.where(mask, s.mul(s.g, scale), s.k(0));
  return [training?.[0] === 1 ? kept : s.where(s.x(2), kept, s.g)];
};

/** Where the gradient lies at the maxima of windows of y, it is enough to look at those. */
const relu: Rule = (s) => {
  // Of a NaN the gradient passes, as by PyTorch.
  const positive = (y: string, g: string): string => s.drop(s.op("LessOrEqual", [y, s.k(0)]), g);
  const pooled = s.made(s.g);
  if (pooled?.op === "MaxUnpool") {
    const [g, indices, shape] = pooled.inputs as [string, string, string];
    const maxima = s.maxima(indices, s.y);
    if (maxima !== undefined) return [s.op("MaxUnpool", [positive(maxima, g), indices, shape], pooled.attrs)];
  }
  return [positive(s.y, s.g)];
};

const swish = (alpha: (s: Site) => number): Rule =>
  factor((s, x) => {
    const a = alpha(s);
    const sig = sigmoid(s, s.scale(x, a));
    return s.add(sig, s.mul(s.scale(s.mul(x, sig), a), oneMinus(s, sig)));
  });

const mod: Rule = (s) => {
  if (s.int("fmod", 0) !== 1) throw new Refusal("only fmod = 1 works on floats");
  return binary(
    () => s.g,
    () => s.neg(s.mul(s.g, s.op("Round", [s.div(s.sub(s.x(0), s.y), s.x(1))]))),
  )(s);
};

export const ELEMENTWISE = {
  Add: binary(
    (s) => s.g,
    (s) => s.g,
  ),
  Sub: binary(
    (s) => s.g,
    (s) => s.neg(s.g),
  ),
  Mul: binary(
    (s) => s.mul(s.g, s.x(1)),
    (s) => s.mul(s.g, s.x(0)),
  ),
  Div: binary(
    (s) => s.div(s.g, s.x(1)),
    (s) => s.neg(s.div(s.mul(s.g, s.y), s.x(1))),
  ),
  Mod: mod,
  Pow: pow,
  Sum: sum,
  Mean: mean,
  Max: extremum,
  Min: extremum,
  Where: where,
  Clip: clip,
  Neg: unary((s, g) => s.neg(g)),
  Identity: identity,
  Cast: (s) => [castBack(s)],
  CastLike: (s) => [castBack(s), NONE],
  Dropout: dropout,
  Sqrt: unary((s, g) => s.div(s.scale(g, 0.5), s.y)),
  Exp: factor((_s, _x, y) => y()),
  Log: unary((s, g, x) => s.div(g, x)),
  Reciprocal: factor((s, _x, y) => s.neg(s.square(y()))),
  Abs: factor((s, x) => s.op("Sign", [x])),
  Erf: factor((s, x) => s.scale(exp(s, s.neg(s.square(x))), 2 / Math.sqrt(Math.PI))),
  Tanh: factor((s, _x, y) => oneMinus(s, s.square(y()))),
  Sigmoid: factor((s, _x, y) => s.mul(y(), oneMinus(s, y()))),
  Softplus: factor((s, x) => sigmoid(s, x)),
  Softsign: unary((s, g, x) => s.div(g, s.square(onePlus(s, s.op("Abs", [x]))))),
  Sin: factor((s, x) => s.op("Cos", [x])),
  Cos: factor((s, x) => s.neg(s.op("Sin", [x]))),
  Tan: factor((s, _x, y) => onePlus(s, s.square(y()))),
  Asin: unary((s, g, x) => s.div(g, s.op("Sqrt", [oneMinus(s, s.square(x))]))),
  Acos: unary((s, g, x) => s.neg(s.div(g, s.op("Sqrt", [oneMinus(s, s.square(x))])))),
  Atan: unary((s, g, x) => s.div(g, onePlus(s, s.square(x)))),
  Sinh: factor((s, x) => s.scale(s.add(exp(s, x), exp(s, s.neg(x))), 0.5)),
  Cosh: factor((s, x) => s.scale(s.sub(exp(s, x), exp(s, s.neg(x))), 0.5)),
  Asinh: unary((s, g, x) => s.div(g, s.op("Sqrt", [onePlus(s, s.square(x))]))),
  Acosh: unary((s, g, x) => s.div(g, s.op("Sqrt", [s.sub(s.square(x), s.k(1))]))),
  Atanh: unary((s, g, x) => s.div(g, oneMinus(s, s.square(x)))),
  Relu: relu,
  LeakyRelu: unary((s, g, x) => s.where(greater(s, x, s.k(0)), g, s.scale(g, s.float("alpha", 0.01)))),
  ThresholdedRelu: unary((s, g, x) => s.keep(greater(s, x, s.k(s.float("alpha", 1))), g)),
  Elu: unary((s, g, x) => s.where(greater(s, x, s.k(0)), g, s.mul(g, s.add(s.y, s.k(s.float("alpha", 1)))))),
  Selu: unary((s, g, x) => {
    const alpha = s.float("alpha", 1.6732632423543772);
    const gamma = s.float("gamma", 1.0507009873554805);
    return s.where(greater(s, x, s.k(0)), s.scale(g, gamma), s.mul(g, s.add(s.y, s.k(alpha * gamma))));
  }),
  Celu: unary((s, g, x) => {
    const alpha = s.float("alpha", 1);
    return s.where(greater(s, x, s.k(0)), g, s.mul(g, onePlus(s, s.scale(s.y, 1 / alpha))));
  }),
  HardSigmoid: unary((s, g) => {
    const inside = s.op("And", [greater(s, s.y, s.k(0)), less(s, s.y, s.k(1))]);
    return s.keep(inside, s.scale(g, s.float("alpha", 0.2)));
  }),
  HardSwish: unary((s, g, x) => {
    const inner = s.mul(g, s.add(s.scale(x, 1 / 3), s.k(0.5)));
    const above = s.op("GreaterOrEqual", [x, s.k(3)]);
    return s.where(s.op("LessOrEqual", [x, s.k(-3)]), s.k(0), s.where(above, g, inner));
  }),
  Shrink: unary((s, g, x) => s.keep(greater(s, s.op("Abs", [x]), s.k(s.float("lambd", 0.5))), g)),
  Mish: factor((s, x) => {
    const t = s.op("Tanh", [s.op("Softplus", [x])]);
    return s.add(t, s.mul(s.mul(x, sigmoid(s, x)), oneMinus(s, s.square(t))));
  }),
  Swish: swish((s) => s.float("alpha", 1)),
  Gelu: gelu,
  PRelu: prelu,
  Sign: steps,
  Floor: steps,
  Ceil: steps,
  Round: steps,
  "com.microsoft:Gelu": gelu,
  "com.microsoft:QuickGelu": swish((s) => s.float("alpha", 1.702)),
} satisfies Record<string, Rule>;
