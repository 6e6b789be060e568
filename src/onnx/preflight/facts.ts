/** What is known of a graph's values without running it: dims, and the elements of small constants. */
import { type DType, dtypeFromOnnx, dtypeInfo, sizeOf } from "../../tensor/core.js";
import type { Attr, Graph, Node, TensorData, ValueType } from "../graph.js";
import { readTensor } from "../tensor-data.js";

/** A size; null when it is not known. */
type Size = number | null;

export interface Fact {
  readonly dtype: DType | null;
  /** Absent: the rank is not known. */
  readonly dims?: readonly Size[];
  /** Elements of a constant of rank 0 or 1; null where one is not known. */
  readonly values?: readonly Size[];
}

/** Constants up to this length are followed: shapes, axes, scales. */
const MOST_VALUES = 64;
/** Shapes beyond this rank are not followed. */
const MOST_DIMS = 64;

/** The facts of one graph or function body; what it does not define is looked up around it. */
export class Facts {
  readonly #known = new Map<string, Fact | undefined>();
  readonly #graph: Pick<Graph, "inputs" | "initializers" | "valueInfo"> | undefined;
  readonly #inputs = new Map<string, ValueType | undefined>();
  readonly #outer: Facts | undefined;

  constructor(graph?: Pick<Graph, "inputs" | "initializers" | "valueInfo">, outer?: Facts) {
    this.#graph = graph;
    this.#outer = outer;
    for (const { name, type } of graph?.inputs ?? []) this.#inputs.set(name, type);
  }

  /** A graph input of this name is given from outside: it is no constant, even with a default. */
  isInput(name: string): boolean {
    return this.#inputs.has(name) || (this.#outer?.isInput(name) ?? false);
  }

