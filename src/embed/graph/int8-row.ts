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

const MOST_STEP = 255;

interface Product {
  readonly node: Node;
  readonly weight: Tensor;
  /** The weight lies as [columns, rows]. */
  readonly turned: boolean;
  readonly from: number;
  readonly to: number;
}

/**
 * What the sums of the machine hold. `whole`: any products. Processors without instructions for them add the products of two
 * neighbours in 16 bits, which hold 255 x 128: `pairs` of weights have that sum at most; and where other places than
 * neighbours are added, every weight is at most `half`.
 */
export type WeightRoom = "whole" | "pairs" | "half";

/** Products whose second factor is a constant matrix; attention, embeddings and small heads stay as they are. */
export const int8Row = (room: WeightRoom): Pass => ({
  name: "int8-row",
  apply: (model) => {
    const products = productsOf(model);
    if (products.length === 0) return model;
    const patch = new Patch(model.graph, model.opsets);
    const constants = new Constants(patch);
    const rows = new Map<string, Quantised>();
    const producers = producersOf(model);
    const users = usersOf(model);
    for (const product of products) {
      const x = product.node.inputs[0]!;
      const middle = producers.get(x)?.op === "Gelu" ? BEHIND_GELU : MIDDLE;
      const known = rows.get(x) ?? quantisedRows(patch, constants, x, product.from, middle);
      rows.set(x, known);
      const flat = integerProduct(patch, constants, product, known, room);
      const last = elementwise(patch, model, users, product, flat);
      const shape = patch.addNode("Concat", [known.outer, constants.ints(product.to)], { axis: 0 })[0]!;
      patch.addNode("Reshape", [last.flat, shape], {}, { outputs: [last.name] });
    }
    return withGraph(model, patch.apply());
  },
});

const PROBES = {
  whole: () => 127,
  pairs: (row: number) => (row % 2 === 0 ? 127 : 1),
} as const;

/** Products that are wrong where sums have no room: of the largest weights, and of the largest pairs of neighbours. */
export function roomProbe(): OnnxModel {
  const g = graph();
  const x = g.input("x", "uint8", ["rows", LEAST_SIZE]);
  for (const [name, weightOf] of Object.entries(PROBES)) {
    const weights = Int8Array.from({ length: LEAST_SIZE ** 2 }, (_, i) =>
      weightOf(Math.floor(i / LEAST_SIZE)),
    );
    const shape = [LEAST_SIZE, LEAST_SIZE];
    const weight = g.initializer(name, tensorFromStorage("int8", shape, weights) as Tensor);
    g.output(g.add("MatMulInteger", [x, weight]), `${name}.y`);
  }
  return g.model();
}

/** What this machine's sums hold, by a run of the probe. */
export async function weightRoom(
  run: (x: Tensor) => Promise<Readonly<Record<string, Tensor>>>,
): Promise<WeightRoom> {
  const rows = 8;
  const most = new Uint8Array(rows * LEAST_SIZE).fill(255);
  const outputs = await run(tensorFromStorage("uint8", [rows, LEAST_SIZE], most) as Tensor);
  const isRight = (name: keyof typeof PROBES): boolean => {
    const weightOf: (row: number) => number = PROBES[name];
    const wanted = Array.from({ length: LEAST_SIZE }, (_, row) => 255 * weightOf(row));
    const sum = wanted.reduce((total, value) => total + value, 0);
    return (outputs[`${name}.y`]!.data as unknown as Int32Array).every((value) => value === sum);
  };
  if (isRight("whole")) return "whole";
  return isRight("pairs") ? "pairs" : "half";
}

function producersOf({ graph }: OnnxModel): ReadonlyMap<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
}

function usersOf({ graph }: OnnxModel): ReadonlyMap<string, readonly Node[]> {
  const users = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const name of new Set(node.inputs)) users.set(name, [...(users.get(name) ?? []), node]);
  return users;
}

