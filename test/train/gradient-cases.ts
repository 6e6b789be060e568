/** Nodes whose gradients are held against differences: one row per op and form. */
import type { AttrInput } from "tenon/onnx";
import type { DType } from "tenon/tensor";

/** How an input's elements are drawn: away from kinks, positive, inside (−1, 1), all different, whole numbers. */
export type Draw = "any" | "positive" | "inside" | "apart" | "above1" | readonly number[];

export interface CaseInput {
  readonly shape: readonly number[];
  readonly draw?: Draw;
  /** Default: the case's float dtype. */
  readonly dtype?: DType;
  readonly constant?: true;
}

export interface Case {
  readonly op: string;
  readonly inputs: readonly (CaseInput | readonly number[] | null)[];
  readonly attrs?: Readonly<Record<string, AttrInput>>;
  readonly outputs?: number;
  /** Outputs that the loss uses; default all. */
  readonly used?: number;
  /** Linear in each input: differences are exact at any width, so float32 is enough. */
  readonly linear?: boolean;
  /** No float64 kernel, and not linear: rough differences in float32. PyTorch tells the digits. */
  readonly rough?: boolean;
  readonly opset?: number;
  /** The output's shape, where it follows from values. */
  readonly shape?: readonly number[];
  readonly domain?: string;
  /** No second derivative is taken (the rule writes an op whose gradient is refused or has no kernel). */
  readonly once?: boolean;
}

const x = (shape: readonly number[], draw: Draw = "any"): CaseInput => ({ shape, draw });
const ints = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  shape,
  draw: values,
  dtype: "int64",
  constant: true,
});
const bools = (values: readonly number[], shape: readonly number[]): CaseInput => ({
  shape,
  draw: values,
  dtype: "bool",
  constant: true,
});
const fixed = (values: readonly number[], dtype: DType = "float32"): CaseInput => ({
  shape: [values.length],
  draw: values,
  dtype,
  constant: true,
});

/** Numbers between −0.8 and 2.8, none near a whole one. */
const between = (shape: readonly number[]): CaseInput => ({
  shape,
  draw: Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    (_, i) => ((i * 7919) % 97) / 160 + 0.2 + ((i % 4) - 1),
  ),
});
const int0 = (value: number): CaseInput => ({ shape: [], draw: [value], dtype: "int64", constant: true });
const fixedOf = (values: readonly number[], shape: readonly number[]): CaseInput => ({
  shape,
  draw: values,
  dtype: "float32",
  constant: true,
});

const ROUGH = new Set(
  "Softsign Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Elu Selu Celu Erf Gelu Softplus LeakyRelu Mish HardSwish HardSigmoid ThresholdedRelu Shrink".split(
    " ",
  ),
);

const UNARY: readonly (readonly [string, Draw?, Case["attrs"]?])[] = [
  ["Neg"],
  ["Identity"],
  ["Abs", "apart"],
  ["Sqrt", "positive"],
  ["Exp"],
  ["Log", "positive"],
  ["Reciprocal", "positive"],
  ["Tanh"],
  ["Sigmoid"],
  ["Softsign", "apart"],
  ["Sin"],
  ["Cos"],
  ["Tan", "inside"],
  ["Asin", "inside"],
  ["Acos", "inside"],
  ["Atan"],
  ["Sinh"],
  ["Cosh"],
  ["Asinh"],
  ["Acosh", "above1"],
  ["Atanh", "inside"],
  ["Relu", "apart"],
  ["Elu", "apart", { alpha: 1.3 }],
  ["Selu", "apart"],
  ["Celu", "apart", { alpha: 0.7 }],
  ["Erf"],
  ["Gelu"],
  ["Gelu", "any", { approximate: "tanh" }],
  ["Softplus"],
  ["LeakyRelu", "apart", { alpha: 0.26 }],
  ["ThresholdedRelu", "apart", { alpha: 0.26 }],
  ["Shrink", "apart", { lambd: 0.26, bias: 0.1 }],
  ["HardSigmoid", "apart", { alpha: 0.9 }],
  ["HardSwish", "apart"],
  ["Mish"],
  ["Softmax", "any", { axis: 1 }],
  ["LogSoftmax", "any", { axis: -1 }],
];

const ELEMENTWISE: Case[] = UNARY.map(([op, draw = "any", attrs]) => ({
  op,
  inputs: [x([2, 3], draw)],
  ...(ROUGH.has(op) ? { rough: true } : {}),
  ...(attrs === undefined ? {} : { attrs }),
}));

