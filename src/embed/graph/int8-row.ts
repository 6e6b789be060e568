/**
 * Row-wise int8: products with constant weights in integers, each row of the activations with a scale of its own, in standard
 * ops. A row's result does not depend on the rows beside it, as it does where one scale covers a whole batch.
 */
import {
  graph,
  type Node,
  type OnnxModel,
  type Pass,
  Patch,
  readTensor,
  type TensorData,
  withGraph,
} from "../../onnx/index.js";
import { cast, type Tensor, tensor, tensorFromStorage } from "../../tensor/index.js";

/** Smaller products gain nothing. */
const LEAST_SIZE = 64;

/** Weights are read in one piece each. */
const MOST_BYTES = 2 ** 31;

/** Rows and columns that are zero have a scale too. */
const LEAST_SCALE = 1e-12;

interface Product {
  readonly node: Node;
  readonly weight: Tensor;
  /** The weight lies as [columns, rows]. */
  readonly turned: boolean;
  readonly from: number;
  readonly to: number;
}

/**
 * Largest weight: processors without instructions for such products add pairs of them in 16 bits, where two of 255 x 127 have
 * no room, and two of 255 x 63 have.
 */
export type WeightLimit = 127 | 63;

/** Products whose second factor is a constant matrix; attention, embeddings and small heads stay as they are. */
export const int8Row = (limit: WeightLimit): Pass => ({
  name: "int8-row",
  apply: (model) => {
    const products = productsOf(model);
    if (products.length === 0) return model;
    const patch = new Patch(model.graph, model.opsets);
    const constants = new Constants(patch);
    const rows = new Map<string, Quantised>();
    for (const product of products) {
      const x = product.node.inputs[0]!;
      const known = rows.get(x) ?? quantisedRows(patch, constants, x, product.from);
      rows.set(x, known);
      integerProduct(patch, constants, product, known, limit);
    }
    return withGraph(model, patch.apply());
  },
});

/** A product that is wrong where pairs have no room: 64 x 255 x 127 in each place. */
export function roomProbe(): OnnxModel {
  const g = graph();
  const x = g.input("x", "uint8", ["rows", LEAST_SIZE]);
  const ones = new Int8Array(LEAST_SIZE * LEAST_SIZE).fill(127);
  const weight = g.initializer("weight", tensorFromStorage("int8", [LEAST_SIZE, LEAST_SIZE], ones) as Tensor);
  g.output(g.add("MatMulInteger", [x, weight]), "y");
  return g.model();
}

/** The largest weight that this machine multiplies right, by a run of the probe. */
export async function weightLimit(run: (x: Tensor) => Promise<Tensor>): Promise<WeightLimit> {
  const rows = 8;
  const most = new Uint8Array(rows * LEAST_SIZE).fill(255);
  const y = await run(tensorFromStorage("uint8", [rows, LEAST_SIZE], most) as Tensor);
  const wanted = LEAST_SIZE * 255 * 127;
  return (y.data as unknown as Int32Array).every((value) => value === wanted) ? 127 : 63;
}

function productsOf(model: OnnxModel): Product[] {
  const { graph } = model;
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const constant = (name: string): { readonly data: TensorData; readonly turned: boolean } | undefined => {
    const data = graph.initializers.get(name);
    if (data !== undefined) return { data, turned: false };
    const node = producers.get(name);
    if (node === undefined || node.domain !== "") return undefined;
    if (node.op === "Cast") return constant(node.inputs[0]!);
    if (node.op !== "Transpose") return undefined;
    const inner = constant(node.inputs[0]!);
    return inner === undefined ? undefined : { ...inner, turned: !inner.turned };
  };
  return graph.nodes.flatMap((node): Product[] => {
    if (node.op !== "MatMul" || node.domain !== "") return [];
    const found = constant(node.inputs[1]!);
    if (found === undefined || constant(node.inputs[0]!) !== undefined) return [];
    const { data, turned } = found;
    if (data.dims.length !== 2 || !["float32", "float16", "bfloat16"].includes(data.dtype)) return [];
    const [first, second] = data.dims as [number, number];
    const [from, to] = turned ? [second, first] : [first, second];
    if (from < LEAST_SIZE || to < LEAST_SIZE) return [];
    return [{ node, weight: readTensor(data, { maxBytes: MOST_BYTES }), turned, from, to }];
  });
}

