/** Elementwise ops: arithmetic, activations, casts, copies. */
import { type DType, dtypeInfo } from "../../tensor/index.js";
import type { Arguments } from "./arguments.js";
import { type Emitter, isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

type Unary = (c: Emitter, x: string, dtype: DType, args: Arguments) => string;

/** An op of one tensor in the dtype of its result. */
const unary =
  (emit: Unary): OpHandler =>
  (c, args, meta) =>
    emit(c, c.as(args.tensor("self"), meta.dtype), meta.dtype, args);

const node = (op: string): OpHandler => unary((c, x) => c.add(op, [x]));

/** Rounding leaves integers as they are. */
const rounding = (op: string): OpHandler => unary((c, x, dtype) => (isFloat(dtype) ? c.add(op, [x]) : x));

const towardsZero = (c: Emitter, x: string, dtype: DType): string =>
  isFloat(dtype)
    ? c.where(c.add("Less", [x, num(c, 0, dtype)]), c.add("Ceil", [x]), c.add("Floor", [x]), dtype)
    : x;

const num = (c: Emitter, value: number, dtype: DType): string => c.scalar(value, dtype);

const relu: Unary = (c, x, dtype) =>
  isFloat(dtype) ? c.add("Relu", [x]) : c.add("Max", [x, num(c, 0, dtype)]);

const silu: Unary = (c, x) => c.add("Mul", [x, c.add("Sigmoid", [x])]);

const softplus: Unary = (c, x, dtype, args) => {
  const beta = args.number("beta", 1);
  const threshold = args.number("threshold", 20);
  const scaled = beta === 1 ? x : c.add("Mul", [x, num(c, beta, dtype)]);
  const soft = c.add("Softplus", [scaled]);
  const value = beta === 1 ? soft : c.add("Div", [soft, num(c, beta, dtype)]);
  return c.where(c.add("Greater", [scaled, num(c, threshold, dtype)]), x, value, dtype);
};

const elu: Unary = (c, x, _, args) => {
  args.only("scale", 1);
  args.only("input_scale", 1);
  return c.add("Elu", [x], { alpha: args.number("alpha", 1) });
};

const selu: Unary = (c, x) => c.add("Selu", [x]);

const clampTo = (c: Emitter, x: string, low: string | undefined, high: string | undefined): string => {
  const raised = low === undefined ? x : c.add("Max", [x, low]);
  return high === undefined ? raised : c.add("Min", [raised, high]);
};

const clamp: OpHandler = (c, args, { dtype }) => {
  const bound = (name: string): string | undefined =>
    args.has(name) ? c.as(args.operand(name), dtype) : undefined;
  return clampTo(c, c.as(args.tensor("self"), dtype), bound("min"), bound("max"));
};

const hardtanh =
  (low: number, high: number): Unary =>
  (c, x, dtype, args) =>
    clampTo(c, x, num(c, args.number("min_val", low), dtype), num(c, args.number("max_val", high), dtype));

const hardsigmoid: Unary = (c, x) => c.add("HardSigmoid", [x], { alpha: 1 / 6, beta: 0.5 });

const gelu: OpHandler = (c, args, { dtype }) => {
  const approximate = args.text("approximate", "none");
  if (approximate !== "none" && approximate !== "tanh") throw new Unsupported(`approximate = ${approximate}`);
  return c.add("Gelu", [c.as(args.tensor("self"), dtype)], { approximate });
};

/** Two operands in the dtype of the result; `other` may be a Python number. */
type Binary = (c: Emitter, a: string, b: string, dtype: DType, args: Arguments) => string;

const binary =
  (emit: Binary, first = "self", second = "other"): OpHandler =>
  (c, args, { dtype }) =>
    emit(c, c.as(args.operand(first), dtype), c.as(args.operand(second), dtype), dtype, args);

const scaled = (c: Emitter, value: string, dtype: DType, args: Arguments): string => {
  const alpha = args.scalar("alpha", 1);
  return alpha === 1 ? value : c.add("Mul", [value, c.scalar(alpha, dtype)]);
};

const add: Binary = (c, a, b, dtype, args) => {
  if (dtype === "bool") {
    args.only("alpha", 1);
    return c.add("Or", [a, b]);
  }
  return c.add("Add", [a, scaled(c, b, dtype, args)]);
};

const sub: Binary = (c, a, b, dtype, args) => c.add("Sub", [a, scaled(c, b, dtype, args)]);
const rsub: Binary = (c, a, b, dtype, args) => c.add("Sub", [b, scaled(c, a, dtype, args)]);
const mul: Binary = (c, a, b, dtype) => c.add(dtype === "bool" ? "And" : "Mul", [a, b]);

const divTrunc: Binary = (c, a, b, dtype) => towardsZero(c, c.add("Div", [a, b]), dtype);

/** Where a remainder is not zero and has another sign than the divisor. */
function leftOver(c: Emitter, rest: string, divisor: string, zero: string): string {
  const apart = c.add("Xor", [c.add("Less", [rest, zero]), c.add("Less", [divisor, zero])]);
  return c.add("And", [c.add("Not", [c.add("Equal", [rest, zero])]), apart]);
}

/** As PyTorch's: the remainder decides, so that 1.0 // 0.1 is 9. */
const divFloor: Binary = (c, a, b, dtype) => {
  const zero = num(c, 0, dtype);
  const one = num(c, 1, dtype);
  if (!isFloat(dtype)) {
    if (dtypeInfo(dtype).kind === "uint") return c.add("Div", [a, b]);
    const q = c.add("Div", [a, b]);
    const r = c.add("Sub", [a, c.add("Mul", [q, b])]);
    return c.where(leftOver(c, r, b, zero), c.add("Sub", [q, one]), q, dtype);
  }
  const plain = c.add("Div", [a, b]);
  const r = c.add("Mod", [a, b], { fmod: 1 });
  const q = c.add("Div", [c.add("Sub", [a, r]), b]);
  const lowered = c.where(leftOver(c, r, b, zero), c.add("Sub", [q, one]), q, dtype);
  const floored = c.add("Floor", [lowered]);
  const half = c.add("Greater", [c.add("Sub", [lowered, floored]), num(c, 0.5, dtype)]);
  const whole = c.where(half, c.add("Add", [floored, one]), floored, dtype);
  return c.where(c.add("Equal", [b, zero]), plain, whole, dtype);
};

const divMode: Binary = (c, a, b, dtype, args) => {
  if (!args.has("rounding_mode")) return c.add("Div", [a, b]);
  const mode = args.text("rounding_mode");
  if (mode === "floor") return divFloor(c, a, b, dtype, args);
  if (mode === "trunc") return divTrunc(c, a, b, dtype, args);
  throw new Unsupported(`rounding_mode = ${mode}`);
};

const remainder: Binary = (c, a, b, dtype) => {
  if (!isFloat(dtype)) return c.add("Mod", [a, b]);
  const zero = num(c, 0, dtype);
  const r = c.add("Mod", [a, b], { fmod: 1 });
  return c.where(leftOver(c, r, b, zero), c.add("Add", [r, b]), r, dtype);
};

const addc =
  (op: "Mul" | "Div"): OpHandler =>
  (c, args, { dtype }) => {
    const [x, a, b] = ["self", "tensor1", "tensor2"].map((name) => c.as(args.tensor(name), dtype));
    const value = args.scalar("value", 1);
    const product = c.add(op, [a, b]);
    return c.add("Add", [x, value === 1 ? product : c.add("Mul", [c.scalar(value, dtype), product])]);
  };

const lerp: OpHandler = (c, args, { dtype }) => {
  const [a, b] = [c.as(args.tensor("self"), dtype), c.as(args.tensor("end"), dtype)];
  return c.add("Add", [a, c.add("Mul", [c.as(args.operand("weight"), dtype), c.add("Sub", [b, a])])]);
};

const prelu: OpHandler = (c, args, { dtype }) => {
  const [x, weight] = [args.tensor("self"), args.tensor("weight")];
  const channels = weight.rank === 0 ? 1 : weight.dims[0]!;
  const after = new Array<number>(Math.max(0, x.rank - 2)).fill(1);
  const dims = x.rank === 0 ? [] : channels === 1 || x.rank === 1 ? [channels] : [channels, ...after];
  return c.add("PRelu", [c.as(x, dtype), c.reshape(c.as(weight, dtype), dims)]);
};

const glu: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("self");
  const axis = args.number("dim", -1);
  const [a, b] = c.addMany("Split", [c.as(x, dtype)], { axis, num_outputs: 2 }, 2);
  return c.add("Mul", [a, c.add("Sigmoid", [b])]);
};