/** Broadcasting forms of two operands. */
const PAIRS: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [[2, 3], []],
  [[1], [2, 3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [
    [1, 3],
    [2, 1],
  ],
];

const BINARY: Case[] = (["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min"] as const).flatMap((op) =>
  PAIRS.map(
    ([a, b]): Case => ({
      op,
      inputs: [x(a, op === "Pow" ? "positive" : "apart"), x(b, op === "Div" ? "positive" : "apart")],
    }),
  ),
);

const POWERS: Case[] = [2, 0.5, -1, 3, 1].map((power) => ({
  op: "Pow",
  inputs: [x([2, 3], "positive"), { shape: [], draw: [power], constant: true }],
}));

const REDUCTIONS: Case[] = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceLogSum",
  "ReduceLogSumExp",
].flatMap((op): Case[] => {
  const draw: Draw = op === "ReduceLogSum" ? "positive" : "apart";
  return [
    { op, inputs: [x([2, 3, 2], draw), ints([1])], attrs: { keepdims: 0 } },
    { op, inputs: [x([2, 3, 2], draw), ints([-1, 0])], attrs: { keepdims: 1 } },
    { op, inputs: [x([2, 3], draw)], attrs: { keepdims: 0 } },
  ];
});

const PRODUCTS: Case[] = [
  { op: "MatMul", inputs: [x([2, 3]), x([3, 4])] },
  { op: "MatMul", inputs: [x([3]), x([3])] },
  { op: "MatMul", inputs: [x([3]), x([3, 4])] },
  { op: "MatMul", inputs: [x([2, 3]), x([3])] },
  { op: "MatMul", inputs: [x([3]), x([2, 3, 4])] },
  { op: "MatMul", inputs: [x([2, 4, 3]), x([3])] },
  { op: "MatMul", inputs: [x([2, 5, 3]), x([3, 4])] },
  { op: "MatMul", inputs: [x([2, 5, 3]), x([2, 3, 4])] },
  { op: "MatMul", inputs: [x([2, 1, 5, 3]), x([4, 3, 2])] },
  { op: "MatMul", inputs: [x([5, 3]), x([2, 3, 4])] },
  ...[0, 1].flatMap((transA) =>
    [0, 1].map(
      (transB): Case => ({
        op: "Gemm",
        inputs: [x(transA ? [3, 2] : [2, 3]), x(transB ? [4, 3] : [3, 4]), x([4])],
        attrs: { transA, transB, alpha: 0.5, beta: 1.5 },
      }),
    ),
  ),
  { op: "Gemm", inputs: [x([2, 3]), x([3, 4]), x([2, 1])] },
  { op: "Gemm", inputs: [x([2, 3]), x([3, 4])] },
  { op: "Einsum", inputs: [x([2, 3, 4]), x([2, 4, 5])], attrs: { equation: "bij,bjk->bik" } },
  { op: "Einsum", inputs: [x([2, 3]), x([4, 3])], attrs: { equation: "ij,kj" } },
  { op: "Einsum", inputs: [x([2, 3, 4])], attrs: { equation: "ijk->ik" } },
  { op: "Einsum", inputs: [x([2, 3]), x([3]), x([2])], attrs: { equation: "ij,j,i->" } },
  { op: "Einsum", inputs: [x([2, 2, 3, 4]), x([2, 2, 4, 3])], attrs: { equation: "...ij,...jk->...ik" } },
];

