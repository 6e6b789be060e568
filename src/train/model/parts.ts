/** What a trainable model is made of, and where its values are. */
import type { Dim, OnnxModel } from "../../onnx/index.js";
import type { DType } from "../../tensor/index.js";

/** Declared type of a batch's entry that the model does not take. */
export interface Label {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** What a model is made of. */
export interface ModelParts {
  /** The graph as it infers: default opset 20 or above, no local functions. */
  readonly onnx: OnnxModel;
  /** Constants (float32) that training changes. */
  readonly trainable: readonly string[];
  /** Values of Dropout and BatchNormalization nodes that training runs in training mode. */
  readonly modal: readonly string[];
  /** Values through which no gradient flows. */
  readonly stopped: readonly string[];
  readonly mixesRows: boolean;
  readonly labels: ReadonlyMap<string, Label>;
  /** Low-rank changes, and the model without them. */
  readonly lora?: { readonly changes: readonly LoraChange[]; readonly plain: OnnxModel };
}

/** A low-rank change of one weight. */
export interface LoraChange {
  readonly weight: string;
  /** Constants [in, rank] and [rank, out]. */
  readonly a: string;
  readonly b: string;
  readonly rank: number;
  readonly alpha: number;
  /** alpha / rank. */
  readonly scale: number;
  /** The weight lies as [out, in]. */
  readonly transposed: boolean;
}

/** A model's constants and their values now. */
export interface WeightStore {
  readonly parts: ModelParts;
  shapeOf(name: string): readonly number[];
  values(name: string): Float32Array;
  moveInto(name: string, memory: Float32Array): void;
  setValues(name: string, values: Float32Array): void;
  toOnnx(values?: ReadonlyMap<string, Float32Array>): OnnxModel;
}
