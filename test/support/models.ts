/** Reference models with seeded random weights and a symbolic batch `N`, shared by tests and benches. */
import { graph, type OnnxModel } from "tenon/onnx";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import { encoder } from "./encoder.js";
import { conv, linear, maxPool, net, relu } from "./layers.js";
import { randomFloats, seededRandom } from "./random.js";

/** A model and inputs for it. */
export interface ReferenceModel {
  /** One line: what it is, and its input. */
  readonly about: string;
  /** The multiply-adds of one row are what sets its time; the file's size is what sets its load. */
  readonly build: () => OnnxModel;
  /** Inputs of `rows` rows. Another seed gives other values of the same shapes. */
  readonly inputs: (rows: number, seed?: number) => Record<string, Tensor>;
}

export const MODELS = {
  mlp: {
    about: "multi-layer perceptron 128-256-256-10, input x [N, 128]",
    build: () => perceptron("mlp", [128, 256, 256, 10]),
    inputs: floats("x", [128]),
  },
  mlp1k: {
    about: "multi-layer perceptron 1024-1024-1024-10, input x [N, 1024]",
    build: () => perceptron("mlp1k", [1024, 1024, 1024, 10]),
    inputs: floats("x", [1024]),
  },
  cnn: {
    about: "two convolutions and a linear layer, input x [N, 1, 28, 28]",
    build: smallCnn,
    inputs: floats("x", [1, 28, 28]),
  },
  squeezenet: {
    about: "SqueezeNet 1.1, 5 MB, input x [N, 3, 224, 224]",
    build: squeezenet,
    inputs: floats("x", [3, 224, 224]),
  },
  resnet50: {
    about: "ResNet-50 with folded normalisation, 102 MB, input x [N, 3, 224, 224]",
    build: resnet50,
    inputs: floats("x", [3, 224, 224]),
  },
  encoder: {
    about: "MiniLM-size encoder (6 layers, width 384, 12 heads), 90 MB, token inputs [N, S]",
    build: () =>
      encoder({ layers: 6, width: 384, heads: 12, inner: 1536, vocabulary: 30522, positions: 512 }),
    inputs: (rows, seed = 1) => tokens(rows, 64, seed),
  },
} as const satisfies Record<string, ReferenceModel>;

export type ModelName = keyof typeof MODELS;

/** Token inputs of an encoder, every row `length` tokens long without padding. */
export function tokens(rows: number, length: number, seed = 1): Record<string, Tensor> {
  const random = seededRandom(seed);
  const size = rows * length;
  const ids = BigInt64Array.from({ length: size }, () => BigInt(1 + Math.floor(random() * 30000)));
  return {
    input_ids: tensorFromStorage("int64", [rows, length], ids),
    attention_mask: tensorFromStorage("int64", [rows, length], new BigInt64Array(size).fill(1n)),
    token_type_ids: tensorFromStorage("int64", [rows, length], new BigInt64Array(size)),
  };
}

function floats(name: string, row: readonly number[]): ReferenceModel["inputs"] {
  const rowSize = row.reduce((product, dim) => product * dim, 1);
  return (rows, seed = 1) => ({
    [name]: tensorFromStorage("float32", [rows, ...row], randomFloats(rows * rowSize, 1, seededRandom(seed))),
  });
}

function perceptron(name: string, widths: readonly number[]): OnnxModel {
  const g = graph({ opset: 17, name });
  const n = net(g, 11);
  let x = g.input("x", "float32", ["N", widths[0]!]);
  for (let layer = 1; layer < widths.length; layer++) {
    x = linear(n, x, widths[layer - 1]!, widths[layer]!);
    if (layer + 1 < widths.length) x = relu(n, x);
  }
  g.output(x, "y");
  return g.model();
}

function smallCnn(): OnnxModel {
  const g = graph({ opset: 17, name: "cnn" });
  const n = net(g, 12);
  let x = g.input("x", "float32", ["N", 1, 28, 28]);
  x = maxPool(n, relu(n, conv(n, x, 1, 16, { kernel: 3, pad: 1 })), { kernel: 2 });
  x = maxPool(n, relu(n, conv(n, x, 16, 32, { kernel: 3, pad: 1 })), { kernel: 2 });
  x = g.add("Flatten", [x], { axis: 1 });
  g.output(linear(n, x, 32 * 7 * 7, 10), "y");
  return g.model();
}

/** Iandola et al. 2016, the 1.1 layout of the authors' repository. */
function squeezenet(): OnnxModel {
  const g = graph({ opset: 17, name: "squeezenet" });
  const n = net(g, 13);
  const fire = (x: string, from: number, squeeze: number, expand: number): string => {
    const squeezed = relu(n, conv(n, x, from, squeeze, { kernel: 1 }));
    const narrow = relu(n, conv(n, squeezed, squeeze, expand, { kernel: 1 }));
    const wide = relu(n, conv(n, squeezed, squeeze, expand, { kernel: 3, pad: 1 }));
    return g.add("Concat", [narrow, wide], { axis: 1 });
  };
  let x = g.input("x", "float32", ["N", 3, 224, 224]);
  x = relu(n, conv(n, x, 3, 64, { kernel: 3, stride: 2 }));
  x = maxPool(n, x, { kernel: 3, ceil: true });
  x = fire(x, 64, 16, 64);
  x = fire(x, 128, 16, 64);
  x = maxPool(n, x, { kernel: 3, ceil: true });
  x = fire(x, 128, 32, 128);
  x = fire(x, 256, 32, 128);
  x = maxPool(n, x, { kernel: 3, ceil: true });
  x = fire(x, 256, 48, 192);
  x = fire(x, 384, 48, 192);
  x = fire(x, 384, 64, 256);
  x = fire(x, 512, 64, 256);
  x = relu(n, conv(n, x, 512, 1000, { kernel: 1 }));
  x = g.add("GlobalAveragePool", [x]);
  g.output(g.add("Flatten", [x], { axis: 1 }), "y");
  return g.model();
}

/** He et al. 2015, with the stride in the 3×3 convolution of a block (version 1.5). */
function resnet50(): OnnxModel {
  const g = graph({ opset: 17, name: "resnet50" });
  const n = net(g, 14);
  const block = (x: string, from: number, middle: number, stride: number): string => {
    const to = 4 * middle;
    let y = relu(n, conv(n, x, from, middle, { kernel: 1 }));
    y = relu(n, conv(n, y, middle, middle, { kernel: 3, pad: 1, stride }));
    y = conv(n, y, middle, to, { kernel: 1, gain: 0.3 });
    const skip = from === to && stride === 1 ? x : conv(n, x, from, to, { kernel: 1, stride });
    return relu(n, g.add("Add", [y, skip]));
  };
  let x = g.input("x", "float32", ["N", 3, 224, 224]);
  x = relu(n, conv(n, x, 3, 64, { kernel: 7, stride: 2, pad: 3 }));
  x = maxPool(n, x, { kernel: 3, pad: 1 });
  let width = 64;
  for (const [middle, blocks, stride] of [
    [64, 3, 1],
    [128, 4, 2],
    [256, 6, 2],
    [512, 3, 2],
  ] as const) {
    for (let i = 0; i < blocks; i++) {
      x = block(x, width, middle, i === 0 ? stride : 1);
      width = 4 * middle;
    }
  }
  x = g.add("Flatten", [g.add("GlobalAveragePool", [x])], { axis: 1 });
  g.output(linear(n, x, 2048, 1000), "y");
  return g.model();
}
