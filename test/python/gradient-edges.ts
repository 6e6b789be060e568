/** Nodes at kinks, ties, bounds, zeros, infinities and empty shapes, where differences say nothing: PyTorch decides. */
import type { Case, CaseInput } from "../train/gradient-cases.js";

const INF = Number.POSITIVE_INFINITY;

const at = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  shape,
  draw: values,
});
const ints = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  shape,
  draw: values,
  dtype: "int64",
  constant: true,
});

const KINKS: Case[] = (
  [
    ["Abs", [-1, 0, 2]],
    ["Sign", [-1, 0, 2]],
    ["Floor", [-1.5, 0, 2]],
    ["Ceil", [-1.5, 0, 2]],
    ["Round", [-1.5, 0.5, 2]],
    ["Relu", [-1, 0, 2, INF, -INF]],
    ["LeakyRelu", [-1, 0, 2], { alpha: 0.3 }],
    ["Elu", [-1, 0, 2, -200, 200], { alpha: 1.3 }],
    ["Selu", [-1, 0, 2, 200]],
    ["Celu", [-1, 0, 2, 200], { alpha: 0.7 }],
    ["HardSwish", [-4, -3, 0, 3, 4]],
    ["HardSigmoid", [-4, -2.5, 0, 2.5, 4]],
    ["ThresholdedRelu", [0.4, 0.5, 0.6], { alpha: 0.5 }],
    ["Shrink", [-0.6, -0.5, 0, 0.5, 0.6], { lambd: 0.5, bias: 0.5 }],
    ["Shrink", [-0.6, -0.5, 0, 0.5, 0.6], { lambd: 0.5 }],
    ["Softplus", [-100, -1, 0, 1, 100]],
    ["Softsign", [-1e20, 0, 3]],
    ["Sigmoid", [-800, 0, 800]],
    ["Tanh", [-800, 0, 800]],
    ["Gelu", [-30, 0, 30]],
    ["Gelu", [-30, 0, 30], { approximate: "tanh" }],
    ["Mish", [-60, 0, 60]],
    ["Sqrt", [0, 4]],
    ["Log", [0, 4]],
    ["Reciprocal", [0, 4]],
    ["Erf", [-9, 0, 9]],
  ] as [string, number[], Case["attrs"]?][]
).map(([op, values, attrs]) => ({ op, inputs: [at(values)], rough: true, ...(attrs ? { attrs } : {}) }));

const TIES: Case[] = [
  { op: "Max", inputs: [at([1, 2, 3]), at([1, 5, 0])] },
  { op: "Min", inputs: [at([1, 2, 3]), at([1, 5, 0])] },
  { op: "Max", inputs: [at([1, 2, 3]), at([1], [])] },
  { op: "Max", inputs: [at([1, 2, 3]), at([1, 5, 3]), at([1, 5, 3])] },
  { op: "ReduceMax", inputs: [at([3, 3, 1, 3, 2, 2], [2, 3]), ints([1])] },
  { op: "ReduceMin", inputs: [at([1, 1, 1, 3, 2, 2], [2, 3])] },
  { op: "ReduceMax", inputs: [at([INF, INF, 1, -INF], [2, 2]), ints([0])] },
  {
    op: "MaxPool",
    inputs: [at([1, 1, 1, 1, 0, 2, 2, 0], [1, 1, 2, 4])],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
  },
  {
    op: "MaxPool",
    inputs: [at([-INF, -INF, -INF, 1, -INF, -INF, -INF, 2], [1, 1, 2, 4])],
    attrs: { kernel_shape: [2, 2], strides: [2, 2] },
    linear: true,
  },
  { op: "GlobalMaxPool", inputs: [at([1, 3, 3, 2, 2, 2, 2, 2], [1, 2, 2, 2])], linear: true },
  { op: "PRelu", inputs: [at([-1, 0, 2, 0, -3, 1], [2, 3]), at([0.1, 0.2, 0.3])], linear: true },
];

