/** Comparisons, logic, and choices by a condition. */
import { type DType, dtypeInfo } from "../../tensor/index.js";
import type { Scalar, TensorValue } from "./arguments.js";
import { type Emitter, isFloat, isTensorValue } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const CATEGORY = { bool: 0, uint: 1, int: 1, float: 2, complex: 3, string: 4 } as const;

/** The dtype in which PyTorch compares two operands. */
function comparedAs(a: TensorValue | Scalar, b: TensorValue | Scalar): DType {
  if (!isTensorValue(a) || !isTensorValue(b)) {
    const [tensor, scalar] = isTensorValue(a) ? [a, b] : [b as TensorValue, a];
    const { kind } = dtypeInfo(tensor.dtype);
    if (typeof scalar === "number" && kind !== "float") return "float32";
    if (typeof scalar !== "boolean" && kind === "bool") return "int64";
    return tensor.dtype;
  }
  if (a.dtype === b.dtype) return a.dtype;
  const [ofA, ofB] = [dtypeInfo(a.dtype), dtypeInfo(b.dtype)];
  const [ca, cb] = [CATEGORY[ofA.kind], CATEGORY[ofB.kind]];
  if (ca !== cb) return ca > cb ? a.dtype : b.dtype;
  if (a.rank > 0 !== b.rank > 0) return a.rank > 0 ? a.dtype : b.dtype;
  if (ofA.bits !== ofB.bits && ofA.kind === ofB.kind) return ofA.bits > ofB.bits ? a.dtype : b.dtype;
  if (a.dtype === "uint8") return b.dtype;
  if (b.dtype === "uint8") return a.dtype;
  // float16 beside bfloat16.
  if (ca === CATEGORY.float) return "float32";
  throw new Unsupported(`${a.dtype} compared with ${b.dtype}`);
}

/** Ordering of bools and of small integers is not in the runtime; int32 holds them all. */
const ORDERED: ReadonlySet<DType> = new Set(["float64", "float32", "float16", "int64", "int32"]);

/** A Python float beside an integer tensor is written as float; integers that come as floats stay integers. */
function compare(op: string, negated = false): OpHandler {
  return (c, args) => {
    const [a, b] = [args.operand("self"), args.operand("other")];
    let dtype = comparedAs(a, b);
    const scalar = isTensorValue(b) ? a : b;
    if (dtype === "float32" && typeof scalar === "number" && Number.isInteger(scalar)) {
      const tensor = isTensorValue(a) ? a : (b as TensorValue);
      if (!isFloat(tensor.dtype)) dtype = tensor.dtype === "bool" ? "int64" : tensor.dtype;
    }
    if (!ORDERED.has(dtype) && !(op === "Equal" && dtype === "bool")) {
      if (dtypeInfo(dtype).bits > 16) throw new Unsupported(`comparison of ${dtype}`);
      dtype = isFloat(dtype) ? "float32" : "int32";
    }
    const result = c.add(op, [c.as(a, dtype), c.as(b, dtype)]);
    return negated ? c.add("Not", [result]) : result;
  };
}

/** `x ≠ 0`. */
export function truth(c: Emitter, x: TensorValue): string {
  return x.dtype === "bool" ? x.value : c.cast(x.value, x.dtype, "bool");
}

const logical =
  (op: string): OpHandler =>
  (c, args) =>
    c.add(op, [truth(c, args.tensor("self")), truth(c, args.tensor("other"))]);

const bitwise =
  (onBools: string, onIntegers: string): OpHandler =>
  (c, args, { dtype }) => {
    const operands = [c.as(args.operand("self"), dtype), c.as(args.operand("other"), dtype)];
    return c.add(dtype === "bool" ? onBools : onIntegers, operands);
  };

const test =
  (op: "IsNaN" | "IsInf"): OpHandler =>
  (c, args) => {
    const x = args.tensor("self");
    return c.add(op, [isFloat(x.dtype) ? x.value : c.cast(x.value, x.dtype, "float32")]);
  };

const where: OpHandler = (c, args, { dtype }) => {
  const condition = truth(c, args.tensor("condition"));
  return c.where(condition, c.as(args.operand("self"), dtype), c.as(args.operand("other"), dtype), dtype);
};

const maskedFill: OpHandler = (c, args, { dtype }) => {
  const value = c.as(args.operand("value"), dtype);
  return c.where(truth(c, args.tensor("mask")), value, c.as(args.tensor("self"), dtype), dtype);
};

// biome-ignore format: a table is read by columns
export const COMPARISON: OpRows = {
  "logical_not.default": (c, args) => c.add("Not", [truth(c, args.tensor("self"))]),
  "eq.Tensor": compare("Equal"),
  "eq.Scalar": compare("Equal"),
  "ne.Tensor": compare("Equal", true),
  "ne.Scalar": compare("Equal", true),
  "lt.Tensor": compare("Less"),
  "lt.Scalar": compare("Less"),
  "le.Tensor": compare("LessOrEqual"),
  "le.Scalar": compare("LessOrEqual"),
  "gt.Tensor": compare("Greater"),
  "gt.Scalar": compare("Greater"),
  "ge.Tensor": compare("GreaterOrEqual"),
  "ge.Scalar": compare("GreaterOrEqual"),
  "logical_and.default": logical("And"),
  "logical_or.default": logical("Or"),
  "logical_xor.default": logical("Xor"),
  "bitwise_and.Tensor": bitwise("And", "BitwiseAnd"),
  "bitwise_and.Scalar": bitwise("And", "BitwiseAnd"),
  "bitwise_or.Tensor": bitwise("Or", "BitwiseOr"),
  "bitwise_or.Scalar": bitwise("Or", "BitwiseOr"),
  "bitwise_xor.Tensor": bitwise("Xor", "BitwiseXor"),
  "__and__.Tensor": bitwise("And", "BitwiseAnd"),
  "__or__.Tensor": bitwise("Or", "BitwiseOr"),
  "__xor__.Tensor": bitwise("Xor", "BitwiseXor"),
  "bitwise_not.default": (c, args, { dtype }) => c.add(dtype === "bool" ? "Not" : "BitwiseNot", [args.tensor("self").value]),
  "isnan.default": test("IsNaN"),
  "isinf.default": test("IsInf"),
  "where.self": where,
  "where.ScalarOther": where,
  "where.ScalarSelf": where,
  "where.Scalar": where,
  "masked_fill.Scalar": maskedFill,
  "masked_fill.Tensor": maskedFill,
};
