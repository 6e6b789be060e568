/** Products: linear layers, matrix products, attention. */
import type { Scalar, TensorValue } from "./arguments.js";
import { type Emitter, isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const linear: OpHandler = (c, args, { dtype }) => {
  const [x, weight, bias] = [args.tensor("input"), args.tensor("weight"), args.optionalTensor("bias")];
  if (weight.dims.includes(0)) throw new Unsupported("a weight without elements");
  if (x.rank === 2 && weight.rank === 2 && bias?.rank === 1 && isFloat(dtype)) {
    return c.add("Gemm", [x.value, weight.value, bias.value], { transB: 1 });
  }
  const turned = weight.rank === 2 ? c.transpose(weight.value, [1, 0]) : weight.value;
  const product = c.add("MatMul", [x.value, turned]);
  return bias === undefined ? product : c.add("Add", [product, bias.value]);
};

const product =
  (first: string, second: string): OpHandler =>
  (c, args) =>
    c.add("MatMul", [args.tensor(first).value, args.tensor(second).value]);

const times = (c: Emitter, value: string, factor: Scalar, dtype: TensorValue["dtype"]): string =>
  factor === 1 ? value : c.add("Mul", [value, c.scalar(factor, dtype)]);

/** beta · self + alpha · (a × b); with beta 0 nothing of self counts, not even NaN. */
const addProduct =
  (first: string, second: string): OpHandler =>
  (c, args, { dtype }) => {
    const [beta, alpha] = [args.scalar("beta", 1), args.scalar("alpha", 1)];
    const self = args.tensor("self");
    const value = times(
      c,
      c.add("MatMul", [args.tensor(first).value, args.tensor(second).value]),
      alpha,
      dtype,
    );
    return beta === 0 ? value : c.add("Add", [times(c, self.value, beta, dtype), value]);
  };

/** beta · self + alpha · the sum of the products of a batch. */
const addSummed: OpHandler = (c, args, { dtype }) => {
  const [beta, alpha] = [args.scalar("beta", 1), args.scalar("alpha", 1)];
  const self = args.tensor("self");
  const products = c.add("MatMul", [args.tensor("batch1").value, args.tensor("batch2").value]);
  const value = times(c, c.add("ReduceSum", [products, c.ints([0])], { keepdims: 0 }), alpha, dtype);
  return beta === 0 ? value : c.add("Add", [times(c, self.value, beta, dtype), value]);
};

const einsum: OpHandler = (c, args, { dtype }) => {
  args.ignore("path");
  const equation = args.text("equation").replaceAll(" ", "");
  const [from = "", to] = equation.split("->");
  if (from.includes("...") && to?.includes("...") === false) throw new Unsupported("a sum over an ellipsis");
  return c.add(
    "Einsum",
    args.tensors("tensors").map((x) => c.as(x, dtype)),
    { equation },
  );
};

const outer: OpHandler = (c, args, { dtype }) => {
  const [a, b] = [args.tensor("self"), args.tensor(args.has("vec2") ? "vec2" : "other")];
  return c.add("Mul", [c.unsqueeze(c.as(a, dtype), 1), c.as(b, dtype)]);
};

/** Scaled dot-product attention, evaluated as PyTorch's reference does. */
const attention: OpHandler = (c, args, { dtype }) => {
  const [q, k, v] = [args.tensor("query"), args.tensor("key"), args.tensor("value")];
  args.only("dropout_p", 0);
  const causal = args.boolean("is_causal", false);
  const grouped = args.boolean("enable_gqa", false);
  const mask = args.optionalTensor("attn_mask");
  if (mask !== undefined && causal) throw new Unsupported("attn_mask beside is_causal");
  if (q.rank < 2 || q.rank !== k.rank || k.rank !== v.rank)
    throw new Unsupported("operands of different rank");
  const width = q.dims.at(-1);
  let scale = args.has("scale") ? args.number("scale") : undefined;
  if (scale === undefined) {
    if (typeof width !== "number") throw new Unsupported("a free head size");
    scale = 1 / Math.sqrt(width);
  }
  const heads = (x: TensorValue): string => {
    const [have, want] = [x.dims.at(-3), q.dims.at(-3)];
    if (!grouped || have === want) return x.value;
    if (typeof have !== "number" || typeof want !== "number" || q.rank !== 4) {
      throw new Unsupported("enable_gqa with free heads");
    }
    const [n, h, s, d] = c.dims(x);
    const repeated = c.add("Expand", [c.unsqueeze(x.value, 2), c.shape([n!, h!, want / have, s!, d!])]);
    return c.reshape(repeated, [n!, want, s!, d!]);
  };
  const perm = k.dims.map((_, axis) => axis);
  perm.push(...(perm.splice(-2).reverse() as [number, number]));
  const scaledQ = c.add("Mul", [q.value, c.scalar(scale, dtype)]);
  let scores = c.add("MatMul", [scaledQ, c.transpose(heads(k), perm)]);
  const lowest = c.scalar(Number.NEGATIVE_INFINITY, dtype);
  let blank = false;
  if (causal) {
    const ones = c.add("Expand", [lowest, c.shape([c.dim(q, q.rank - 2), c.dim(k, k.rank - 2)])]);
    scores = c.add("Add", [scores, c.add("Trilu", [ones, c.int(1)], { upper: 1 })]);
  } else if (mask?.dtype === "bool") {
    const bias = c.add("Where", [mask.value, c.scalar(0, dtype), lowest]);
    scores = c.add("Add", [scores, bias]);
    blank = true;
  } else if (mask !== undefined) {
    scores = c.add("Add", [scores, c.as(mask, dtype)]);
  }
  let weights = c.add("Softmax", [scores], { axis: -1 });
  // A row in which nothing may be seen attends to nothing.
  if (blank) weights = c.add("Where", [c.add("IsNaN", [weights]), c.scalar(0, dtype), weights]);
  return c.add("MatMul", [weights, heads(v)]);
};

export const LINEAR: OpRows = {
  "linear.default": linear,
  "matmul.default": product("self", "other"),
  "mm.default": product("self", "mat2"),
  "bmm.default": product("self", "mat2"),
  "mv.default": product("self", "vec"),
  "dot.default": product("self", "tensor"),
  "addmm.default": addProduct("mat1", "mat2"),
  "addmv.default": addProduct("mat", "vec"),
  "baddbmm.default": addProduct("batch1", "batch2"),
  "addbmm.default": addSummed,
  "einsum.default": einsum,
  "outer.default": outer,
  "scaled_dot_product_attention.default": attention,
};
