/** Every operation of tenon/tensor on seeded random shapes, dtypes and views, with the tolerance that it may claim. */
import * as t from "tenon/tensor";

type Tensor = t.Tensor;
type DType = t.DType;
export type Options = Record<string, unknown>;

// ── random inputs ──────────────────────────────────────────────────────────────────────────────

let state = 20260101;

/** mulberry32: the same sequence everywhere. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let x = Math.imul(state ^ (state >>> 15), state | 1);
  x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
  return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
}

const below = (n: number): number => Math.floor(random() * n);
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
const shapeOf = (rank: number, most = 6): number[] => Array.from({ length: rank }, () => 1 + below(most));

const FLOATS = ["float64", "float32", "float16"] as const;
const INTS = ["int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"] as const;
const NUMBERS = [...FLOATS, ...INTS] as const;

/** What the values of an operand are. */
type Range = "any" | "finite" | "positive" | "small" | "exponent" | "distinct";

function value(dtype: DType, range: Range): number | bigint | boolean {
  const { kind, bits } = t.dtypeInfo(dtype);
  if (kind === "bool") return random() < 0.5;
  if (kind === "float") {
    if (range === "any" && random() < 0.15) return pick([Number.NaN, 1 / 0, -1 / 0, 0, -0, 0.5, -1.5, 2.5]);
    const magnitude = random() * (range === "exponent" ? 3 : 4) + (range === "positive" ? 0.1 : 0);
    return range === "positive" || random() < 0.5 ? magnitude : -magnitude;
  }
  const most =
    range === "any" && bits < 64 ? 2 ** (kind === "int" ? bits - 1 : bits) : range === "exponent" ? 6 : 4;
  const number =
    below(most) * (kind === "int" && range !== "exponent" && range !== "positive" && random() < 0.5 ? -1 : 1);
  return bits === 64 ? BigInt(range === "any" ? number * 0x3fffffff : number) : number;
}

/** A tensor of a shape behind a random layout: dense, transposed, reversed or with gaps. */
function operand(dtype: DType, shape: readonly number[], range: Range = "any"): Tensor {
  const gaps = shape.map(() => (random() < 0.25 ? 2 : 1));
  const order = shape.map((_, axis) => axis);
  if (random() < 0.5) order.sort(() => random() - 0.5);
  const stored = order.map((axis) => shape[axis]! * gaps[axis]!);
  const size = stored.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: size }, (_, i) =>
    range === "distinct" ? (i * 7919) % 10007 : value(dtype, range),
  );
  const flat = t.tensor(values as number[], { dtype, shape: stored }) as Tensor;
  const back = order.map((_, axis) => order.indexOf(axis));
  const straight = flat.rank === 0 ? flat : flat.transpose(...back);
  const steps = shape.map((dim, axis) => {
    const step = gaps[axis]!;
    return random() < 0.25 ? ([null, null, -step] as const) : ([0, dim * step, step] as const);
  });
  return straight.slice(...steps);
}

/** Two or three shapes that broadcast together. */
function broadcasting(count: number): number[][] {
  const full = shapeOf(below(4), pick([3, 6, 40]));
  return Array.from({ length: count }, () =>
    full.slice(random() < 0.3 ? below(full.length + 1) : 0).map((dim) => (random() < 0.25 ? 1 : dim)),
  );
}

// ── operations ─────────────────────────────────────────────────────────────────────────────────

/** How near a result must be: equal, or within so many units in the last place of its dtype. */
export type Tolerance = "exact" | number;

export interface Case {
  readonly inputs: readonly Tensor[];
  readonly options: Options;
  readonly run: () => Tensor;
}

export interface Operation {
  readonly tolerance: Tolerance;
  readonly make: () => Case;
}

export const OPERATIONS: Record<string, Operation> = {};

function operation(name: string, tolerance: Tolerance, make: () => Case): void {
  OPERATIONS[name] = { tolerance, make };
}

function binary(
  name: string,
  dtypes: readonly DType[],
  tolerance: Tolerance,
  f: (a: Tensor, b: Tensor) => Tensor,
  ranges: readonly [Range, Range] = ["any", "any"],
): void {
  operation(name, tolerance, () => {
    const dtype = pick(dtypes);
    const [left, right] = broadcasting(2);
    const a = operand(dtype, left!, ranges[0]);
    const b = operand(dtype, right!, ranges[1]);
    return { inputs: [a, b], options: {}, run: () => f(a, b) };
  });
}

