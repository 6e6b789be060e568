/** What a model takes and gives: names, dtypes and declared dims, as ONNX Runtime reports them. */
import type { DType } from "../tensor/index.js";

/** A declared dimension: fixed, a symbol (equal symbols are equal sizes), or null when anonymous. */
export type SignatureDim = number | string | null;

export interface ValueSignature {
  readonly name: string;
  readonly dtype: DType;
  /** undefined: the model does not declare the rank. */
  readonly dims: readonly SignatureDim[] | undefined;
  /** Class labels by column, where the model's last node was a ZipMap that was removed at load. */
  readonly labels?: readonly (string | bigint)[];
}

export interface Signature {
  readonly inputs: readonly ValueSignature[];
  readonly outputs: readonly ValueSignature[];
}