function productsOf(model: OnnxModel): Product[] {
  const { graph } = model;
  const producers = producersOf(model);
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

  /** A value that several products share. */
  node(name: string, make: () => string): string {
    const known = this.#made.get(name) ?? make();
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

/** Where zero lies among the 256 steps: in the middle, or, since no value of Gelu is below -0.17, near the lower end. */
const MIDDLE = 128;
const BEHIND_GELU = 16;

interface Quantised {
  /** [rows, size], uint8 around `zero`: signed activations have no fast kernel. */
  readonly values: string;
  readonly zero: string;
  /** [rows, 1]. */
  readonly scales: string;
  /** The sizes before the last. */
  readonly outer: string;
}

function quantisedRows(
  patch: Patch,
  constants: Constants,
  x: string,
  size: number,
  middle: number,
): Quantised {
  const add = (op: string, inputs: readonly string[], attrs = {}): string =>
    patch.addNode(op, inputs, attrs)[0]!;
  const flat = add("Reshape", [x, constants.ints(-1, size)]);
  // The steps reach the largest and the least value, whichever asks for wider ones.
  const above = constants.number(Math.fround(1 / (MOST_STEP - middle)));
  const below = constants.number(Math.fround(-1 / middle));
  const largest = add("ReduceMax", [flat, constants.ints(1)], { keepdims: 1 });
  const least = add("ReduceMin", [flat, constants.ints(1)], { keepdims: 1 });
  const up = add("Mul", [largest, above]);
  const down = add("Mul", [least, below]);
  const scales = add("Max", [up, down, constants.number(LEAST_SCALE)]);
  const single = add("Reshape", [scales, constants.ints(-1)]);
  const zeroOf = (name: string, shape: readonly number[]): string =>
    constants.of(
      `${name}:${middle}`,
      () => tensorFromStorage("uint8", shape, Uint8Array.of(middle)) as Tensor,
    );
  const zeros = add("Expand", [zeroOf("zeros", [1]), add("Shape", [single])]);
  return {
    values: add("QuantizeLinear", [flat, single, zeros], { axis: 0 }),
    zero: zeroOf("zero", []),
    scales,
    outer: add("Shape", [x], { start: 0, end: -1 }),
  };
}

/**
 * One, in a form that no optimiser folds: `Mul(Cast(MatMulInteger), Mul(one, columns))` is what ONNX Runtime computes in one
 * pass over the product.
 */
function one(patch: Patch, constants: Constants, rows: Quantised): string {
  return constants.node("one", () => {
    const size = patch.addNode("Cast", patch.addNode("Size", [rows.values]), { to: 1 });
    return patch.addNode("Clip", [size[0]!, constants.number(1), constants.number(1)])[0]!;
  });
}

function integerProduct(
  patch: Patch,
  constants: Constants,
  product: Product,
  rows: Quantised,
  room: WeightRoom,
): string {
  const { node, from, to } = product;
  const { values, scales } = int8Columns(product, room);
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
  const whole = add("Cast", [add("MatMulInteger", [rows.values, weight, rows.zero])], { to: 1 });
  const scaled = add("Mul", [whole, add("Mul", [one(patch, constants, rows), columns])]);
  patch.removeNode(node);
  return add("Mul", [scaled, rows.scales]);
}

/**
 * Takes the bias and the Gelu that follow a product along, before it gets its shape back: only beside each other, and with a
 * last size that is known, do they run in one pass.
 */
function elementwise(
  patch: Patch,
  { graph }: OnnxModel,
  users: ReadonlyMap<string, readonly Node[]>,
  { node, to }: Product,
  flat: string,
): { readonly flat: string; readonly name: string } {
  const follower = (name: string, op: string): Node | undefined => {
    const [only, ...others] = users.get(name) ?? [];
    const alone = only !== undefined && others.length === 0 && !graph.outputs.some((o) => o.name === name);
    return alone && only.op === op && only.domain === "" ? only : undefined;
  };
  const product = node.outputs[0]!;
  const sum = follower(product, "Add");
  const bias = sum?.inputs.find((name) => name !== product);
  if (sum === undefined || bias === undefined || graph.initializers.get(bias)?.dims.join() !== String(to))
    return { flat, name: product };
  patch.removeNode(sum);
  const biased = patch.addNode("Add", [flat, bias])[0]!;
  const gelu = follower(sum.outputs[0]!, "Gelu");
  if (gelu === undefined) return { flat: biased, name: sum.outputs[0]! };
  patch.removeNode(gelu);
  const kind = gelu.attrs.get("approximate");
  const attrs = kind?.kind === "string" && typeof kind.value === "string" ? { approximate: kind.value } : {};
  return { flat: patch.addNode("Gelu", [biased], attrs)[0]!, name: gelu.outputs[0]! };
}

/** The largest weights that are tried for a column: finer steps against fewer pairs that have no room. */
const LARGEST: { readonly [R in WeightRoom]: readonly number[] } = {
  whole: [127],
  pairs: [127, 96, 64],
  half: [63],
};
const MOST_PAIR = 128;

/** A weight as int8 [from, to], one scale a column. */
function int8Columns(
  { weight, turned, from, to }: Product,
  room: WeightRoom,
): {
  readonly values: Int8Array;
  readonly scales: Float32Array;
} {
  const source = cast(weight, "float32").contiguous().data as unknown as Float32Array;
  const [rowStep, columnStep] = turned ? [1, from] : [to, 1];
  const scales = new Float32Array(to);
  const values = new Int8Array(from * to);
  const column = new Float32Array(from);
  const tried = new Int8Array(from);
  for (let at = 0; at < to; at++) {
    let largest = LEAST_SCALE;
    for (let row = 0; row < from; row++) {
      column[row] = source[row * rowStep + at * columnStep]!;
      largest = Math.max(largest, Math.abs(column[row]!));
    }
    let least = Number.POSITIVE_INFINITY;
    for (const limit of LARGEST[room]) {
      const scale = Math.fround(largest / limit);
      const error = quantiseColumn(column, scale, room === "pairs", tried);
      if (error >= least) continue;
      least = error;
      scales[at] = scale;
      for (let row = 0; row < from; row++) values[row * to + at] = tried[row]!;
    }
  }
  return { values, scales };
}

/** Rounds a column to steps of `scale`, neighbours cut where they have no room together; gives the sum of squared errors. */
function quantiseColumn(column: Float32Array, scale: number, pairs: boolean, into: Int8Array): number {
  const steps = 1 / scale;
  let error = 0;
  for (let row = 0; row < column.length; row += 2) {
    const a = column[row]! * steps;
    const b = row + 1 < column.length ? column[row + 1]! * steps : 0;
    // Rounds halves up, as Math.round does, for numbers above -256.
    let first = ((a + 256.5) | 0) - 256;
    let second = ((b + 256.5) | 0) - 256;
    if (pairs) {
      const over = Math.abs(first + second) - MOST_PAIR;
      if (over > 0) {
        const share = first + second > 0 ? 1 : -1;
        first -= share * ((over + 1) >> 1);
        second -= share * (over >> 1);
      }
    }
    into[row] = first;
    if (row + 1 < column.length) into[row + 1] = second;
    error += (a - first) * (a - first) + (b - second) * (b - second);
  }
  return error * scale * scale;
}
