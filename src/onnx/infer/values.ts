/** Values of small tensors through shape arithmetic, so that targets of Reshape, Expand and Slice become known. */
import { DTYPES, type DType, dtypeFromOnnx, dtypeInfo } from "../../tensor/core.js";
import type { Dim } from "../graph.js";
import type { Call } from "./call.js";
import { addDims, divideExactly, multiplyDims, productOf, subtractDims } from "./dim.js";
import { shapeSlice } from "./rules-make.js";
import { MOST_ITEMS, type Small, small, smallOf } from "./small.js";

/** The first output's value; `shape` is its shape where that is known. */
type ValueRule = (call: Call, shape: readonly Dim[] | undefined) => Small | undefined;

type BinaryRule = (a: Dim, b: Dim, call: Call) => Dim;

const isNumber = (dim: Dim): dim is number => typeof dim === "number";

/** Integer arithmetic stops where JavaScript's numbers are no longer exact; float32 rounds as the op would. */
function exact(value: number, dtype: DType | undefined): Dim {
  if (dtype === undefined) return null;
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === "float") return bits === 32 ? Math.fround(value) : bits === 64 ? value : null;
  if (!Number.isSafeInteger(value)) return null;
  if (bits >= 64) return value;
  const [low, high] = kind === "uint" ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
  return value >= low && value <= high ? value : null;
}

/** Expressions stand for sizes: they pass through integer arithmetic only. */
function arithmetic(
  numbers: (a: number, b: number, isFloat: boolean) => number,
  dims?: BinaryRule,
): ValueRule {
  return elementwise((a, b, call) => {
    const dtype = call.dtype(0) ?? call.dtype(1);
    const isFloat = dtype !== undefined && dtypeInfo(dtype).kind === "float";
    if (isNumber(a) && isNumber(b)) return exact(numbers(a, b, isFloat), dtype);
    return isFloat || dims === undefined ? null : dims(a, b, call);
  });
}

/** Pairs of items, where scalars and one-element vectors repeat. */
function elementwise(combine: BinaryRule): ValueRule {
  return (call) => {
    const [a, b] = [call.values[0], call.values[1]];
    if (a === undefined || b === undefined) return undefined;
    const lengths = [a.items.length, b.items.length];
    const length = lengths.includes(0) ? 0 : Math.max(...lengths);
    const items = Array.from({ length }, (_, i) => combine(at(a, i), at(b, i), call));
    return small(Math.max(a.rank, b.rank), items);
  };
}

const at = (value: Small, i: number): Dim =>
  value.items.length === 1 ? value.items[0]! : (value.items[i] ?? null);

function unary(apply: (value: number, call: Call) => number): ValueRule {
  return (call) => {
    const [value] = call.values;
    if (value === undefined) return undefined;
    return small(
      value.rank,
      value.items.map((item) => (isNumber(item) ? exact(apply(item, call), call.dtype(0)) : null)),
    );
  };
}

function compare(numbers: (a: number, b: number) => boolean): ValueRule {
  return elementwise((a, b) => (isNumber(a) && isNumber(b) ? Number(numbers(a, b)) : null));
}

/** All inputs, folded from the left. */
function variadic(numbers: (a: number, b: number) => number): ValueRule {
  return (call) => {
    const values = call.node.inputs.map((_, i) => call.values[i]);
    return values.reduce((folded, value) => {
      if (folded === undefined || value === undefined) return undefined;
      const length = Math.max(folded.items.length, value.items.length);
      const items = Array.from({ length }, (_, i): Dim => {
        const [a, b] = [at(folded, i), at(value, i)];
        return isNumber(a) && isNumber(b) ? numbers(a, b) : a === b ? a : null;
      });
      return small(Math.max(folded.rank, value.rank), items);
    });
  };
}

/** The items as they are, in the rank of the output. */
const sameItems: ValueRule = (call, shape) => {
  const items = call.items(0);
  return items === undefined || shape === undefined ? undefined : small(shape.length, items);
};