/** Constants of the patch, made once. */
class Constants {
  readonly #patch: Patch;
  readonly #made = new Map<string, string>();

  constructor(patch: Patch) {
    this.#patch = patch;
  }

  of(name: string, make: () => Tensor): string {
    const known = this.#made.get(name) ?? this.#patch.addInitializer(`int8.${name}`, make());
    this.#made.set(name, known);
    return known;
  }

  ints(...values: number[]): string {
    return this.of(`ints:${values.join(",")}`, () => tensor(values.map(BigInt), { dtype: "int64" }));
  }

  number(value: number): string {
    return this.of(`number:${value}`, () => tensor(value, { dtype: "float32" }));
  }
}

interface Quantised {
  /** [rows, size], uint8 around 128: signed activations have no fast kernel. */
  readonly values: string;
  /** [rows, 1]. */
  readonly scales: string;
  /** The sizes before the last. */
  readonly outer: string;
}

function quantisedRows(patch: Patch, constants: Constants, x: string, size: number): Quantised {
  const add = (op: string, inputs: readonly string[], attrs = {}): string =>
    patch.addNode(op, inputs, attrs)[0]!;
  const flat = add("Reshape", [x, constants.ints(-1, size)]);
  const largest = add("ReduceMax", [add("Abs", [flat]), constants.ints(1)], { keepdims: 1 });
  const kept = add("Max", [largest, constants.number(LEAST_SCALE)]);
  const scales = add("Mul", [kept, constants.number(Math.fround(1 / 127))]);
  const single = add("Reshape", [scales, constants.ints(-1)]);
  const middle = constants.of("middle", () => tensorFromStorage("uint8", [1], Uint8Array.of(128)));
  const zeros = add("Expand", [middle, add("Shape", [single])]);
  return {
    values: add("QuantizeLinear", [flat, single, zeros], { axis: 0 }),
    scales,
    outer: add("Shape", [x], { start: 0, end: -1 }),
  };
}

function integerProduct(
  patch: Patch,
  constants: Constants,
  product: Product,
  rows: Quantised,
  limit: WeightLimit,
): void {
  const { node, from, to } = product;
  const { values, scales } = int8Columns(product, limit);
  const output = node.outputs[0]!;
  const add = (op: string, inputs: readonly string[], attrs = {}): string =>
    patch.addNode(op, inputs, attrs)[0]!;
  const weight = patch.addInitializer(
    `int8.${output}.weight`,
    tensorFromStorage("int8", [from, to], values) as Tensor,
  );
  const columns = patch.addInitializer(
    `int8.${output}.scale`,
    tensorFromStorage("float32", [to], scales) as Tensor,
  );
  const middle = constants.of("middle scalar", () => tensorFromStorage("uint8", [], Uint8Array.of(128)));
  const whole = add("Cast", [add("MatMulInteger", [rows.values, weight, middle])], { to: 1 });
  const scaled = add("Mul", [add("Mul", [whole, rows.scales]), columns]);
  const shape = add("Concat", [rows.outer, constants.ints(to)], { axis: 0 });
  patch.addNode("Reshape", [scaled, shape], {}, { outputs: [output] });
  patch.removeNode(node);
}

/** A weight as int8 [from, to], one scale a column. */
function int8Columns(
  { weight, turned, from, to }: Product,
  limit: WeightLimit,
): {
  readonly values: Int8Array;
  readonly scales: Float32Array;
} {
  const source = cast(weight, "float32").contiguous().data as unknown as Float32Array;
  const [rowStep, columnStep] = turned ? [1, from] : [to, 1];
  const scales = new Float32Array(to);
  const values = new Int8Array(from * to);
  for (let column = 0; column < to; column++) {
    let largest = LEAST_SCALE;
    for (let row = 0; row < from; row++)
      largest = Math.max(largest, Math.abs(source[row * rowStep + column * columnStep]!));
    const scale = Math.fround(largest / limit);
    scales[column] = scale;
    for (let row = 0; row < from; row++) {
      const value = Math.round(source[row * rowStep + column * columnStep]! / scale);
      values[row * to + column] = Math.max(-limit, Math.min(limit, value));
    }
  }
  return { values, scales };
}
