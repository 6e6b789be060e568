/** Elementwise ops that ONNX lacks, put together from others: shrinking, thresholds, logarithms, odd values. */
import { type DType, dtypeInfo } from "../../tensor/index.js";
import { type Emitter, isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

/** An op of tensors of floats, in the dtype of its result; integers come as floats. */
const of =
  (
    emit: (c: Emitter, x: readonly string[], dtype: DType) => string,
    ...names: readonly string[]
  ): OpHandler =>
  (c, args, { dtype }) =>
    emit(
      c,
      names.map((name) => c.as(args.operand(name), dtype)),
      dtype,
    );

const isZero = (c: Emitter, x: string, dtype: DType): string => c.add("Equal", [x, c.scalar(0, dtype)]);

const isNan = (c: Emitter, x: string): string => c.add("IsNaN", [x]);

const threshold: OpHandler = (c, args, { dtype }) => {
  const x = c.as(args.tensor("self"), dtype);
  const below = c.add("LessOrEqual", [x, c.scalar(args.scalar("threshold"), dtype)]);
  return c.where(below, c.scalar(args.scalar("value"), dtype), x, dtype);
};

const hardshrink: OpHandler = (c, args, { dtype }) => {
  const x = c.as(args.tensor("self"), dtype);
  const near = c.add("LessOrEqual", [c.add("Abs", [x]), c.scalar(args.scalar("lambd", 0.5), dtype)]);
  return c.where(near, c.scalar(0, dtype), x, dtype);
};

/** x − λ, x + λ, or between them 0; NaN stays. */
const softshrink: OpHandler = (c, args, { dtype }) => {
  const x = c.as(args.tensor("self"), dtype);
  const bound = c.scalar(args.scalar("lambd", 0.5), dtype);
  const near = c.add("LessOrEqual", [c.add("Abs", [x]), bound]);
  const shrunk = c.add("Sub", [x, c.add("Mul", [c.add("Sign", [x]), bound])]);
  return c.where(near, c.scalar(0, dtype), shrunk, dtype);
};

const logSigmoid = of((c, [x]) => c.add("Neg", [c.add("Softplus", [c.add("Neg", [x])])]), "self");

/** ln(eᵃ + eᵇ); equal operands first, for infinities. */
const logAddExp = of(
  (c, [a, b], dtype) => {
    const apart = c.add("Abs", [c.add("Sub", [a, b])]);
    const sum = c.add("Add", [c.add("Max", [a, b]), c.add("Softplus", [c.add("Neg", [apart])])]);
    const twice = c.add("Add", [a, c.scalar(Math.LN2, dtype)]);
    return c.where(c.add("Equal", [a, b]), twice, sum, dtype);
  },
  "self",
  "other",
);

/** x · ln y, 0 where x is 0 unless y is NaN. */
const xlogy = of(
  (c, [x, y], dtype) => {
    const zero = c.add("And", [isZero(c, x!, dtype), c.add("Not", [isNan(c, y!)])]);
    return c.where(zero, c.scalar(0, dtype), c.add("Mul", [x, c.add("Log", [y])]), dtype);
  },
  "self",
  "other",
);

const logit: OpHandler = (c, args, { dtype }) => {
  const x = c.as(args.tensor("self"), dtype);
  const one = c.scalar(1, dtype);
  let inside = x;
  if (args.has("eps")) {
    // The lower bound is asked first, which counts where eps is above a half.
    const [low, high] = [args.number("eps"), 1 - args.number("eps")].map((bound) => c.scalar(bound, dtype));
    inside = c.where(c.add("Less", [x, low]), low!, c.add("Min", [x, high]), dtype);
  }
  return c.add("Log", [c.add("Div", [inside, c.add("Sub", [one, inside])])]);
};

const sinc = of((c, [x], dtype) => {
  const turned = c.add("Mul", [x, c.scalar(Math.PI, dtype)]);
  const zero = isZero(c, x!, dtype);
  return c.where(zero, c.scalar(1, dtype), c.add("Div", [c.add("Sin", [turned]), turned]), dtype);
}, "self");

/** √(a² + b²) without overflow; an infinite side is infinite whatever the other is. */
const hypot = of(
  (c, [a, b], dtype) => {
    const [x, y] = [c.add("Abs", [a]), c.add("Abs", [b])];
    const [long, short] = [c.add("Max", [x, y]), c.add("Min", [x, y])];
    const ratio = c.add("Div", [short, long]);
    const root = c.add("Sqrt", [c.add("Add", [c.scalar(1, dtype), c.add("Mul", [ratio, ratio])])]);
    const infinite = c.add("Or", [c.add("IsInf", [x]), c.add("IsInf", [y])]);
    const plain = c.add("Or", [isZero(c, long, dtype), infinite]);
    const either = c.where(infinite, c.scalar(Number.POSITIVE_INFINITY, dtype), long, dtype);
    return c.where(plain, either, c.add("Mul", [long, root]), dtype);
  },
  "self",
  "other",
);

/** The other operand where one is NaN. */
const ignoringNan =
  (op: "Max" | "Min"): OpHandler =>
  (c, args, { dtype }) => {
    const [a, b] = [c.as(args.tensor("self"), dtype), c.as(args.tensor("other"), dtype)];
    if (dtype === "bool") return c.add(op === "Max" ? "Or" : "And", [a, b]);
    const chosen = c.add(op, [a, b]);
    if (!isFloat(dtype)) return chosen;
    return c.where(isNan(c, a), b, c.where(isNan(c, b), a, chosen, dtype), dtype);
  };

const heaviside = of(
  (c, [x, values], dtype) => {
    const above = c.cast(c.add("Greater", [x, c.scalar(0, dtype)]), "bool", dtype);
    return c.where(isZero(c, x!, dtype), values!, above, dtype);
  },
  "self",
  "values",
);

const LARGEST: Readonly<Partial<Record<DType, number>>> = {
  float16: 65504,
  float32: 3.4028234663852886e38,
  float64: Number.MAX_VALUE,
};

const nanToNum: OpHandler = (c, args, { dtype }) => {
  const x = c.as(args.tensor("self"), dtype);
  const [nan, high, low] = ["nan", "posinf", "neginf"].map((name) =>
    args.has(name) ? args.number(name) : undefined,
  );
  if (!isFloat(dtype)) return x;
  const largest = LARGEST[dtype];
  if (largest === undefined) throw new Unsupported(`nan_to_num of ${dtype}`);
  const infinite = (sign: "positive" | "negative"): string =>
    c.add("IsInf", [x], {
      detect_negative: sign === "negative" ? 1 : 0,
      detect_positive: sign === "positive" ? 1 : 0,
    });
  const below = c.where(infinite("negative"), c.scalar(low ?? -largest, dtype), x, dtype);
  const finite = c.where(infinite("positive"), c.scalar(high ?? largest, dtype), below, dtype);
  return c.where(isNan(c, x), c.scalar(nan ?? 0, dtype), finite, dtype);
};

const finite: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const value = isFloat(x.dtype) ? x.value : c.cast(x.value, x.dtype, "float32");
  return c.add("Not", [c.add("Or", [c.add("IsNaN", [value]), c.add("IsInf", [value])])]);
};

