/** Operands and outputs of arithmetic: scalars take the tensors' dtype, dtypes never mix, `into` is checked. */
import { TenonError } from "../../base/index.js";
import { copyDense } from "../copy.js";
import type { DType, NumericArray } from "../dtype.js";
import { writeElement } from "../element.js";
import { broadcastShapes, denseLayout } from "../layout.js";
import { tensor, zeros } from "../make.js";
import type { Storage } from "../storage.js";
import { Tensor } from "../tensor.js";

/** A JavaScript value in place of a tensor: it takes the dtype of the tensor beside it. */
export type Scalar = number | bigint | boolean;

/** Where the result goes. */
export interface Into<D extends DType = DType> {
  /**
   * An existing tensor of the result's dtype and shape that takes the result and is returned; any view without
   * repeated elements. It may be one of the operands. Default: a new dense tensor.
   */
  readonly into?: Tensor<D> | undefined;
}

/** Operands as tensors of one dtype. Throws TENSOR_DTYPE when they differ, TENSOR_VALUE for a scalar that does not fit. */
export function sameDType(op: string, ...operands: readonly (Tensor | Scalar)[]): Tensor[] {
  const first = operands.find((operand) => operand instanceof Tensor);
  if (first === undefined) {
    return operands.map((operand) => (operand instanceof Tensor ? operand : tensor(operand)));
  }
  return operands.map((operand) => {
    if (!(operand instanceof Tensor)) return scalarOf(first.dtype, operand);
    if (operand.dtype === first.dtype) return operand;
    throw new TenonError("TENSOR_DTYPE", {
      problem: `${op} takes one dtype`,
      given: `${first.dtype} and ${operand.dtype}`,
      do: `cast one of them: cast(x, "${first.dtype}")`,
    });
  });
}

function scalarOf(dtype: DType, value: Scalar): Tensor {
  const made = zeros(dtype, []);
  writeElement(dtype, made.storage as NumericArray, 0, value);
  return made;
}

/** The shape that operands broadcast to. */
export function commonShape(operands: readonly Tensor[]): readonly number[] {
  const first = operands[0]!.shape;
  const same = operands.every(
    ({ shape }) => shape.length === first.length && shape.every((dim, axis) => dim === first[axis]),
  );
  return same ? first : broadcastShapes(...operands.map((operand) => operand.shape));
}

/** The tensor that takes a result: `into` after a check, or a new one. */
export function resultTensor<D extends DType>(
  dtype: D,
  shape: readonly number[],
  into: Tensor<D> | undefined,
): Tensor<D> {
  if (into === undefined) return zeros(dtype, shape);
  if (into.dtype !== dtype) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "into has another dtype",
      given: into.dtype,
      expected: dtype,
    });
  }
  if (into.rank !== shape.length || into.shape.some((dim, axis) => dim !== shape[axis])) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "into has another shape",
      given: `[${into.shape.join(", ")}]`,
      expected: `[${shape.join(", ")}]`,
    });
  }
  if (into.strides.some((stride, axis) => stride === 0 && into.shape[axis]! > 1)) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "into is a broadcast view, whose elements share their places",
    });
  }
  return into;
}

/** Throws TENSOR_DTYPE for an `into` where the result is a string tensor: string storage does not change. */
export function noStringInto(into: Tensor | undefined): void {
  if (into === undefined) return;
  throw new TenonError("TENSOR_DTYPE", {
    problem: "a string tensor cannot take a result: string storage does not change",
    do: "leave into out",
  });
}

/**
 * The operand itself, or a dense copy of it when writing `out` element by element would change elements that are still
 * to be read: when the two overlap in memory without being the same view.
 */
export function safeToRead<D extends DType>(operand: Tensor<D>, out: Tensor): Tensor<D> {
  const from = operand.storage as unknown as NumericArray;
  const to = out.storage as unknown as NumericArray;
  if (from.buffer !== to.buffer || operand.dtype === "string") return operand;
  const [fromLow, fromHigh] = extent(operand, from);
  const [toLow, toHigh] = extent(out, to);
  if (fromHigh <= toLow || toHigh <= fromLow) return operand;
  const same =
    fromLow === toLow &&
    operand.dtype === out.dtype &&
    operand.offset === out.offset &&
    operand.rank === out.rank &&
    operand.shape.every((dim, axis) => dim === out.shape[axis]) &&
    operand.strides.every((stride, axis) => stride === out.strides[axis]);
  if (same) return operand;
  return new Tensor(operand.dtype, copyDense(operand) as Storage<D>, denseLayout(operand.shape));
}

/** First byte that a view touches and the one after its last, in its buffer. */
function extent(view: Tensor, storage: NumericArray): [low: number, high: number] {
  let low = view.offset;
  let high = view.offset;
  view.shape.forEach((dim, axis) => {
    const reach = Math.max(dim - 1, 0) * view.strides[axis]!;
    if (reach < 0) low += reach;
    else high += reach;
  });
  const entries = view.dtype === "complex64" || view.dtype === "complex128" ? 2 : 1;
  const width = storage.BYTES_PER_ELEMENT * entries;
  return [storage.byteOffset + low * width, storage.byteOffset + (high + 1) * width];
}