function unary(
  name: string,
  dtypes: readonly DType[],
  tolerance: Tolerance,
  f: (x: Tensor) => Tensor,
  range: Range = "any",
): void {
  operation(name, tolerance, () => {
    const x = operand(pick(dtypes), shapeOf(below(4), pick([4, 40])), range);
    return { inputs: [x], options: {}, run: () => f(x) };
  });
}

binary("add", NUMBERS, "exact", t.add);
binary("sub", NUMBERS, "exact", t.sub);
binary("mul", NUMBERS, "exact", t.mul);
binary("div", FLOATS, "exact", t.div);
binary("mod", NUMBERS, "exact", t.mod);
binary("pow", NUMBERS, 4, t.pow, ["positive", "exponent"]);
binary("minimum", [...NUMBERS, "bool"], "exact", t.minimum);
binary("maximum", [...NUMBERS, "bool"], "exact", t.maximum);
for (const [name, f] of Object.entries({
  equal: t.equal,
  notEqual: t.notEqual,
  less: t.less,
  lessEqual: t.lessEqual,
  greater: t.greater,
  greaterEqual: t.greaterEqual,
})) {
  binary(name, [...NUMBERS, "bool"], "exact", f, ["small", "small"]);
}
for (const [name, f] of Object.entries({
  logicalAnd: t.logicalAnd,
  logicalOr: t.logicalOr,
  logicalXor: t.logicalXor,
})) {
  binary(name, ["bool"], "exact", (a, b) => f(a as t.Tensor<"bool">, b as t.Tensor<"bool">));
}
unary("logicalNot", ["bool"], "exact", (x) => t.logicalNot(x as t.Tensor<"bool">));
for (const [name, f] of Object.entries({
  neg: t.neg,
  abs: t.abs,
  sign: t.sign,
  square: t.square,
  relu: t.relu,
}))
  unary(name, NUMBERS, "exact", f);
for (const [name, f] of Object.entries({ floor: t.floor, ceil: t.ceil, trunc: t.trunc, round: t.round }))
  unary(name, FLOATS, "exact", f);
for (const [name, f] of Object.entries({ sqrt: t.sqrt, reciprocal: t.reciprocal }))
  unary(name, FLOATS, "exact", f);
for (const [name, f] of Object.entries({
  exp: t.exp,
  expm1: t.expm1,
  sin: t.sin,
  cos: t.cos,
  tanh: t.tanh,
  sigmoid: t.sigmoid,
  erf: t.erf,
})) {
  unary(name, FLOATS, 4, f);
}
for (const [name, f] of Object.entries({ log: t.log, log1p: t.log1p, log2: t.log2 }))
  unary(name, FLOATS, 4, f);
for (const [name, f] of Object.entries({ isNan: t.isNan, isInfinite: t.isInfinite }))
  unary(name, FLOATS, "exact", f);

operation("where", "exact", () => {
  const dtype = pick([...NUMBERS, "bool", "string", "complex64"] as const);
  const [c, a, b] = broadcasting(3);
  const texts = (shape: readonly number[]): Tensor =>
    t.tensor(
      Array.from({ length: shape.reduce((x, y) => x * y, 1) }, () => pick(["a", "bé", ""])),
      { shape },
    );
  const pairs = (shape: readonly number[]): Tensor =>
    t.tensor(
      Float32Array.from({ length: 2 * shape.reduce((x, y) => x * y, 1) }, () => below(9)),
      { dtype: "complex64", shape },
    );
  const make =
    dtype === "string" ? texts : dtype === "complex64" ? pairs : (shape: number[]) => operand(dtype, shape);
  const inputs = [operand("bool", c!), make(a!), make(b!)] as const;
  return { inputs, options: {}, run: () => t.where(inputs[0] as t.Tensor<"bool">, inputs[1], inputs[2]) };
});

operation("clip", "exact", () => {
  const dtype = pick(NUMBERS);
  const [a, b, c] = broadcasting(3);
  const [x, low, high] = [operand(dtype, a!), operand(dtype, b!, "small"), operand(dtype, c!, "small")];
  return { inputs: [x, low, high], options: {}, run: () => t.clip(x, low, high) };
});