/** Casts to what the program says of the output. */
const cast: OpHandler = (c, args, { dtype }) => {
  args.ignore("dtype", "device", "layout", "pin_memory", "non_blocking", "copy", "memory_format", "other");
  return c.as(args.tensor("self"), dtype);
};

const same: OpHandler = (c, args, meta) => {
  args.ignore("memory_format");
  return c.as(args.tensor("self"), meta.dtype);
};

/** Dropout in evaluation. */
const dropout: OpHandler = (_, args) => {
  const probability = args.number("p", 0);
  if (args.boolean("train", false) && probability > 0) {
    throw new Unsupported("dropout in training; call model.eval() before the export");
  }
  return args.tensor(args.has("input") ? "input" : "self").value;
};

/** `self` filled from `src`, in the shape of `self`. */
const copy: OpHandler = (c, args, { dtype }) => {
  args.ignore("non_blocking");
  const self = args.tensor("self");
  return c.add("Expand", [c.as(args.tensor("src"), dtype), c.shapeOf(self)]);
};

const fill: OpHandler = (c, args, { dtype }) =>
  c.add("Expand", [c.as(args.operand("value"), dtype), c.shapeOf(args.tensor("self"))]);

const zero: OpHandler = (c, args, { dtype }) =>
  c.add("Expand", [c.scalar(0, dtype), c.shapeOf(args.tensor("self"))]);