/** One of the items for each index. */
const gathered: ValueRule = (call, shape) => {
  const [value, indices] = [call.values[0], call.values[1]];
  if (value?.rank !== 1 || indices === undefined || shape === undefined) return undefined;
  return small(
    shape.length,
    indices.items.map((index) => (isNumber(index) ? (value.items.at(index) ?? null) : null)),
  );
};

const sliced: ValueRule = (call) => {
  const value = call.values[0];
  const [start] = call.ints("starts") ?? call.numbers(1) ?? [];
  const [end] = call.ints("ends") ?? call.numbers(2) ?? [];
  const [step] = call.has(4) ? (call.numbers(4) ?? []) : [1];
  if (value?.rank !== 1 || start === undefined || end === undefined || step === undefined || step === 0)
    return undefined;
  const { items } = value;
  if (step > 0)
    return small(
      1,
      items.slice(start, end).filter((_, i) => i % step === 0),
    );
  const from = Math.min(start < 0 ? start + items.length : start, items.length - 1);
  const to = Math.max(end < 0 ? end + items.length : end, -1);
  const picked: Dim[] = [];
  for (let i = from; i > to && i >= 0; i += step) picked.push(items[i]!);
  return small(1, picked);
};

/** Whole parts only: an integer division rounds, and of an expression the rounding is not known. */
const divided: BinaryRule = (a, b) => divideExactly(a, b);

const BINARY = {
  Add: arithmetic(
    (a, b) => a + b,
    (a, b) => addDims(a, b),
  ),
  Sub: arithmetic(
    (a, b) => a - b,
    (a, b) => subtractDims(a, b),
  ),
  Mul: arithmetic((a, b) => a * b, multiplyDims),
  Div: arithmetic((a, b, isFloat) => (isFloat ? a / b : Math.trunc(a / b)), divided),
  Mod: elementwise((a, b, call) => {
    if (!isNumber(a) || !isNumber(b) || b === 0) return null;
    const rest = a % b;
    return call.int("fmod", 0) !== 0 || rest === 0 || rest < 0 === b < 0 ? rest : rest + b;
  }),
  Pow: arithmetic((a, b) => a ** b),
  Equal: elementwise((a, b) =>
    isNumber(a) && isNumber(b) ? Number(a === b) : a !== null && a === b ? 1 : null,
  ),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
} satisfies Record<string, ValueRule>;