const LAYOUT: Case[] = [
  { op: "Reshape", inputs: [x([2, 6]), ints([3, -1])] },
  { op: "Flatten", inputs: [x([2, 3, 2])], attrs: { axis: 2 } },
  { op: "Squeeze", inputs: [x([2, 1, 3]), ints([1])] },
  { op: "Unsqueeze", inputs: [x([2, 3]), ints([0, 3])] },
  { op: "Transpose", inputs: [x([2, 3, 4])], attrs: { perm: [2, 0, 1] } },
  { op: "Transpose", inputs: [x([2, 3])] },
  { op: "Expand", inputs: [x([3, 1]), ints([2, 3, 4])] },
  { op: "Concat", inputs: [x([2, 3]), x([2, 1]), x([2, 2])], attrs: { axis: -1 } },
  { op: "Split", inputs: [x([2, 5]), ints([2, 3])], attrs: { axis: 1 }, outputs: 2 },
  { op: "Slice", inputs: [x([4, 5]), ints([1, -3]), ints([3, 100]), ints([0, 1])] },
  { op: "Slice", inputs: [x([4, 5]), ints([-1]), ints([-100]), ints([1]), ints([-2])] },
  { op: "Slice", inputs: [x([4, 5]), ints([0]), ints([4]), ints([-2]), ints([3])] },
  { op: "Pad", inputs: [x([2, 3]), ints([1, 0, 0, 2]), x([], "any")] },
  { op: "Pad", inputs: [x([3, 4]), ints([-1, 1, 1, -2])] },
  { op: "Pad", inputs: [x([3, 4]), ints([1, 2]), null, ints([1])] },
  { op: "Pad", inputs: [x([3, 4]), ints([1, 2, 0, 1])], attrs: { mode: "reflect" } },
  { op: "Pad", inputs: [x([3, 4]), ints([1, 2, 0, 1])], attrs: { mode: "edge" } },
  { op: "Pad", inputs: [x([3, 4]), ints([1, 2, 0, 1])], attrs: { mode: "wrap" } },
  { op: "Gather", inputs: [x([4, 3]), ints([0, 2, 2, -1])] },
  { op: "Gather", inputs: [x([4, 3]), ints([0, 2, 1, 1], [2, 2])], attrs: { axis: 1 } },
  { op: "Gather", inputs: [x([4, 3, 2]), ints([1], [])], attrs: { axis: 1 } },
  { op: "Gather", inputs: [x([2, 4, 3]), ints([3, -4, 3])], attrs: { axis: -2 } },
  { op: "Gather", inputs: [x([5]), ints([1, 1, 0])] },
  { op: "GatherElements", inputs: [x([3, 2]), ints([0, 2, 0, -1], [2, 2])], attrs: { axis: 0 } },
  { op: "GatherND", inputs: [x([3, 4]), ints([0, 1, 2, 3, 0, 1], [3, 2])] },
  { op: "GatherND", inputs: [x([2, 3, 2]), ints([1, 0], [2, 1])], attrs: { batch_dims: 1 } },
  {
    op: "ScatterElements",
    inputs: [x([3, 3]), ints([0, 2, 1, -2], [2, 2]), x([2, 2])],
    attrs: { axis: 0 },
  },
  {
    op: "ScatterElements",
    inputs: [x([3, 3]), ints([0, 0, 1, 1], [2, 2]), x([2, 2])],
    attrs: { axis: 1, reduction: "add" },
  },
  { op: "ScatterND", inputs: [x([4, 2]), ints([1, 3], [2, 1]), x([2, 2])] },
  { op: "ScatterND", inputs: [x([4, 2]), ints([1, 1], [2, 1]), x([2, 2])], attrs: { reduction: "add" } },
  { op: "Tile", inputs: [x([2, 3]), ints([2, 3])] },
  { op: "TopK", inputs: [x([2, 4], "apart"), ints([2])], attrs: { axis: 1 }, outputs: 2 },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map(
      (reverse): Case => ({
        op: "CumSum",
        inputs: [x([2, 4]), ints([1], [])],
        attrs: { exclusive, reverse },
      }),
    ),
  ),
  { op: "Trilu", inputs: [x([3, 4]), ints([1], [])], attrs: { upper: 0 } },
  { op: "Compress", inputs: [x([3, 2]), bools([1, 0, 1], [3])], attrs: { axis: 0 }, shape: [2, 2] },
  { op: "ReverseSequence", inputs: [x([3, 2]), ints([2, 3])] },
  { op: "DepthToSpace", inputs: [x([1, 4, 2, 1])], attrs: { blocksize: 2, mode: "CRD" } },
  { op: "SpaceToDepth", inputs: [x([1, 1, 4, 2])], attrs: { blocksize: 2 } },
  { op: "Where", inputs: [bools([1, 0], [2, 1]), x([2, 3]), x([3])] },
  { op: "Sum", inputs: [x([2, 3]), x([3]), x([2, 1])] },
  { op: "Mean", inputs: [x([2, 3]), x([1, 3])], rough: true },
  { op: "PRelu", inputs: [x([2, 3], "apart"), x([3])], rough: true },
  { op: "Max", inputs: [x([2, 3], "apart"), x([3], "apart"), x([2, 1], "apart")] },
  { op: "Clip", inputs: [x([3, 4], "apart"), x([], [-0.7]), x([], [0.9])] },
  { op: "Clip", inputs: [x([3, 4], "apart"), null, x([], [0.35])] },
  { op: "Mod", inputs: [x([3, 2], "apart"), x([2], "positive")], attrs: { fmod: 1 } },
  { op: "Dropout", inputs: [x([2, 3])] },
  { op: "Cast", inputs: [x([2, 3])], attrs: { to: 11 } },
  { op: "CastLike", inputs: [x([2, 3]), fixed([1], "float64")] },
  { op: "Compress", inputs: [x([3, 2]), bools([1, 0, 1, 0, 1], [5])], shape: [3] },
  { op: "TopK", inputs: [x([4, 2], "apart"), ints([2])], attrs: { axis: 0, largest: 0 }, outputs: 2 },
  { op: "DepthToSpace", inputs: [x([1, 8, 1, 2])], attrs: { blocksize: 2 } },
  { op: "Swish", inputs: [x([2, 3])], attrs: { alpha: 1.3 }, opset: 24, rough: true },
  { op: "Swish", inputs: [x([2, 3])], opset: 24, rough: true },
];