const BOUNDS: Case[] = [
  { op: "Clip", inputs: [at([-1, 0.5, 2]), at([0], []), at([1], [])] },
  { op: "Clip", inputs: [at([-1, 0, 0.5, 1, 2]), at([1], []), at([0], [])] },
  { op: "Clip", inputs: [at([-INF, 0.5, INF]), at([0], []), at([1], [])] },
  { op: "Pow", inputs: [at([0, 0, 0, 2, -2]), { ...at([2, 1, 0, 0, 3]), constant: true }] },
  { op: "Pow", inputs: [at([0, -2, 3]), { ...at([2], []), constant: true }] },
  { op: "Pow", inputs: [at([0, 4]), { ...at([0.5], []), constant: true }] },
  { op: "Pow", inputs: [at([0, 2, 3]), { ...at([0], []), constant: true }] },
  { op: "Pow", inputs: [at([0, 0, 2, -2, 3]), at([0, 2, 3, 2, -1])] },
  { op: "Mod", inputs: [at([5.5, -5.5, 4, 4]), at([2, 2, 2, -3])], attrs: { fmod: 1 } },
  { op: "Div", inputs: [at([1, 0, 2]), at([0, 2, -3])] },
  { op: "ReduceProd", inputs: [at([0, 2, 3, 0, 0, 5], [2, 3]), ints([1])] },
  { op: "ReduceL2", inputs: [at([0, 0, 3, 4], [2, 2]), ints([1])] },
  { op: "ReduceL1", inputs: [at([0, 0, 3, -4], [2, 2]), ints([1])] },
  { op: "ReduceLogSumExp", inputs: [at([1000, 1001, -1000, -1000], [2, 2]), ints([1])] },
  { op: "LogSoftmax", inputs: [at([1000, 0, -1000, 0], [2, 2])], attrs: { axis: 1 } },
  { op: "Softmax", inputs: [at([1000, 0, -INF, 0], [2, 2])], attrs: { axis: 1 } },
  { op: "Hardmax", inputs: [at([1, 4, 2, 3], [2, 2])], attrs: { axis: 1 }, rough: true },
  { op: "TopK", inputs: [at([1, 4, 2, 3], [1, 4]), ints([3])], attrs: { largest: 0 }, outputs: 2 },
];

/** A row that is left out counts for nothing, whatever its scores are. */
const IGNORED: Case[] = [
  {
    op: "SoftmaxCrossEntropyLoss",
    inputs: [at([-INF, 1, 2, -INF, 0.5, 3], [2, 3]), ints([-1, 1])],
    attrs: { ignore_index: -1 },
    linear: true,
  },
];

/** Nothing is reduced, and nothing is there. */
const SHAPES: Case[] = [
  ...[
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
  ].map(
    (op): Case => ({
      op,
      inputs: [at([-2, 0.5, 3]), ints([])],
      attrs: { noop_with_empty_axes: 1 },
    }),
  ),
  { op: "Add", inputs: [[0, 3], [3]] },
  {
    op: "Mul",
    inputs: [
      [2, 0],
      [2, 1],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [0, 3],
      [3, 4],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [2, 0],
      [0, 4],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [2, 0, 3],
      [3, 4],
    ],
  },
  { op: "Gemm", inputs: [[0, 3], [3, 4], [4]] },
  { op: "ReduceSum", inputs: [[0, 3], ints([0])] },
  { op: "ReduceMean", inputs: [[0, 3], ints([1])] },
  {
    op: "Concat",
    inputs: [
      [2, 0],
      [2, 3],
    ],
    attrs: { axis: 1 },
  },
  { op: "Slice", inputs: [[4, 3], ints([3]), ints([1])] },
  { op: "Gather", inputs: [[4, 3], ints([], [0])] },
  { op: "Gather", inputs: [[4, 0], ints([1, 1])] },
  { op: "Softmax", inputs: [[0, 3]], attrs: { axis: 1 } },
  { op: "Transpose", inputs: [[0, 3]] },
  { op: "Squeeze", inputs: [[1, 0, 1], ints([0, 2])] },
  { op: "Expand", inputs: [[1, 3], ints([0, 3])] },
  {
    op: "Einsum",
    inputs: [
      [2, 1, 3],
      [2, 3, 4],
    ],
    attrs: { equation: "bij,bjk->bk" },
  },
  { op: "Einsum", inputs: [[3], [2, 3, 4]], attrs: { equation: "j,...jk->...k" } },
  { op: "Einsum", inputs: [[2, 3], [3]], attrs: { equation: "ij,j" } },
  {
    op: "Einsum",
    inputs: [
      [2, 3],
      [2, 1],
    ],
    attrs: { equation: "ij,ij->i" },
  },
  { op: "LayerNormalization", inputs: [[0, 4], [4], [4]] },
];