  of(name: string): Fact | undefined {
    if (name === "") return undefined;
    const known = this.#known.get(name);
    if (known !== undefined || this.#known.has(name)) return known;
    if (this.#inputs.has(name)) return this.set(name, fromType(this.#inputs.get(name)));
    const initializer = this.#graph?.initializers.get(name);
    if (initializer !== undefined) return this.set(name, fromTensor(initializer));
    // Where nothing was computed, the declared type counts.
    const declared = this.#graph?.valueInfo.get(name);
    if (declared !== undefined) return this.set(name, fromType(declared.type));
    return this.#outer?.of(name);
  }

  /** Notes what is known of a value. */
  set(name: string, fact: Fact | undefined): Fact | undefined {
    this.#known.set(name, fact);
    return fact;
  }
}

function fromType(type: ValueType | undefined): Fact | undefined {
  if (type?.kind !== "tensor") return undefined;
  const { dtype, shape } = type;
  if (shape === undefined || shape.length > MOST_DIMS) return { dtype };
  return { dtype, dims: shape.map((dim) => (typeof dim === "number" ? dim : null)) };
}

function fromTensor(data: TensorData): Fact {
  const { dtype, dims } = data;
  if (dims.length > MOST_DIMS) return { dtype };
  const values = dims.length > 1 || sizeOf(dims) > MOST_VALUES ? undefined : elementsOf(data);
  return values === undefined ? { dtype, dims } : { dtype, dims, values };
}

function elementsOf(data: TensorData): number[] | undefined {
  const { kind } = dtypeInfo(data.dtype);
  // External data is not read for this.
  if (data.payload.in === "external" || kind === "string" || kind === "complex") return undefined;
  return [readTensor(data).toArray()].flat().map(Number);
}

/** Bytes of a value, sizes that are not known counted as 1; 0 when nothing is known. */
export function leastBytes(fact: Fact | undefined): number {
  if (fact?.dims === undefined) return 0;
  let size = fact.dtype === null ? 8 : dtypeInfo(fact.dtype).bits;
  for (const dim of fact.dims) size *= dim ?? 1;
  return size / 8;
}

// ── what nodes give ────────────────────────────────────────────────────────────────────────────

/** One node as the rules see it. */
interface Step {
  readonly node: Node;
  readonly at: (index: number) => Fact | undefined;
  readonly opset: number;
}

type FactRule = (step: Step) => Fact | undefined;

const first: FactRule = ({ at }) => withoutValues(at(0));

const broadcast: FactRule = ({ at, node }) => {
  const inputs = node.inputs.map((_, i) => at(i));
  const dims = inputs.map((fact) => fact?.dims).reduce(broadcastDims, inputs[0]?.dims);
  return dims === undefined ? undefined : { dtype: inputs[0]?.dtype ?? null, dims };
};

/** Broadcasts, and computes small constants element by element. */
function arithmetic(compute: (a: number, b: number) => number): FactRule {
  return (step) => {
    const shaped = broadcast(step);
    const a = step.at(0)?.values;
    const b = step.at(1)?.values;
    if (shaped === undefined || a === undefined || b === undefined) return shaped;
    const length = Math.max(a.length, b.length);
    if (![1, length].includes(a.length) || ![1, length].includes(b.length)) return shaped;
    const isInt = shaped.dtype !== null && dtypeInfo(shaped.dtype).kind !== "float";
    const values = Array.from({ length }, (_, i) => {
      const x = a[a.length === 1 ? 0 : i]!;
      const y = b[b.length === 1 ? 0 : i]!;
      if (x === null || y === null) return null;
      return isInt ? Math.trunc(compute(x, y)) : compute(x, y);
    });
    return { ...shaped, values };
  };
}

const random: FactRule = ({ node }) => fromValues(intsAttr(node, "shape"), dtypeAttr(node, "float32"));

/** Dims and constants through the ops that make shapes, and through those that make large values of small ones. */
const FACT_RULES: Readonly<Record<string, FactRule>> = {
  Constant: ({ node }) => constantOf(node),
  Identity: ({ at }) => at(0),
  Cast: ({ at, node }) => {
    const fact = at(0);
    return fact === undefined ? undefined : { ...fact, dtype: dtypeAttr(node, null) };
  },
  ...Object.fromEntries(
    (
      "Abs Neg Relu LeakyRelu Sigmoid Tanh Exp Log Sqrt Erf Floor Ceil Round Sign Elu Selu Gelu Softplus Softsign " +
      "HardSigmoid HardSwish Mish Clip Softmax LogSoftmax Hardmax LayerNormalization BatchNormalization " +
      "InstanceNormalization GroupNormalization LRN LpNormalization Dropout Not CumSum ScatterElements ScatterND"
    )
      .split(" ")
      .map((op) => [op, first]),
  ),
  ...Object.fromEntries(
    "Pow Max Min Sum Mean And Or Xor Equal Less Greater LessOrEqual GreaterOrEqual PRelu"
      .split(" ")
      .map((op) => [op, broadcast]),
  ),
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: arithmetic((a, b) => a / b),
  Shape: ({ at, node }) => {
    const dims = at(0)?.dims;
    if (dims === undefined) return { dtype: "int64", dims: [null] };
    return vector(dims.slice(intAttr(node, "start") ?? 0, intAttr(node, "end") ?? dims.length));
  },
  Size: ({ at }) => {
    const dims = at(0)?.dims;
    const size = dims?.includes(null) ? null : dims?.reduce<number>((all, dim) => all * dim!, 1);
    return { dtype: "int64", dims: [], ...(size == null ? {} : { values: [size] }) };
  },
  Gather: ({ at }) => {
    const [values, picks] = [at(0)?.values, at(1)?.values];
    if (values === undefined || picks === undefined) return undefined;
    const taken = picks.map((pick) => (pick === null ? null : (values.at(pick) ?? null)));
    return { dtype: at(0)!.dtype, dims: at(1)!.dims ?? [], values: taken };
  },
  Slice: ({ at, node, opset }) => {
    const values = at(0)?.values;
    const bound = (name: string, index: number): Size | undefined =>
      opset < 10 ? intsAttr(node, name)?.[0] : at(index)?.values?.[0];
    const [start, end] = [bound("starts", 1), bound("ends", 2)];
    const step = node.inputs[4] ? at(4)?.values?.[0] : 1;
    if (values === undefined || start == null || end == null || step !== 1) return undefined;
    return vector(values.slice(start, end), at(0)!.dtype);
  },
  Concat: ({ at, node }) => concatenated(node, at),
  Unsqueeze: ({ at }) => reshapedValues(at(0), 1),
  Squeeze: ({ at }) => reshapedValues(at(0), 0),
  Reshape: ({ at }) => {
    const target = at(1)?.values;
    if (target === undefined) return undefined;
    const dims = target.map((size) => (size === null || size <= 0 ? null : size));
    const values = at(0)?.values;
    return { dtype: at(0)?.dtype ?? null, dims, ...(values && dims.length <= 1 ? { values } : {}) };
  },
  Transpose: ({ at, node }) => {
    const fact = at(0);
    const order = intsAttr(node, "perm");
    if (fact?.dims === undefined || order === undefined) return undefined;
    return { dtype: fact.dtype, dims: order.map((axis) => fact.dims![axis] ?? null) };
  },
  ConstantOfShape: ({ at, node }) => {
    const value = node.attrs.get("value");
    const filled = value?.kind === "tensor" ? fromTensor(value.value) : undefined;
    return fromValues(at(0)?.values, filled?.dtype ?? "float32");
  },
  Expand: ({ at }) => {
    const shape = at(1)?.values;
    if (shape === undefined) return undefined;
    return { dtype: at(0)?.dtype ?? null, dims: broadcastDims(shape, at(0)?.dims) ?? shape };
  },
  Tile: ({ at, node, opset }) => {
    if (opset < 6 || node.inputs.length > 2) return undefined;
    const repeats = at(1)?.values;
    const dims = at(0)?.dims;
    if (repeats === undefined) return undefined;
    return {
      dtype: at(0)?.dtype ?? null,
      dims: repeats.map((count, axis) => (count === null ? null : (dims?.[axis] ?? 1) * count)),
    };
  },
  Range: ({ at }) => {
    const [start, limit, delta] = [0, 1, 2].map((i) => at(i)?.values?.[0]);
    const known = start != null && limit != null && delta != null && delta !== 0;
    const length = known ? Math.max(0, Math.ceil((limit - start) / delta)) : null;
    return { dtype: at(0)?.dtype ?? null, dims: [length] };
  },
  RandomNormal: random,
  RandomUniform: random,
  RandomNormalLike: first,
  RandomUniformLike: first,
  Pad: ({ at, node, opset }) => {
    const dims = at(0)?.dims;
    const pads = opset < 11 ? intsAttr(node, "pads") : at(1)?.values;
    if (dims === undefined || pads?.length !== 2 * dims.length || node.inputs[3]) return undefined;
    const padded = dims.map((dim, axis) => (dim ?? 1) + (pads[axis] ?? 0) + (pads[axis + dims.length] ?? 0));
    return { dtype: at(0)!.dtype, dims: padded };
  },
  Upsample: ({ at, node, opset }) => {
    const scales = opset < 9 ? floatsAttr(node, "scales") : at(1)?.values;
    return scaled(at(0), scales);
  },
  Resize: ({ at, node, opset }) => {
    if (node.attrs.has("axes")) return undefined;
    const sizes = opset < 11 ? undefined : at(3)?.values;
    if (sizes !== undefined && sizes.length > 0) return { dtype: at(0)?.dtype ?? null, dims: sizes };
    return scaled(at(0), at(opset < 11 ? 1 : 2)?.values);
  },
  OneHot: ({ at }) => {
    const [dims, depth] = [at(0)?.dims, at(1)?.values?.[0]];
    return depth == null ? undefined : { dtype: at(2)?.dtype ?? null, dims: [...(dims ?? []), depth] };
  },
};

/** What the first output of a node is known to be; undefined for ops that are not followed. */
export function factOf(node: Node, facts: Facts, opset: number): Fact | undefined {
  if (node.domain !== "" || !Object.hasOwn(FACT_RULES, node.op)) return undefined;
  const fact = FACT_RULES[node.op]!({ node, opset, at: (index) => facts.of(node.inputs[index] ?? "") });
  if (fact?.dims !== undefined && fact.dims.length > MOST_DIMS) return { dtype: fact.dtype };
  return fact;
}

function withoutValues(fact: Fact | undefined): Fact | undefined {
  if (fact?.values === undefined) return fact;
  return fact.dims === undefined ? { dtype: fact.dtype } : { dtype: fact.dtype, dims: fact.dims };
}

function vector(values: readonly Size[], dtype: DType | null = "int64"): Fact {
  return { dtype, dims: [values.length], values };
}

/** A value whose dims are the elements of a constant. */
function fromValues(dims: readonly Size[] | undefined, dtype: DType | null): Fact | undefined {
  return dims === undefined ? undefined : { dtype, dims };
}

function reshapedValues(fact: Fact | undefined, rank: 0 | 1): Fact | undefined {
  if (fact?.values?.length !== 1) return undefined;
  return { dtype: fact.dtype, dims: rank === 1 ? [1] : [], values: fact.values };
}

function broadcastDims(
  a: readonly Size[] | undefined,
  b: readonly Size[] | undefined,
): readonly Size[] | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a === b) return a;
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = i < rank - a.length ? 1 : a[i - rank + a.length]!;
    const y = i < rank - b.length ? 1 : b[i - rank + b.length]!;
    if (x === 1) return y;
    return y === 1 || y === null || (x !== null && x >= y) ? x : y;
  });
}