function axesOf(rank: number): { axis?: number | number[]; keepDims: boolean } {
  const keepDims = random() < 0.5;
  const choice = below(3);
  if (choice === 0 || rank === 0) return { keepDims };
  if (choice === 1) return { axis: below(rank) - (random() < 0.5 ? rank : 0), keepDims };
  return { axis: Array.from({ length: rank }, (_, i) => i).filter(() => random() < 0.6), keepDims };
}

function reduction(
  name: string,
  dtypes: readonly DType[],
  tolerance: Tolerance,
  range: Range,
  f: (x: Tensor, options: never) => Tensor,
  more: () => Options = () => ({}),
): void {
  operation(name, tolerance, () => {
    const x = operand(pick(dtypes), shapeOf(below(4), pick([4, 12, 40])), range);
    const options = { ...axesOf(x.rank), ...more() };
    return { inputs: [x], options, run: () => f(x, options as never) };
  });
}

const SUMMABLE = [...FLOATS, "int64", "int32"] as const;
reduction("sum", SUMMABLE, 2, "small", t.sum);
reduction("prod", FLOATS, 4, "positive", t.prod);
reduction("mean", FLOATS, 2, "finite", t.mean);
reduction("max", [...NUMBERS, "bool"], "exact", "any", t.max);
reduction("min", [...NUMBERS, "bool"], "exact", "any", t.min);
reduction("std", FLOATS, 64, "finite", t.std, () => ({ correction: 0 }));
reduction("variance", FLOATS, 64, "finite", t.variance, () => ({ correction: below(2) }));
for (const [name, f] of Object.entries({ argmax: t.argmax, argmin: t.argmin })) {
  operation(name, "exact", () => {
    const x = operand(pick([...NUMBERS, "bool"] as const), shapeOf(1 + below(3), 12), "any");
    const options = { axis: random() < 0.3 ? undefined : below(x.rank), keepDims: random() < 0.5 };
    return { inputs: [x], options, run: () => f(x, options) };
  });
}

function along(
  name: string,
  dtypes: readonly DType[],
  tolerance: Tolerance,
  range: Range,
  f: (x: Tensor, options: never) => Tensor,
  more: (x: Tensor, axis: number) => Options = () => ({}),
): void {
  operation(name, tolerance, () => {
    const x = operand(pick(dtypes), shapeOf(1 + below(3), pick([5, 30])), range);
    const axis = below(x.rank) - (random() < 0.5 ? x.rank : 0);
    const options = { axis, ...more(x, axis) };
    return { inputs: [x], options, run: () => f(x, options as never) };
  });
}

along("softmax", FLOATS, 4, "finite", t.softmax);
// The result is a difference: near 0 its last places are those of the operands.
along("logSoftmax", FLOATS, 64, "finite", t.logSoftmax);
along("cumsum", NUMBERS, 64, "positive", t.cumsum);
along("sort", NUMBERS, "exact", "any", t.sort, () => ({ descending: random() < 0.3 }));
along("argsort", NUMBERS, "exact", "any", t.argsort);
along(
  "topK",
  [...FLOATS, "int32", "int64", "int8"],
  "exact",
  "small",
  (x, o: { k: number; axis: number; largest: boolean }) => t.topK(x, o.k, o).indices,
  (x, axis) => ({ k: 1 + below(x.shape.at(axis)!), largest: random() < 0.5 }),
);
along("normalize", ["float64", "float32"], 4, "finite", t.normalize);
along(
  "standardize",
  ["float64", "float32"],
  16,
  "positive",
  (x, o: { axis: number; mean: number[]; std: number[] }) => t.standardize(x, o),
  (x, axis) => ({
    mean: Array.from({ length: x.shape.at(axis)! }, () => -1 - below(4)),
    std: Array.from({ length: x.shape.at(axis)! }, () => 2 ** below(3)),
  }),
);

operation("matmul", 32, () => {
  const dtype = pick(NUMBERS);
  const [m, k, n] = [1 + below(9), 1 + below(pick([5, 700])), 1 + below(9)];
  const [left, right] = broadcasting(2).map((shape) => shape.slice(-2));
  const range = "positive";
  const a = operand(dtype, random() < 0.2 ? [k] : [...left!, m, k], range);
  const b = operand(dtype, random() < 0.2 ? [k] : [...right!, k, n], range);
  return { inputs: [a, b], options: {}, run: () => t.matmul(a, b) };
});