/** Ops without float64 kernels, linear in each of their inputs. */
const LINEAR: Case[] = [
  { op: "Conv", inputs: [x([2, 3, 7]), x([4, 3, 3]), x([4])] },
  {
    op: "Conv",
    inputs: [x([2, 3, 7, 6]), x([4, 3, 3, 2]), x([4])],
    attrs: { strides: [2, 1], pads: [1, 0, 2, 1], dilations: [1, 2] },
  },
  {
    op: "Conv",
    inputs: [x([2, 4, 8, 9]), x([6, 2, 3, 3])],
    attrs: { group: 2, strides: [3, 2], pads: [0, 1, 1, 0] },
  },
  { op: "Conv", inputs: [x([1, 3, 6, 6]), x([3, 1, 3, 3])], attrs: { group: 3, pads: [1, 1, 1, 1] } },
  { op: "Conv", inputs: [x([1, 2, 7, 7]), x([2, 2, 1, 1])], attrs: { strides: [4, 3] } },
  {
    op: "Conv",
    inputs: [x([1, 2, 7, 8]), x([3, 2, 3, 2])],
    attrs: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  },
  { op: "Conv", inputs: [x([1, 2, 7, 8]), x([3, 2, 2, 4])], attrs: { auto_pad: "SAME_LOWER" } },
  { op: "Conv", inputs: [x([2, 2, 4, 5, 3]), x([2, 2, 2, 3, 1]), x([2])], attrs: { strides: [1, 2, 1] } },
  { op: "ConvTranspose", inputs: [x([2, 3, 5]), x([3, 2, 3]), x([2])], attrs: { strides: [2] } },
  {
    op: "ConvTranspose",
    inputs: [x([1, 4, 4, 3]), x([4, 3, 3, 2]), x([6])],
    attrs: { group: 2, strides: [2, 3], pads: [1, 0, 0, 1], output_padding: [1, 2], dilations: [1, 2] },
  },
  {
    op: "ConvTranspose",
    inputs: [x([1, 2, 4, 4]), x([2, 2, 3, 3])],
    attrs: { strides: [2, 2], output_shape: [8, 8] },
  },
  { op: "ConvTranspose", inputs: [x([1, 2, 2, 3, 2]), x([2, 1, 2, 2, 2])] },
  { op: "AveragePool", inputs: [x([1, 2, 6, 6])], attrs: { kernel_shape: [2, 2], strides: [2, 2] } },
  {
    op: "AveragePool",
    inputs: [x([1, 2, 7, 6])],
    attrs: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 1, 1, 0] },
  },
  {
    op: "AveragePool",
    inputs: [x([1, 2, 7, 6])],
    attrs: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 },
  },
  {
    op: "AveragePool",
    inputs: [x([1, 1, 6, 7])],
    attrs: { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1 },
  },
  { op: "AveragePool", inputs: [x([2, 2, 8])], attrs: { kernel_shape: [2], strides: [3] } },
  {
    op: "AveragePool",
    inputs: [x([1, 2, 7, 6])],
    attrs: { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_UPPER" },
  },
  {
    op: "AveragePool",
    inputs: [x([1, 1, 7, 8])],
    attrs: { kernel_shape: [2, 3], auto_pad: "SAME_LOWER", count_include_pad: 1 },
  },
  { op: "AveragePool", inputs: [x([1, 2, 8, 7])], attrs: { kernel_shape: [2, 3], dilations: [3, 2] } },
  {
    op: "AveragePool",
    inputs: [x([1, 1, 6, 7])],
    attrs: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 1, 1, 1], ceil_mode: 1, count_include_pad: 1 },
  },
  { op: "AveragePool", inputs: [x([1, 2, 4, 5, 3])], attrs: { kernel_shape: [2, 3, 1], strides: [2, 1, 1] } },
  {
    op: "ConvTranspose",
    inputs: [x([1, 2, 4, 3]), x([2, 2, 3, 4])],
    attrs: { strides: [2, 3], auto_pad: "SAME_UPPER" },
  },
  {
    op: "ConvTranspose",
    inputs: [x([1, 2, 4, 3]), x([2, 2, 3, 4])],
    attrs: { strides: [2, 1], auto_pad: "SAME_LOWER" },
  },
  { op: "GlobalAveragePool", inputs: [x([2, 3, 4, 5])] },
  {
    op: "Resize",
    inputs: [x([1, 2, 3, 4]), null, fixed([1, 1, 2, 2])],
    attrs: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  },
  { op: "Resize", inputs: [x([1, 2, 3, 4]), null, null, ints([1, 2, 5, 7])], attrs: { mode: "linear" } },
  {
    op: "Resize",
    inputs: [x([1, 2, 4, 4]), null, null, ints([1, 2, 7, 3])],
    attrs: { mode: "linear", coordinate_transformation_mode: "align_corners" },
  },
  { op: "Resize", inputs: [x([1, 1, 4, 4]), null, fixed([1, 1, 1.7, 2])], attrs: { mode: "cubic" } },
  {
    op: "Resize",
    inputs: [x([1, 1, 6, 8]), null, null, ints([1, 1, 3, 4])],
    attrs: { mode: "linear", antialias: 1 },
    once: true,
  },
].map((each) => ({ ...each, linear: true }));

