/** What every reader of this layer gives: tensors by name, unread, and what the file says beside them. */
import type { TensorRef } from "./tensor-ref.js";

/** The kinds of files that hold weights. */
export type WeightsFormat =
  | "safetensors"
  | "torch-zip"
  | "torch-legacy"
  | "torchscript"
  | "exported-program"
  | "sharded";

export interface Weights {
  readonly format: WeightsFormat;
  /** In the file's order. Tied weights share a storage, and may be one view under several names. */
  readonly tensors: ReadonlyMap<string, TensorRef>;
  /** What the file holds beside tensors, as texts (`epoch`: `3`). */
  readonly metadata: ReadonlyMap<string, string>;
}
