/** The layers that architectures are made of, as ONNX nodes on the weights of a checkpoint. */
import { type GraphBuilder, graph, type TensorData } from "../../onnx/index.js";
import { type DType, tensor } from "../../tensor/index.js";
import { ACTIVATIONS, type Activation } from "./activations.js";
import type { ComputeDType } from "./dtype.js";
import type { WeightBook } from "./weight-book.js";

const FLOATS: ReadonlySet<DType> = new Set(["float64", "float32", "float16", "bfloat16"]);

/** What a mask adds where nobody may look: finite also when a bias is added to it. */
const LOWEST: Readonly<Record<ComputeDType, number>> = {
  float32: -3.4028234663852886e38,
  float16: -32752,
  bfloat16: -1.6947656946257677e38,
};

/** Builds one graph. Values are names of ONNX values; paths are names of modules in the checkpoint. */
export class Network {
  readonly g: GraphBuilder;
  readonly book: WeightBook;
  readonly dtype: ComputeDType;
  /** The value of each weight in the compute dtype. */
  readonly #weights = new Map<string, string>();
  #counter = 0;
  readonly #constants = new Map<string, string>();

  constructor(book: WeightBook, dtype: ComputeDType, opset: number) {
    this.g = graph({ opset });
    this.book = book;
    this.dtype = dtype;
  }

  get lowest(): number {
    return LOWEST[this.dtype];
  }

  /** A weight of the checkpoint in the compute dtype; tied weights are one value. */
  weight(name: string, shape: readonly number[]): string {
    const known = this.#weights.get(name);
    if (known !== undefined) return known;
    const data = this.book.take(name, shape);
    const value = data === undefined ? name : this.#bind(data);
    this.#weights.set(name, value);
    return value;
  }

  #bind(data: TensorData): string {
    const value = this.g.weight(data.name, data);
    return data.dtype === this.dtype || !FLOATS.has(data.dtype) ? value : this.cast(value, this.dtype);
  }

  /** A number in the compute dtype. */
  scalar(value: number): string {
    return this.#constant(`scalar ${value}`, () => this.g.initializer(`scalar:${value}`, this.floats(value)));
  }

  /** Whole numbers, as shapes and axes are given. */
  ints(...values: number[]): string {
    const name = `ints:${values.join(",")}`;
    return this.#constant(name, () =>
      this.g.initializer(name, tensor(values.map(BigInt), { dtype: "int64" })),
    );
  }

  int(value: number): string {
    const name = `int:${value}`;
    return this.#constant(name, () => this.g.initializer(name, tensor(BigInt(value), { dtype: "int64" })));
  }

  floats(values: number | readonly number[]) {
    return tensor(values as number[], { dtype: this.dtype });
  }

  #constant(key: string, make: () => string): string {
    const known = this.#constants.get(key) ?? make();
    this.#constants.set(key, known);
    return known;
  }

  /** A number that no other call gives, for names. */
  fresh(): number {
    return this.#counter++;
  }

  add(a: string, b: string): string {
    return this.g.add("Add", [a, b]);
  }

  mul(a: string, b: string): string {
    return this.g.add("Mul", [a, b]);
  }

  cast(x: string, to: DType): string {
    return this.g.add("Cast", [x], { to: ONNX_TYPE[to]! });
  }

  reshape(x: string, ...dims: number[]): string {
    return this.g.add("Reshape", [x, this.ints(...dims)]);
  }

  transpose(x: string, ...perm: number[]): string {
    return this.g.add("Transpose", [x], { perm });
  }

  /** Rows of a table by id. */
  embedding(ids: string, path: string, rows: number, size: number): string {
    return this.g.add("Gather", [this.weight(`${path}.weight`, [rows, size]), ids], { axis: 0 });
  }

  /** `x Wᵀ + b` over the last axis. */
  linear(x: string, path: string, from: number, to: number, bias = true): string {
    return this.project(
      x,
      this.weight(`${path}.weight`, [to, from]),
      bias ? this.weight(`${path}.bias`, [to]) : undefined,
    );
  }

  /** The same on a weight [to, from] that is a value already. */
  project(x: string, weight: string, bias?: string): string {
    const y = this.g.add("MatMul", [x, this.transpose(weight, 1, 0)]);
    return bias === undefined ? y : this.add(y, bias);
  }

  layerNorm(x: string, path: string, size: number, epsilon: number, bias = true): string {
    const inputs = [x, this.weight(`${path}.weight`, [size])];
    if (bias) inputs.push(this.weight(`${path}.bias`, [size]));
    return this.g.add("LayerNormalization", inputs, { axis: -1, epsilon });
  }

  /** Root mean square norm, computed in float32; `plusOne` for weights that are stored less one. */
  rmsNorm(x: string, path: string, size: number, epsilon: number, plusOne = false): string {
    const wide = this.dtype === "float32" ? x : this.cast(x, "float32");
    const square = this.mul(wide, wide);
    const mean = this.g.add("ReduceMean", [square, this.ints(-1)], { keepdims: 1 });
    const root = this.g.add("Sqrt", [this.add(mean, this.single(epsilon))]);
    const unit = this.g.add("Div", [wide, root]);
    const narrow = this.dtype === "float32" ? unit : this.cast(unit, this.dtype);
    const weight = this.weight(`${path}.weight`, [size]);
    return this.mul(narrow, plusOne ? this.add(weight, this.scalar(1)) : weight);
  }

  /** A number in float32. */
  single(value: number): string {
    const name = `float32:${value}`;
    return this.#constant(name, () => this.g.initializer(name, tensor(value, { dtype: "float32" })));
  }

  activation(x: string, name: Activation): string {
    return ACTIVATIONS[name](this, x);
  }

  /** Size of an axis as an int64 scalar. */
  sizeOf(x: string, axis: number): string {
    return this.g.add("Squeeze", [this.g.add("Shape", [x], { start: axis, end: axis + 1 }), this.ints(0)]);
  }

  /** 0, 1, … up to the size of an axis. */
  positions(x: string, axis: number): string {
    return this.g.add("Range", [this.int(0), this.sizeOf(x, axis), this.int(1)]);
  }
}

/** Numbers of TensorProto.DataType for what is cast to. */
const ONNX_TYPE: { readonly [D in DType]?: number } = {
  float32: 1,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
};