const NORMALISED: Case[] = [
  { op: "LayerNormalization", inputs: [x([2, 3, 4]), x([4]), x([4])] },
  { op: "LayerNormalization", inputs: [x([2, 3, 4]), x([3, 4]), x([3, 4])], attrs: { axis: 1 } },
  { op: "LayerNormalization", inputs: [x([2, 4]), x([4])] },
  {
    op: "BatchNormalization",
    inputs: [x([3, 2, 4]), x([2]), x([2]), x([2]), x([2], "positive")],
  },
  {
    op: "BatchNormalization",
    inputs: [
      x([3, 2, 4]),
      x([2]),
      x([2]),
      { shape: [2], draw: [0, 0], constant: true },
      { shape: [2], draw: [1, 1], constant: true },
    ],
    attrs: { training_mode: 1 },
    outputs: 3,
    // ONNX Runtime writes the running statistics over its constants: they differ from run to run.
    used: 1,
  },
  { op: "LpNormalization", inputs: [x([2, 3], "apart")], attrs: { axis: 1 } },
  { op: "LpNormalization", inputs: [x([2, 3], "apart")], attrs: { axis: 0, p: 1 } },
  {
    op: "MaxPool",
    inputs: [x([1, 2, 6, 6], "apart")],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    outputs: 1,
  },
  {
    op: "MaxPool",
    inputs: [x([2, 1, 7, 6], "apart")],
    attrs: { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 1, 1, 1] },
  },
];

