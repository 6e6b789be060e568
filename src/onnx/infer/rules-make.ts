/** Inference rules of ops that make values: constants, ranges, random numbers, windows, shapes. */
import { DTYPES, type DType, dtypeInfo, isDType } from "../../tensor/core.js";
import type { Dim } from "../graph.js";
import { type Rule, shaped, unknownDims } from "./call.js";
import { addDims } from "./dim.js";
import { dtypeOfCode } from "./rules-elementwise.js";

/** Shape: as many elements as the slice of the rank that `start` and `end` name. */
export const shapeOf: Rule = (call) => {
  const rank = call.rank(0);
  if (rank === undefined) return shaped([null]);
  const [start, end] = shapeSlice(rank, call.int("start", 0), call.int("end"));
  return shaped([Math.max(0, end - start)]);
};

export function shapeSlice(rank: number, start: number, end: number | undefined): [number, number] {
  const cut = (value: number): number => Math.min(Math.max(value < 0 ? value + rank : value, 0), rank);
  return [cut(start), cut(end ?? rank)];
}

/** Ops that give one value: Size, SequenceLength, OptionalHasElement. */
export const scalar: Rule = () => shaped([]);

export const constant: Rule = (call) => {
  const tensor = call.attr("value", "tensor");
  if (tensor !== undefined) return [{ shape: tensor.dims, dtype: tensor.dtype }];
  const sparse = call.attr("sparse_value", "sparse");
  if (sparse !== undefined) {
    return [{ type: { kind: "tensor", dtype: sparse.values.dtype, shape: sparse.dims } }];
  }
  if (call.attr("value_float", "float") !== undefined) return [{ shape: [], dtype: "float32" }];
  if (call.attr("value_int", "int") !== undefined) return [{ shape: [], dtype: "int64" }];
  if (call.attr("value_string", "string") !== undefined) return [{ shape: [], dtype: "string" }];
  const floats = call.attr("value_floats", "floats");
  if (floats !== undefined) return [{ shape: [floats.length], dtype: "float32" }];
  const ints = call.attr("value_ints", "ints");
  if (ints !== undefined) return [{ shape: [ints.length], dtype: "int64" }];
  const strings = call.attr("value_strings", "strings");
  return strings === undefined ? [] : [{ shape: [strings.length], dtype: "string" }];
};

export const constantOfShape: Rule = (call) => {
  const dtype = call.attr("value", "tensor")?.dtype ?? "float32";
  const target = call.items(0);
  if (target !== undefined) return [{ shape: target, dtype }];
  const rank = call.shape(0)?.[0];
  return [{ shape: typeof rank === "number" ? unknownDims(rank) : undefined, dtype }];
};

/** Range: ⌈(limit − start) / delta⌉ elements. */
export const range: Rule = (call) => {
  const [start, limit, delta] = [0, 1, 2].map((i): Dim => call.items(i)?.[0] ?? null);
  if (delta === 1) {
    const length = addDims(limit!, start!, -1);
    // A symbol's range is empty when its limit lies before its start, which is then no size.
    if (typeof length !== "number") return shaped([start === 0 ? length : null]);
  }
  if (typeof start !== "number" || typeof limit !== "number" || typeof delta !== "number" || delta === 0) {
    return shaped([null]);
  }
  return shaped([Math.max(0, Math.ceil((limit - start) / delta))]);
};

/** RandomNormal, RandomUniform: shape and dtype are attributes. */
export const random: Rule = (call) => [
  { shape: call.ints("shape"), dtype: dtypeOfCode(call.int("dtype", DTYPES.float32.onnx)) },
];

/** HannWindow and its kin: one value for each of `size`. */
export const windowFunction: Rule = (call) => [
  {
    shape: [call.items(0)?.[0] ?? null],
    dtype: dtypeOfCode(call.int("output_datatype", DTYPES.float32.onnx)),
  },
];

/** MelWeightMatrix: `[dft_length / 2 + 1, num_mel_bins]`. */
export const melWeights: Rule = (call) => {
  const bins = call.items(0)?.[0] ?? null;
  const length = call.numbers(1)?.[0];
  return [
    {
      shape: [length === undefined ? null : Math.floor(length / 2) + 1, bins],
      dtype: dtypeOfCode(call.int("output_datatype", DTYPES.float32.onnx)),
    },
  ];
};

const BY_SHORT = new Map(
  Object.keys(DTYPES).flatMap((name) => (isDType(name) ? [[dtypeInfo(name).short, name] as const] : [])),
);

/** The dtype of a short name (`f32`) of the op table. */
export function dtypeOfShort(short: string): DType | undefined {
  return BY_SHORT.get(short);
}