const pow = binary((c, a, b) => c.add("Pow", [a, b]), "self", "exponent");

const round: OpHandler = (c, args, { dtype }) => {
  args.only("decimals", 0);
  const x = c.as(args.tensor("self"), dtype);
  return isFloat(dtype) ? c.add("Round", [x]) : x;
};

const UNARY: Readonly<Record<string, OpHandler>> = Object.fromEntries(
  Object.entries({
    abs: "Abs",
    neg: "Neg",
    sign: "Sign",
    sqrt: "Sqrt",
    exp: "Exp",
    log: "Log",
    sin: "Sin",
    cos: "Cos",
    tan: "Tan",
    asin: "Asin",
    acos: "Acos",
    atan: "Atan",
    sinh: "Sinh",
    cosh: "Cosh",
    asinh: "Asinh",
    acosh: "Acosh",
    atanh: "Atanh",
    tanh: "Tanh",
    erf: "Erf",
    sigmoid: "Sigmoid",
    reciprocal: "Reciprocal",
  }).map(([name, op]) => [`${name}.default`, node(op)]),
);

// biome-ignore format: a table is read by columns
export const ELEMENTWISE: OpRows = {
  ...UNARY,
  "floor.default": rounding("Floor"),
  "ceil.default": rounding("Ceil"),
  "trunc.default": unary(towardsZero),
  "fix.default": unary(towardsZero),
  "round.default": round,
  "round.decimals": round,
  "square.default": unary((c, x, dtype) => (dtype === "bool" ? x : c.add("Mul", [x, x]))),
  "rsqrt.default": unary((c, x) => c.add("Reciprocal", [c.add("Sqrt", [x])])),
  "expm1.default": unary((c, x, dtype) => c.add("Sub", [c.add("Exp", [x]), num(c, 1, dtype)])),
  "exp2.default": unary((c, x, dtype) => c.add("Pow", [num(c, 2, dtype), x])),
  "log1p.default": unary((c, x, dtype) => c.add("Log", [c.add("Add", [x, num(c, 1, dtype)])])),
  "log2.default": unary((c, x, dtype) => c.add("Div", [c.add("Log", [x]), num(c, Math.LN2, dtype)])),
  "log10.default": unary((c, x, dtype) => c.add("Div", [c.add("Log", [x]), num(c, Math.LN10, dtype)])),
  "relu.default": unary(relu),
  "relu6.default": unary((c, x, dtype) => clampTo(c, x, num(c, 0, dtype), num(c, 6, dtype))),
  "silu.default": unary(silu),
  "mish.default": unary((c, x) => c.add("Mish", [x])),
  "softplus.default": unary(softplus),
  "elu.default": unary(elu),
  "selu.default": unary(selu),
  "celu.default": unary((c, x, _, args) => c.add("Celu", [x], { alpha: args.number("alpha", 1) })),
  "leaky_relu.default": unary((c, x, _, args) => c.add("LeakyRelu", [x], { alpha: args.number("negative_slope", 0.01) })),
  "hardtanh.default": unary(hardtanh(-1, 1)),
  "hardsigmoid.default": unary(hardsigmoid),
  "hardswish.default": unary((c, x) => c.add("HardSwish", [x])),
  "softsign.default": unary((c, x) => c.add("Softsign", [x])),
  "gelu.default": gelu,
  "prelu.default": prelu,
  "_prelu_kernel.default": (c, args, { dtype }) => c.add("PRelu", [c.as(args.tensor("self"), dtype), c.as(args.tensor("weight"), dtype)]),
  "glu.default": glu,
  "clamp.default": clamp,
  "clamp.Tensor": clamp,
  "clip.default": clamp,
  "clamp_min.default": clamp,
  "clamp_min.Tensor": clamp,
  "clamp_max.default": clamp,
  "clamp_max.Tensor": clamp,
  "add.Tensor": binary(add),
  "add.Scalar": binary(add),
  "sub.Tensor": binary(sub),
  "sub.Scalar": binary(sub),
  "rsub.Tensor": binary(rsub),
  "rsub.Scalar": binary(rsub),
  "mul.Tensor": binary(mul),
  "mul.Scalar": binary(mul),
  "div.Tensor": binary((c, a, b) => c.add("Div", [a, b])),
  "div.Scalar": binary((c, a, b) => c.add("Div", [a, b])),
  "div.Tensor_mode": binary(divMode),
  "div.Scalar_mode": binary(divMode),
  "floor_divide.default": binary(divFloor),
  "floor_divide.Scalar": binary(divFloor),
  "remainder.Tensor": binary(remainder),
  "remainder.Scalar": binary(remainder),
  "fmod.Tensor": binary((c, a, b) => c.add("Mod", [a, b], { fmod: 1 })),
  "fmod.Scalar": binary((c, a, b) => c.add("Mod", [a, b], { fmod: 1 })),
  "pow.Tensor_Scalar": pow,
  "pow.Tensor_Tensor": pow,
  "pow.Scalar": pow,
  "maximum.default": binary((c, a, b, dtype) => c.add(dtype === "bool" ? "Or" : "Max", [a, b])),
  "minimum.default": binary((c, a, b, dtype) => c.add(dtype === "bool" ? "And" : "Min", [a, b])),
  "max.other": binary((c, a, b, dtype) => c.add(dtype === "bool" ? "Or" : "Max", [a, b])),
  "min.other": binary((c, a, b, dtype) => c.add(dtype === "bool" ? "And" : "Min", [a, b])),
  "addcmul.default": addc("Mul"),
  "addcdiv.default": addc("Div"),
  "lerp.Scalar": lerp,
  "lerp.Tensor": lerp,
  "to.dtype": cast,
  "to.dtype_layout": cast,
  "to.device": cast,
  "to.other": cast,
  "_to_copy.default": cast,
  "type_as.default": cast,
  "float.default": cast,
  "contiguous.default": same,
  "clone.default": same,
  "alias.default": same,
  "detach.default": same,
  "lift_fresh_copy.default": same,
  "lift_fresh.default": same,
  "dropout.default": dropout,
  "feature_dropout.default": dropout,
  "alpha_dropout.default": dropout,
  "native_dropout.default": dropout,
  "copy.default": copy,
  "fill.Scalar": fill,
  "fill.Tensor": fill,
  "zero.default": zero,
};
