/** Tensors of nothing, and dtypes by the names of configurations. */
import {
  allocateStorage,
  type DType,
  dtypeFromOip,
  StringStorage,
  type Tensor,
  tensorFromStorage,
} from "../../tensor/index.js";

/** A tensor of zeros, or of empty strings; what is open in `dims` is 1. */
export function zeros(dtype: DType, dims: readonly number[]): Tensor {
  const shape = dims.map((dim) => (dim === -1 ? 1 : dim));
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (dtype === "string") {
    return tensorFromStorage(dtype, shape, StringStorage.fromStrings(new Array<string>(size).fill("")));
  }
  return tensorFromStorage(dtype, shape, allocateStorage(dtype, size) as never); // made for this dtype
}

/** `TYPE_FP32` as a dtype. */
export function dtypeOfType(type: string | number): DType | undefined {
  const name = String(type).replace(/^TYPE_/, "");
  return dtypeFromOip(name === "STRING" ? "BYTES" : name);
}