function concatenated(node: Node, at: Step["at"]): Fact | undefined {
  const inputs = node.inputs.map((_, i) => at(i));
  const rank = inputs[0]?.dims?.length;
  if (rank === undefined || inputs.some((fact) => fact?.dims?.length !== rank)) return undefined;
  const axis = intAttr(node, "axis") ?? 1;
  const along = axis < 0 ? axis + rank : axis;
  const dims = inputs[0]!.dims!.map((dim, i) =>
    i !== along ? dim : inputs.reduce((sum, fact) => sum + (fact!.dims![i] ?? 1), 0),
  );
  const dtype = inputs[0]!.dtype;
  const length = dims[0];
  const small = rank === 1 && length != null && length <= MOST_VALUES;
  if (!small || inputs.some((fact) => fact!.values === undefined)) return { dtype, dims };
  return { dtype, dims, values: inputs.flatMap((fact) => fact!.values!) };
}

function scaled(fact: Fact | undefined, scales: readonly Size[] | undefined): Fact | undefined {
  if (fact?.dims === undefined || scales?.length !== fact.dims.length) return undefined;
  const dims = fact.dims.map((dim, axis) => Math.floor((dim ?? 1) * (scales[axis] ?? 1)));
  return { dtype: fact.dtype, dims };
}

