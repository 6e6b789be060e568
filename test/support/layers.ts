/** Layers with seeded random weights, from which the reference models are put together. */
import type { GraphBuilder } from "tenon/onnx";
import { tensorFromStorage } from "tenon/tensor";
import { randomFloats, seededRandom } from "./random.js";

/** A graph under construction and the random weights that it takes. */
export interface Net {
  readonly g: GraphBuilder;
  /** A weight, uniform with the variance that keeps activations level (He) times `gain`². */
  weight(name: string, shape: readonly number[], fanIn: number, gain?: number): string;
  constant(name: string, shape: readonly number[], value: number): string;
  /** An int64 vector, as shapes and axes are given. */
  ints(name: string, values: readonly number[]): string;
  /** A name that no other value of this graph has. */
  fresh(stem: string): string;
}

export function net(g: GraphBuilder, seed: number): Net {
  const random = seededRandom(seed);
  const used = new Map<string, number>();
  return {
    g,
    weight(name, shape, fanIn, gain = 1) {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const values = randomFloats(size, gain * Math.sqrt(6 / fanIn), random);
      return g.initializer(name, tensorFromStorage("float32", shape, values));
    },
    constant(name, shape, value) {
      const size = shape.reduce((product, dim) => product * dim, 1);
      return g.initializer(name, tensorFromStorage("float32", shape, new Float32Array(size).fill(value)));
    },
    ints(name, values) {
      return g.initializer(
        name,
        tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt)),
      );
    },
    fresh(stem) {
      const count = used.get(stem) ?? 0;
      used.set(stem, count + 1);
      return `${stem}${count}`;
    },
  };
}

/** y = x·Wᵀ + b, as exported linear layers over rows are. */
export function linear(n: Net, x: string, from: number, to: number): string {
  const name = n.fresh("linear");
  const weight = n.weight(`${name}.weight`, [to, from], from);
  const bias = n.weight(`${name}.bias`, [to], from, 0.1);
  return n.g.add("Gemm", [x, weight, bias], { transB: 1 });
}

export interface ConvOptions {
  readonly kernel: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly gain?: number;
}

/** A convolution with bias (a batch normalisation that followed it counts as folded in). */
export function conv(n: Net, x: string, from: number, to: number, options: ConvOptions): string {
  const { kernel, stride = 1, pad = 0, gain = 1 } = options;
  const name = n.fresh("conv");
  const fanIn = from * kernel * kernel;
  const weight = n.weight(`${name}.weight`, [to, from, kernel, kernel], fanIn, gain);
  const bias = n.weight(`${name}.bias`, [to], fanIn, 0.1);
  return n.g.add("Conv", [x, weight, bias], {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
  });
}

export function relu(n: Net, x: string): string {
  return n.g.add("Relu", [x]);
}

export function maxPool(
  n: Net,
  x: string,
  options: { kernel: number; pad?: number; ceil?: boolean },
): string {
  const { kernel, pad = 0, ceil = false } = options;
  return n.g.add("MaxPool", [x], {
    kernel_shape: [kernel, kernel],
    strides: [2, 2],
    pads: [pad, pad, pad, pad],
    ceil_mode: ceil ? 1 : 0,
  });
}

export function layerNorm(n: Net, x: string, width: number): string {
  const name = n.fresh("norm");
  const scale = n.constant(`${name}.weight`, [width], 1);
  const bias = n.constant(`${name}.bias`, [width], 0);
  return n.g.add("LayerNormalization", [x, scale, bias], { axis: -1, epsilon: 1e-12 });
}

/** y = x·W + b over the last axis, as exported transformer layers are. */
export function project(n: Net, x: string, from: number, to: number): string {
  const name = n.fresh("project");
  const weight = n.weight(`${name}.weight`, [from, to], from, 0.5);
  const bias = n.weight(`${name}.bias`, [to], from, 0.1);
  return n.g.add("Add", [n.g.add("MatMul", [x, weight]), bias]);
}