const POOLS: Case[] = (
  [
    [[2, 2, 9], { kernel_shape: [3], strides: [2], dilations: [2] }],
    [[1, 2, 7, 6], { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_UPPER" }],
    [[1, 2, 7, 6], { kernel_shape: [2, 4], strides: [2, 3], auto_pad: "SAME_LOWER" }],
    [[1, 1, 6, 7], { kernel_shape: [3, 2], strides: [2, 2], ceil_mode: 1 }],
    [[1, 2, 4, 5, 3], { kernel_shape: [2, 3, 2], strides: [2, 1, 1] }],
  ] as [number[], NonNullable<Case["attrs"]>][]
).map(([shape, attrs]) => ({ op: "MaxPool", inputs: [x(shape, "apart")], attrs }));

/** Grid numbers of places in an axis of so many elements, which lie between its elements. */
const spots = (size: number, aligned: boolean, places: readonly number[]): number[] =>
  places.map((place) => (aligned ? (2 * place) / (size - 1) - 1 : (2 * place + 1) / size - 1));

/** Grid [1, 2, 3, 2] in an image of 4 × 5; some places lie outside. */
function gridOf(aligned: boolean): CaseInput {
  const columns = spots(5, aligned, [0.4, 3.35, 1.7, -0.42, 4.3, -1.65]);
  const rows = spots(4, aligned, [1.6, 2.3, 0.35, 0.7, 3.38, 4.7]);
  return { shape: [1, 2, 3, 2], draw: columns.flatMap((column, i) => [column, rows[i]!]) };
}

const GRIDS: Case[] = ["zeros", "border", "reflection"].flatMap((padding_mode) =>
  [0, 1].flatMap((align_corners) =>
    ["linear", "nearest"].map(
      (mode): Case => ({
        op: "GridSample",
        inputs: [x([1, 2, 4, 5]), gridOf(align_corners === 1)],
        attrs: { padding_mode, align_corners, mode },
        opset: 20,
        rough: true,
      }),
    ),
  ),
);

const PLACES: Case[] = [
  {
    op: "GridSample",
    inputs: [
      x([2, 1, 2, 3, 2]),
      {
        shape: [2, 1, 1, 2, 3],
        draw: [0.31, -0.2, 0.1, -0.35, 0.4, 1.4, -0.6, 0.22, -0.25, 0.28, -0.6, 0.15],
      },
    ],
    opset: 20,
    rough: true,
  },
  { op: "Col2Im", inputs: [x([2, 8, 6]), ints([3, 4]), ints([2, 2])], linear: true, shape: [2, 2, 3, 4] },
  {
    op: "Col2Im",
    inputs: [x([1, 6, 12]), ints([5, 4]), ints([3, 1])],
    attrs: { strides: [2, 1], pads: [1, 0, 1, 0], dilations: [1, 2] },
    linear: true,
    shape: [1, 2, 5, 4],
  },
  { op: "OneHot", inputs: [ints([1, 0, 3]), ints([4], []), x([2])], linear: true, shape: [3, 4] },
  {
    op: "OneHot",
    inputs: [ints([1, -1, 7, 0], [2, 2]), ints([3], []), x([2])],
    attrs: { axis: 1 },
    linear: true,
    shape: [2, 3, 2],
  },
];

/** Layers that are written out step by step, and losses. */
const LOWERED: Case[] = [
  { op: "InstanceNormalization", inputs: [x([2, 3, 4]), x([3]), x([3])] },
  { op: "GroupNormalization", inputs: [x([2, 4, 3]), x([4]), x([4])], attrs: { num_groups: 2 }, opset: 21 },
  { op: "RMSNormalization", inputs: [x([2, 3]), x([3])], opset: 23 },
  { op: "MeanVarianceNormalization", inputs: [x([2, 3, 2, 2])] },
  { op: "LRN", inputs: [x([1, 5, 2, 2])], attrs: { size: 3, alpha: 0.5 } },
  { op: "SoftmaxCrossEntropyLoss", inputs: [x([3, 4]), ints([0, 3, 1])] },
  {
    op: "SoftmaxCrossEntropyLoss",
    inputs: [x([2, 3, 2]), ints([0, 2, -1, 1], [2, 2])],
    attrs: { ignore_index: -1 },
  },
  {
    op: "SoftmaxCrossEntropyLoss",
    inputs: [x([3, 4]), ints([0, 3, 1]), fixed([1, 2, 0.5, 3])],
    attrs: { reduction: "none" },
  },
  { op: "NegativeLogLikelihoodLoss", inputs: [x([3, 4]), ints([0, 3, 1]), fixed([1, 2, 0.5, 3])] },
  {
    op: "NegativeLogLikelihoodLoss",
    inputs: [x([2, 3, 2]), ints([0, 2, 1, 1], [2, 2])],
    attrs: { reduction: "sum" },
  },
  { op: "SimplifiedLayerNormalization", inputs: [x([2, 3]), x([3])], attrs: { axis: -1 } },
  { op: "GlobalMaxPool", inputs: [x([2, 2, 2, 3], "apart")] },
  { op: "RotaryEmbedding", inputs: [x([2, 3, 2, 4]), x([2, 2, 2]), x([2, 2, 2])], opset: 23 },
  {
    op: "RotaryEmbedding",
    inputs: [x([2, 3, 12]), x([5, 2]), x([5, 2]), ints([0, 1, 4, 3, 2, 2], [2, 3])],
    attrs: { num_heads: 2, rotary_embedding_dim: 4, interleaved: 1 },
    opset: 23,
  },
  {
    op: "RotaryEmbedding",
    inputs: [x([1, 3, 8]), x([1, 3, 2]), x([1, 3, 2])],
    attrs: { num_heads: 2 },
    opset: 23,
  },
  { op: "Gelu", domain: "com.microsoft", inputs: [x([2, 3])] },
  { op: "QuickGelu", domain: "com.microsoft", inputs: [x([2, 3])], attrs: { alpha: 1.5 } },
  { op: "BiasGelu", domain: "com.microsoft", inputs: [x([2, 3]), x([3])] },
  { op: "FastGelu", domain: "com.microsoft", inputs: [x([2, 3]), x([3])] },
  { op: "FastGelu", domain: "com.microsoft", inputs: [x([2, 3])] },
  {
    op: "SkipLayerNormalization",
    domain: "com.microsoft",
    inputs: [x([2, 3, 4]), x([2, 3, 4]), x([4]), x([4]), x([4])],
    attrs: { epsilon: 1e-5 },
  },
  {
    op: "FusedMatMul",
    domain: "com.microsoft",
    inputs: [x([2, 3, 4]), x([2, 5, 4])],
    attrs: { transB: 1, alpha: 0.5 },
  },
  { op: "FusedMatMul", domain: "com.microsoft", inputs: [x([3, 2]), x([2, 3, 4])], attrs: { transA: 1 } },
  { op: "Attention", inputs: [x([1, 2, 3, 4]), x([1, 2, 5, 4]), x([1, 2, 5, 3])], opset: 23 },
  {
    op: "Attention",
    inputs: [x([1, 2, 3, 4]), x([1, 2, 5, 4]), x([1, 2, 5, 3]), x([3, 5])],
    attrs: { scale: 0.7, softcap: 1.5 },
    opset: 23,
  },
  {
    op: "Attention",
    inputs: [x([2, 2, 2, 4]), x([2, 2, 3, 4]), x([2, 2, 3, 4]), bools([1, 0, 1, 1, 1, 0], [2, 3])],
    opset: 23,
  },
  // The first query sees no key.
  {
    op: "Attention",
    inputs: [x([1, 1, 2, 4]), x([1, 1, 3, 4]), x([1, 1, 3, 4]), bools([0, 0, 0, 1, 1, 0], [2, 3])],
    opset: 23,
  },
  {
    op: "Attention",
    inputs: [x([1, 1, 2, 4]), x([1, 1, 4, 4]), x([1, 1, 4, 4])],
    attrs: { is_causal: 1 },
    opset: 23,
  },
  {
    op: "Attention",
    inputs: [x([2, 3, 8]), x([2, 3, 4]), x([2, 3, 4])],
    attrs: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
    opset: 23,
  },
  {
    op: "LSTM",
    inputs: [x([3, 2, 3]), x([1, 16, 3]), x([1, 16, 4]), x([1, 32])],
    attrs: { hidden_size: 4 },
    outputs: 3,
  },
  {
    op: "LSTM",
    inputs: [
      x([3, 2, 3]),
      x([2, 16, 3]),
      x([2, 16, 4]),
      x([2, 32]),
      { ...ints([3, 2]), dtype: "int32" as const },
      x([2, 2, 4]),
      x([2, 2, 4]),
    ],
    attrs: { hidden_size: 4, direction: "bidirectional" },
    outputs: 3,
  },
  {
    op: "LSTM",
    inputs: [
      x([3, 2, 3]),
      x([1, 16, 3]),
      x([1, 16, 4]),
      x([1, 32]),
      { ...ints([2, 3]), dtype: "int32" as const },
      x([1, 2, 4]),
      x([1, 2, 4]),
      x([1, 12]),
    ],
    attrs: { hidden_size: 4, direction: "reverse" },
    outputs: 3,
  },
  // The first row has no steps.
  {
    op: "GRU",
    inputs: [
      x([2, 2, 3]),
      x([1, 12, 3]),
      x([1, 12, 4]),
      x([1, 24]),
      { ...ints([0, 2]), dtype: "int32" as const },
      x([1, 2, 4]),
    ],
    attrs: { hidden_size: 4 },
    outputs: 2,
  },
  {
    op: "RNN",
    inputs: [x([3, 2, 3]), x([2, 4, 3]), x([2, 4, 4])],
    attrs: { hidden_size: 4, direction: "bidirectional", activations: ["Sigmoid", "Softsign"] },
    outputs: 2,
  },
  ...[0, 1].map(
    (linear): Case => ({
      op: "GRU",
      inputs: [x([3, 2, 3]), x([1, 12, 3]), x([1, 12, 4]), x([1, 24])],
      attrs: { hidden_size: 4, linear_before_reset: linear, direction: "reverse" },
      outputs: 2,
    }),
  ),
  {
    op: "RNN",
    inputs: [x([3, 2, 3]), x([1, 4, 3]), x([1, 4, 4]), x([1, 8])],
    attrs: { hidden_size: 4 },
    outputs: 2,
  },
].map((each) => ({ ...each, rough: true, once: true }));

export const CASES: readonly Case[] = [
  ...ELEMENTWISE,
  ...BINARY,
  ...POWERS,
  ...REDUCTIONS,
  ...PRODUCTS,
  ...LAYOUT,
  ...LINEAR,
  ...NORMALISED,
  ...POOLS,
  ...LOWERED,
  // At the end: the place of a case seeds what is drawn for it.
  { op: "Conv", inputs: [x([2, 3, 5, 5]), x([4, 3, 1, 1])], attrs: { strides: [2, 2] }, linear: true },
  // Windows that overlap fill the input, too, and choose the same element.
  {
    op: "MaxPool",
    inputs: [{ shape: [1, 1, 5], draw: [0, 2, 9, 4, -2] }],
    attrs: { kernel_shape: [3], strides: [2] },
    linear: true,
  },
  ...GRIDS,
  ...PLACES,
  { op: "DFT", inputs: [x([2, 5, 2])] },
  { op: "DFT", inputs: [x([2, 6, 3, 1]), null, int0(1)], attrs: {} },
  { op: "DFT", inputs: [x([2, 6, 1])], attrs: { onesided: 1 } },
  { op: "DFT", inputs: [x([5, 2, 2]), null, int0(-3)], attrs: { inverse: 1 } },
  { op: "AffineGrid", inputs: [x([2, 2, 3]), ints([2, 3, 4, 5])], linear: true },
  { op: "AffineGrid", inputs: [x([1, 2, 3]), ints([1, 1, 2, 3])], attrs: { align_corners: 1 }, linear: true },
  { op: "AffineGrid", inputs: [x([2, 3, 4]), ints([2, 1, 2, 3, 2])], linear: true },
  {
    op: "LpPool",
    inputs: [x([1, 2, 6, 6], "apart")],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    rough: true,
  },
  {
    op: "LpPool",
    inputs: [x([2, 2, 7], "apart")],
    attrs: { kernel_shape: [3], pads: [1, 1], p: 3 },
    rough: true,
  },
  {
    op: "LpPool",
    inputs: [x([1, 2, 4, 5], "apart")],
    attrs: { kernel_shape: [2, 3], p: 1 },
    rough: true,
    once: true,
  },
  { op: "GlobalLpPool", inputs: [x([2, 3, 4, 5], "apart")], rough: true },
  { op: "GlobalLpPool", inputs: [x([2, 3, 4], "apart")], attrs: { p: 1 }, rough: true, once: true },
  { op: "CenterCropPad", inputs: [x([3, 6, 5]), ints([5, 3, 5])], linear: true, shape: [5, 3, 5] },
  {
    op: "CenterCropPad",
    inputs: [x([2, 6, 5]), ints([3, 8])],
    attrs: { axes: [-2, -1] },
    linear: true,
    shape: [2, 3, 8],
  },
  {
    op: "RoiAlign",
    inputs: [
      x([2, 3, 7, 6]),
      fixedOf([0.3, 0.7, 4.1, 5.2, -1.4, 1.1, 9.3, 7.9, 2, 2, 2.5, 2.5], [3, 4]),
      ints([1, 0, 1]),
    ],
    attrs: { output_height: 2, output_width: 3, sampling_ratio: 2 },
    linear: true,
  },
  {
    op: "RoiAlign",
    inputs: [x([1, 2, 5, 5]), fixedOf([2, 1, 8.2, 9.1, 3, 3, 3.2, 3.4], [2, 4]), ints([0, 0])],
    attrs: {
      output_height: 2,
      output_width: 2,
      sampling_ratio: 3,
      spatial_scale: 0.5,
      coordinate_transformation_mode: "output_half_pixel",
    },
    linear: true,
  },
  {
    op: "DeformConv",
    inputs: [x([2, 2, 5, 4]), x([3, 2, 2, 2]), between([2, 8, 4, 3]), x([3])],
    attrs: {},
    rough: true,
    once: true,
  },
  {
    op: "DeformConv",
    inputs: [x([1, 4, 5, 5]), x([2, 2, 3, 3]), between([1, 36, 3, 3]), null, x([1, 18, 3, 3])],
    attrs: { group: 2, offset_group: 2, strides: [2, 2], pads: [1, 1, 1, 1] },
    rough: true,
    once: true,
  },
];