/** Forms that exporters write and tables of rules forget: negative axes, single elements, places named twice, modes. */
const FORMS: Case[] = [
  { op: "Softmax", inputs: [[2, 3, 4]], attrs: { axis: -2 } },
  { op: "Softmax", inputs: [[2, 1, 3]], attrs: { axis: 1 } },
  { op: "LogSoftmax", inputs: [[2, 3, 4]], attrs: { axis: -3 } },
  {
    op: "Concat",
    inputs: [
      [2, 3],
      [1, 3],
      [2, 3],
    ],
    attrs: { axis: -2 },
  },
  { op: "Split", inputs: [[2, 5, 2], ints([1, 0, 4])], attrs: { axis: -2 }, outputs: 3 },
  { op: "Split", inputs: [[2, 5], ints([2, 3])], attrs: { axis: -1 }, outputs: 2, used: 1 },
  { op: "Squeeze", inputs: [[1, 2, 1, 3], ints([-2, 0])] },
  { op: "Unsqueeze", inputs: [[2, 3], ints([-1, 1])] },
  { op: "Flatten", inputs: [[2, 3, 4]], attrs: { axis: 0 } },
  { op: "Flatten", inputs: [[2, 3, 4]], attrs: { axis: -1 } },
  { op: "Expand", inputs: [[2, 1, 3], ints([4, 1])] },
  { op: "Expand", inputs: [[], ints([2, 3])] },
  { op: "Gather", inputs: [[3, 4], ints([1, 1, -2, 1], [2, 2])], attrs: { axis: -1 } },
  { op: "Gather", inputs: [[2, 3, 2], ints([2, 2, 2], [3, 1])], attrs: { axis: 1 } },
  { op: "GatherElements", inputs: [[3, 4], ints([2, 2, 0, 2], [1, 4])], attrs: { axis: 0 } },
  { op: "GatherElements", inputs: [[3, 4], ints([-1, 0, 3, 3, 3, 3], [3, 2])], attrs: { axis: -1 } },
  { op: "GatherElements", inputs: [[3, 4], ints([1, 1], [1, 2])], attrs: { axis: 1 } },
  { op: "GatherND", inputs: [[3, 4], ints([1, 1, 1, 1, 2, 0], [3, 2])] },
  { op: "GatherND", inputs: [[3, 2, 2], ints([2, 2, 0], [3, 1])] },
  {
    op: "ScatterElements",
    inputs: [[3, 4], ints([2, 2, 2, 0], [1, 4]), [1, 4]],
    attrs: { axis: -2, reduction: "add" },
  },
  { op: "ScatterND", inputs: [[3, 4], ints([0, 1, 0, 1], [2, 2]), [2]], attrs: { reduction: "add" } },
  { op: "ScatterND", inputs: [[3, 4], ints([-1, 2], [1, 2]), [1]] },
  { op: "TopK", inputs: [[3, 4, 2], ints([3])], attrs: { axis: -2 }, outputs: 2 },
  { op: "CumSum", inputs: [[3, 4], ints([-2], [])], attrs: { exclusive: 1 } },
  { op: "Trilu", inputs: [[2, 3, 3]], attrs: { upper: 0 } },
  { op: "Trilu", inputs: [[3, 4], ints([-1], [])] },
  { op: "Tile", inputs: [[1, 3], ints([3, 1])] },
  { op: "Transpose", inputs: [[1, 2, 1, 3]] },
  { op: "Slice", inputs: [[5, 4], ints([-1, 0]), ints([-6, 4]), ints([0, 1]), ints([-1, 3])] },
  { op: "Slice", inputs: [[5, 4], ints([2]), ints([-1])] },
  { op: "Pad", inputs: [[3, 4], ints([2, 0, 0, 3])], attrs: { mode: "reflect" } },
  { op: "Pad", inputs: [[1, 4], ints([2, 0, 1, 1])], attrs: { mode: "edge" } },
  { op: "ReduceMean", inputs: [[2, 1, 3], ints([1])], attrs: { keepdims: 0 } },
  { op: "ReduceMax", inputs: [[2, 3, 2], ints([-3, -1])], attrs: { keepdims: 0 } },
  { op: "ReduceProd", inputs: [[2, 1, 3], ints([1, -1])], attrs: { keepdims: 0 } },
  { op: "ReduceLogSumExp", inputs: [[3, 2], ints([-1])], attrs: { keepdims: 0 } },
  {
    op: "MatMul",
    inputs: [
      [1, 1],
      [1, 1],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [2, 1, 3, 2],
      [2, 4],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [3, 1, 2, 2],
      [1, 4, 2, 3],
    ],
  },
  {
    op: "MatMul",
    inputs: [
      [2, 3, 0, 4],
      [4, 5],
    ],
  },
  {
    op: "Gemm",
    inputs: [
      [3, 2],
      [3, 4],
      [1, 4],
    ],
    attrs: { transA: 1, alpha: 0, beta: 2 },
  },
  { op: "Gemm", inputs: [[3, 2], [2, 4], []] },
  {
    op: "Einsum",
    inputs: [
      [2, 3],
      [3, 4],
      [4, 2],
    ],
    attrs: { equation: "ab,bc,ca->" },
  },
  { op: "Einsum", inputs: [[2, 3, 4]], attrs: { equation: "...c->c..." } },
  { op: "Where", inputs: [{ ...at([1], []), dtype: "bool", constant: true }, [2, 1], [3]] },
  {
    op: "LayerNormalization",
    inputs: [
      [2, 3, 4],
      [3, 4],
      [3, 4],
    ],
    attrs: { axis: -2 },
  },
  { op: "LayerNormalization", inputs: [[2, 3, 1], [1]] },
  { op: "MaxPool", inputs: [[2, 3, 7]], attrs: { kernel_shape: [2], strides: [2] }, linear: true },
  { op: "MaxPool", inputs: [[1, 2, 5, 7]], attrs: { kernel_shape: [2, 3], strides: [3, 3] }, linear: true },
  {
    op: "MaxPool",
    inputs: [[1, 2, 7, 5]],
    attrs: { kernel_shape: [2, 2], strides: [2, 2], pads: [1, 0, 0, 1], ceil_mode: 1 },
    linear: true,
  },
  {
    op: "MaxPool",
    inputs: [[2, 1, 4, 4, 4]],
    attrs: { kernel_shape: [2, 2, 2], strides: [2, 2, 2] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [2, 3, 5, 5],
      [4, 3, 5, 5],
    ],
    linear: true,
  },
  { op: "Conv", inputs: [[2, 3, 6, 6], [4, 3, 3, 3], [4]], attrs: { pads: [2, 2, 2, 2] }, linear: true },
  {
    op: "Conv",
    inputs: [
      [2, 3, 6, 6],
      [4, 3, 2, 2],
    ],
    attrs: { pads: [3, 0, 0, 2] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [1, 2, 9],
      [3, 2, 3],
    ],
    attrs: { dilations: [3], strides: [2], pads: [1, 2] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [1, 2, 4, 4],
      [3, 2, 3, 3],
    ],
    attrs: { dilations: [2, 2], pads: [2, 2, 2, 2] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [2, 2, 3, 4, 3],
      [2, 2, 2, 2, 2],
    ],
    attrs: { pads: [1, 0, 0, 0, 1, 1] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [1, 4, 5, 5],
      [8, 1, 3, 3],
    ],
    attrs: { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] },
    linear: true,
  },
  {
    op: "Conv",
    inputs: [
      [0, 2, 4, 4],
      [3, 2, 3, 3],
    ],
    linear: true,
  },
];

export const EDGES: readonly Case[] = [...KINKS, ...TIES, ...BOUNDS, ...IGNORED, ...SHAPES, ...FORMS];