/** What is behind the point, with the sign. */
const frac = of((c, [x], dtype) => c.add("Mod", [x, c.scalar(1, dtype)], { fmod: 1 }), "self");

const sgn: OpHandler = (c, args, { dtype }) => {
  if (dtypeInfo(dtype).kind === "bool") return args.tensor("self").value;
  return c.add("Sign", [c.as(args.tensor("self"), dtype)]);
};

export const PIECEWISE: OpRows = {
  "threshold.default": threshold,
  "hardshrink.default": hardshrink,
  "softshrink.default": softshrink,
  "tanhshrink.default": of((c, [x]) => c.add("Sub", [x, c.add("Tanh", [x])]), "self"),
  "log_sigmoid.default": logSigmoid,
  "logaddexp.default": logAddExp,
  "xlogy.Tensor": xlogy,
  "xlogy.Scalar_Self": xlogy,
  "xlogy.Scalar_Other": xlogy,
  "logit.default": logit,
  "sinc.default": sinc,
  "hypot.default": hypot,
  "fmax.default": ignoringNan("Max"),
  "fmin.default": ignoringNan("Min"),
  "heaviside.default": heaviside,
  "nan_to_num.default": nanToNum,
  "isfinite.default": finite,
  "frac.default": frac,
  "sgn.default": sgn,
};