/** Rules by op; ops without one have outputs of unknown value. */
const VALUE_RULES: ReadonlyMap<string, ValueRule> = new Map<string, ValueRule>([
  ...Object.entries(BINARY),
  ["Min", variadic(Math.min)],
  ["Max", variadic(Math.max)],
  ["Neg", unary((value) => -value)],
  ["Abs", unary(Math.abs)],
  ["Floor", unary(Math.floor)],
  ["Ceil", unary(Math.ceil)],
  ["Not", unary((value) => Number(value === 0))],
  ["Sqrt", unary(Math.sqrt)],
  ["Identity", (call) => call.values[0]],
  ["Squeeze", sameItems],
  ["Unsqueeze", sameItems],
  ["Reshape", sameItems],
  ["Flatten", sameItems],
  ["Gather", gathered],
  ["Slice", sliced],
  ["Cast", castValue],
  ["Shape", shapeValue],
  [
    "Size",
    (call) => {
      const shape = call.shape(0);
      return shape === undefined ? undefined : small(0, [productOf(shape)]);
    },
  ],
  [
    "Concat",
    (call) => {
      const parts = call.node.inputs.map((_, i): readonly Dim[] | undefined => {
        const size = call.shape(i)?.[0];
        // A part of known length keeps the places of the others.
        return (
          call.items(i) ??
          (typeof size === "number" && size <= MOST_ITEMS ? new Array<Dim>(size).fill(null) : undefined)
        );
      });
      const known = parts.filter((part) => part !== undefined);
      return known.length === parts.length && call.rank(0) === 1 ? small(1, known.flat()) : undefined;
    },
  ],
  [
    "Range",
    (call) => {
      const [start, limit, delta] = [0, 1, 2].map((i) => call.numbers(i)?.[0]);
      if (start === undefined || limit === undefined || delta === undefined || delta === 0) return undefined;
      const length = Math.max(0, Math.ceil((limit - start) / delta));
      if (length > MOST_ITEMS) return undefined;
      return small(
        1,
        Array.from({ length }, (_, i) => exact(start + i * delta, call.dtype(0))),
      );
    },
  ],
  [
    "ConstantOfShape",
    (call, shape) => {
      const tensor = call.attr("value", "tensor");
      const item = tensor === undefined ? 0 : smallOf(tensor)?.items[0];
      return item === undefined ? undefined : repeated(item, shape);
    },
  ],
  [
    "Expand",
    (call, shape) => {
      const items = call.items(0);
      return items?.length === 1 ? repeated(items[0]!, shape) : sameItems(call, shape);
    },
  ],
  [
    "Where",
    (call, shape) => {
      const [condition, yes, no] = call.values;
      const [length = 1] = shape ?? [null];
      if (condition === undefined || typeof length !== "number" || length > MOST_ITEMS) return undefined;
      const pick = (i: number): Dim => {
        const test = at(condition, i);
        const source = test === null ? undefined : test !== 0 ? yes : no;
        return source === undefined ? null : at(source, i);
      };
      return small(
        shape?.length ?? 2,
        Array.from({ length }, (_, i) => pick(i)),
      );
    },
  ],
  [
    "ReduceProd",
    (call, shape) => {
      const items = call.values[0]?.rank === 1 ? call.items(0) : undefined;
      return items === undefined || shape === undefined || shape[0] === null
        ? undefined
        : small(shape.length, [productOf(items)]);
    },
  ],
  ["Constant", constantValue],
]);

function repeated(item: Dim, shape: readonly Dim[] | undefined): Small | undefined {
  if (shape === undefined || shape.length > 1) return undefined;
  const [length = 1] = shape;
  if (typeof length !== "number" || length > MOST_ITEMS) return undefined;
  return small(shape.length, new Array<Dim>(length).fill(item));
}

function shapeValue(call: Call): Small | undefined {
  const shape = call.shape(0);
  if (shape === undefined) return undefined;
  const [start, end] = shapeSlice(shape.length, call.int("start", 0), call.int("end"));
  return small(1, shape.slice(start, end));
}

function castValue(call: Call): Small | undefined {
  const [value] = call.values;
  const dtype = dtypeFromOnnx(call.int("to", 0));
  if (value === undefined || dtype === undefined) return undefined;
  const { kind, bits } = dtypeInfo(dtype);
  const from = call.dtype(0);
  const items = value.items.map((item): Dim => {
    if (item === null) return null;
    // A size as a float is rounded where it is large: only whole numbers stay what they are.
    if (typeof item === "string") return kind === "int" && bits >= 32 && isInteger(from) ? item : null;
    if (kind === "bool") return Number(item !== 0);
    if (kind === "int" || kind === "uint") return exact(Math.trunc(item), dtype);
    return kind === "float" ? exact(item, dtype) : null;
  });
  return small(value.rank, items);
}

function isInteger(dtype: DType | undefined): boolean {
  return dtype !== undefined && (DTYPES[dtype].kind === "int" || DTYPES[dtype].kind === "uint");
}

function constantValue(call: Call): Small | undefined {
  const tensor = call.attr("value", "tensor");
  if (tensor !== undefined) return smallOf(tensor);
  const single = call.attr("value_int", "int") ?? call.attr("value_float", "float");
  if (single !== undefined) return small(0, [Number(single)]);
  const list = call.attr("value_ints", "ints") ?? call.attr("value_floats", "floats");
  return list === undefined || list.length > MOST_ITEMS ? undefined : { rank: 1, items: list.map(Number) };
}

/** What is known about the value of a node's first output. */
export function firstValueOf(call: Call, shape: readonly Dim[] | undefined): Small | undefined {
  return VALUE_RULES.get(call.node.op)?.(call, shape);
}