// ── attributes ─────────────────────────────────────────────────────────────────────────────────

function constantOf(node: Node): Fact | undefined {
  for (const attr of node.attrs.values()) {
    if (attr.kind === "tensor") return fromTensor(attr.value);
    if (attr.kind === "int") return { dtype: "int64", dims: [], values: [Number(attr.value)] };
    if (attr.kind === "float") return { dtype: "float32", dims: [], values: [attr.value] };
    if (attr.kind === "ints" && attr.value.length <= MOST_VALUES) return vector(attr.value.map(Number));
    if (attr.kind === "floats" && attr.value.length <= MOST_VALUES) return vector(attr.value, "float32");
  }
  return undefined;
}

function attrOf<K extends Attr["kind"]>(
  node: Node,
  name: string,
  kind: K,
): Extract<Attr, { kind: K }> | undefined {
  const attr = node.attrs.get(name);
  return attr?.kind === kind ? (attr as Extract<Attr, { kind: K }>) : undefined;
}

function intAttr(node: Node, name: string): number | undefined {
  const attr = attrOf(node, name, "int");
  return attr === undefined ? undefined : Number(attr.value);
}

function intsAttr(node: Node, name: string): readonly number[] | undefined {
  const attr = attrOf(node, name, "ints");
  return attr === undefined || attr.value.length > MOST_DIMS * 2 ? undefined : attr.value.map(Number);
}

export function intsLength(node: Node, name: string): number | undefined {
  return attrOf(node, name, "ints")?.value.length;
}

function floatsAttr(node: Node, name: string): readonly number[] | undefined {
  const attr = attrOf(node, name, "floats");
  return attr === undefined || attr.value.length > MOST_DIMS ? undefined : attr.value;
}

function dtypeAttr(node: Node, fallback: DType | null): DType | null {
  const code = intAttr(node, node.op === "Cast" ? "to" : "dtype");
  return code === undefined ? fallback : (dtypeFromOnnx(code) ?? null);
}