for (const [name, f] of Object.entries({ concat: t.concat, stack: t.stack })) {
  operation(name, "exact", () => {
    const dtype = pick([...NUMBERS, "bool"] as const);
    const shape = shapeOf(1 + below(3));
    const axis = below(shape.length + (name === "stack" ? 1 : 0));
    const inputs = Array.from({ length: 1 + below(4) }, () =>
      operand(dtype, name === "stack" ? shape : shape.map((dim, i) => (i === axis ? 1 + below(5) : dim))),
    );
    return { inputs, options: { axis }, run: () => f(inputs, { axis }) };
  });
}

operation("pad", "exact", () => {
  const mode = pick(["constant", "edge", "reflect"] as const);
  const x = operand(
    pick(NUMBERS),
    shapeOf(1 + below(3)).map((dim) => dim + 1),
  );
  const pads = x.shape.map((dim) => [below(dim), below(dim)] as const);
  return { inputs: [x], options: { mode, pads, value: 3 }, run: () => t.pad(x, pads, { mode, value: 3 }) };
});

operation("take", "exact", () => {
  const x = operand(pick(NUMBERS), shapeOf(1 + below(3)));
  const axis = below(x.rank);
  const dim = x.shape[axis]!;
  const shape = shapeOf(below(3), 4);
  const indices = t.tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => below(2 * dim) - dim),
    { dtype: "int64", shape },
  );
  return { inputs: [x, indices], options: { axis }, run: () => t.take(x, indices, { axis }) };
});

operation("oneHot", "exact", () => {
  const depth = 1 + below(6);
  const dtype = pick(["float32", "int64", "bool", "float16"] as const);
  const shape = shapeOf(below(3), 4);
  const size = shape.reduce((a, b) => a * b, 1);
  const indices = t.tensor(
    Array.from({ length: size }, () => below(depth)),
    { dtype: "int32", shape },
  );
  const axis = below(shape.length + 1);
  return {
    inputs: [indices],
    options: { depth, dtype, axis },
    run: () => t.oneHot(indices, depth, { dtype, axis }),
  };
});

operation("cast", "exact", () => {
  const [from, dtype] = [pick([...NUMBERS, "bool"] as const), pick([...NUMBERS, "bool"] as const)];
  const x = operand(from, shapeOf(below(4)), "positive");
  return { inputs: [x], options: { dtype }, run: () => t.cast(x, dtype) };
});

operation("arange", 1, () => {
  const options = { start: below(9) - 4, stop: below(20), step: pick([1, 2, 0.25]), dtype: pick(FLOATS) };
  const { start, stop, step, dtype } = options;
  return { inputs: [], options, run: () => t.arange(start, stop, step, { dtype }) };
});

operation("linspace", 1, () => {
  const options = { start: below(9) - 4, stop: below(20), count: 1 + below(30), dtype: pick(FLOATS) };
  const { start, stop, count, dtype } = options;
  return { inputs: [], options, run: () => t.linspace(start, stop, count, { dtype }) };
});

operation("eye", "exact", () => {
  const options = {
    n: 1 + below(4),
    columns: 1 + below(4),
    dtype: pick([...NUMBERS, "bool", "complex64"] as const),
  };
  return { inputs: [], options, run: () => t.eye(options.n, options) };
});

operation("full", "exact", () => {
  const options = { shape: shapeOf(below(4)), value: below(100), dtype: pick(NUMBERS) };
  return { inputs: [], options, run: () => t.full(options.dtype, options.shape, options.value) };
});

operation("view", "exact", () => {
  const x = operand(pick(NUMBERS), shapeOf(1 + below(3)));
  const order = x.shape.map((_, i) => i).sort(() => random() - 0.5);
  const bound = (): number | null => (random() < 0.3 ? null : below(15) - 7);
  const steps = x.shape.map(() => [bound(), bound(), pick([1, 2, 3, -1, -2])] as const);
  return { inputs: [x], options: { order, steps }, run: () => x.transpose(...order).slice(...steps) };
});

operation("identity", "exact", () => {
  const texts = t.tensor(
    Array.from({ length: 6 }, () => pick(["", "a", "héllo", "🙂", "x y"])),
    { shape: [2, 3] },
  );
  const pairs = t.tensor(Float64Array.from({ length: 8 }, random), { dtype: "complex128" });
  const x = pick<Tensor>([texts, texts.transpose(), pairs, operand("bool", [5])]);
  return { inputs: [x], options: {}, run: () => x };
});
