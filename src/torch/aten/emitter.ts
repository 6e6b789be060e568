/** Emitter: the ONNX nodes that handlers are made of: constants, casts, shapes from sizes that may be symbolic. */
import type { AttrInput, GraphBuilder } from "../../onnx/index.js";
import { type DType, dtypeInfo, tensor } from "../../tensor/index.js";
import type { Scalar, Size, TensorValue } from "./arguments.js";
import { Unsupported } from "./unsupported.js";

/** A size past every end, as slices to the end are written. */
export const END = Number.MAX_SAFE_INTEGER * 2048;

const INT64_MAX = 9223372036854775807n;
const INT64_MIN = -9223372036854775808n;

/** The node of a program that is emitted. */
export interface Origin {
  /** `aten.linear.default`. */
  readonly op: string;
  readonly module: string;
}

export class Emitter {
  readonly g: GraphBuilder;
  /** What the next nodes come from; they are named after it. */
  origin: Origin = { op: "input", module: "" };
  readonly #origins = new Map<string, Origin>();
  readonly #constants = new Map<string, string>();

  constructor(g: GraphBuilder) {
    this.g = g;
  }

  /** One node with one output. Optional inputs at the end are left out, never written as empty names. */
  add(
    op: string,
    inputs: readonly (string | undefined)[],
    attrs: Readonly<Record<string, AttrInput | undefined>> = {},
  ): string {
    return this.g.add(op, trimmed(inputs), attrs, { name: this.#nodeName() });
  }

  /** Where a node of a name comes from. */
  originOf(node: string): Origin | undefined {
    return this.#origins.get(node);
  }

  #nodeName(): string {
    const name = `${this.origin.op}#${this.#origins.size}`;
    this.#origins.set(name, this.origin);
    return name;
  }

  /** One node with several outputs; */
  addMany(
    op: string,
    inputs: readonly (string | undefined)[],
    attrs: Readonly<Record<string, AttrInput | undefined>>,
    outputs: number,
  ): string[] {
    const names = this.g.add(op, trimmed(inputs), attrs, { outputs, name: this.#nodeName() });
    return Array.isArray(names) ? names : [names];
  }

  #constant(key: string, make: () => ReturnType<typeof tensor>): string {
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = this.g.initializer(key, make());
      this.#constants.set(key, name);
    }
    return name;
  }

  /** A 1-D int64 constant; numbers at the ends of int64 are cut there. */
  ints(values: readonly number[]): string {
    return this.#constant(`const:[${values.join(",")}]`, () => tensor(BigInt64Array.from(values, toInt64)));
  }

  int(value: number): string {
    return this.#constant(`const:${value}`, () => tensor(toInt64(value), { dtype: "int64" }));
  }

  /** A constant of rank 0. */
  scalar(value: Scalar, dtype: DType): string {
    if (typeof value === "object") return this.cast(value.size, "int64", dtype);
    const { kind } = dtypeInfo(dtype);
    const exact =
      kind === "bool" ? Boolean(value) : kind === "float" ? Number(value) : toInteger(value, dtype);
    const key = Object.is(exact, -0) ? "-0" : String(exact);
    return this.#constant(`const:${dtype}:${key}`, () => tensor(exact as number, { dtype }));
  }

  /** A constant of any shape from numbers. */
  filled(value: number, length: number, dtype: DType): string {
    return this.#constant(`const:${dtype}:${value}x${length}`, () =>
      tensor(new Array<number>(length).fill(value), { dtype }),
    );
  }

  /** A constant of a known shape from all its values; `key` tells it from others. */
  table(key: string, values: readonly number[] | readonly (readonly number[])[], dtype: DType): string {
    const cells = dtype === "int64" ? nestedBigInts(values) : values;
    return this.#constant(`const:${dtype}:${key}`, () => tensor(cells as number[], { dtype }));
  }

  cast(value: string, from: DType, to: DType): string {
    return from === to ? value : this.add("Cast", [value], { to: dtypeInfo(to).onnx });
  }

  /** A tensor or a Python number in a dtype. */
  as(operand: TensorValue | Scalar, dtype: DType): string {
    return isTensorValue(operand)
      ? this.cast(operand.value, operand.dtype, dtype)
      : this.scalar(operand, dtype);
  }

  /** The size of an axis (not negative): a number where the program knows it. */
  dim(x: TensorValue, axis: number): Size {
    const known = x.dims[axis];
    return known ?? this.add("Gather", [this.add("Shape", [x.value]), this.int(axis)], { axis: 0 });
  }

  dims(x: TensorValue): Size[] {
    return x.dims.map((_, axis) => this.dim(x, axis));
  }

  shapeOf(x: TensorValue): string {
    return x.dims.every((dim) => dim !== null)
      ? this.ints(x.dims as readonly number[])
      : this.add("Shape", [x.value]);
  }

  /** Sizes as a 1-D int64 value. */
  shape(sizes: readonly Size[]): string {
    if (sizes.every((size) => typeof size === "number")) return this.ints(sizes);
    const parts: string[] = [];
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) parts.push(this.ints(run));
      run = [];
    };
    for (const size of sizes) {
      if (typeof size === "number") run.push(size);
      else {
        flush();
        parts.push(this.add("Unsqueeze", [size, this.ints([0])]));
      }
    }
    flush();
    return parts.length === 1 ? parts[0]! : this.add("Concat", parts, { axis: 0 });
  }

  /** A size as an int64 scalar. */
  sizeValue(size: Size): string {
    return typeof size === "number" ? this.int(size) : size;
  }

  /** Reshape to sizes, one of which may be −1; a known 0 is a size, not "as before". */
  reshape(value: string, sizes: readonly Size[]): string {
    const open = sizes.filter((size) => typeof size === "string").length;
    const wild = sizes.includes(-1);
    // One symbolic size can be left to the runtime, which saves the nodes that compute it.
    const cleaned =
      open === 1 && !wild && !sizes.includes(0)
        ? sizes.map((size) => (typeof size === "string" ? -1 : size))
        : sizes;
    return this.add("Reshape", [value, this.shape(cleaned)], { allowzero: wild ? undefined : 1 });
  }

  reshapeLike(value: string, like: TensorValue): string {
    return this.reshape(value, this.dims(like));
  }

  unsqueeze(value: string, ...axes: readonly number[]): string {
    return axes.length === 0 ? value : this.add("Unsqueeze", [value, this.ints(axes)]);
  }

  squeeze(value: string, ...axes: readonly number[]): string {
    return axes.length === 0 ? value : this.add("Squeeze", [value, this.ints(axes)]);
  }

  slice(value: string, axis: number, start: Size, end: Size, step = 1): string {
    const [from, to] = [this.shape([start]), this.shape([end])];
    return this.add("Slice", [value, from, to, this.ints([axis]), this.ints([step])]);
  }

  transpose(value: string, perm: readonly number[]): string {
    return perm.every((axis, i) => axis === i) ? value : this.add("Transpose", [value], { perm });
  }

  /** Where, also for dtypes that the runtime's Where does not take. */
  where(condition: string, yes: string, no: string, dtype: DType): string {
    if (dtype !== "bool") return this.add("Where", [condition, yes, no]);
    const chosen = this.add("Where", [
      condition,
      this.cast(yes, "bool", "uint8"),
      this.cast(no, "bool", "uint8"),
    ]);
    return this.cast(chosen, "uint8", "bool");
  }

  /** `scalar` as often as sizes say. */
  full(sizes: readonly Size[], value: Scalar, dtype: DType): string {
    return this.add("Expand", [this.scalar(value, dtype), this.shape(sizes)]);
  }
}

export function isFloat(dtype: DType): boolean {
  return dtypeInfo(dtype).kind === "float";
}

export function isTensorValue(value: unknown): value is TensorValue {
  return typeof value === "object" && value !== null && "rank" in value;
}

/** An axis as 0…rank−1; scalars count as rank 1, as PyTorch takes them. */
export function axisOf(axis: number, rank: number): number {
  const least = Math.max(rank, 1);
  if (axis < -least || axis >= least) throw new Unsupported(`dim ${axis} of a tensor of rank ${rank}`);
  return axis < 0 ? axis + least : axis;
}

export function axesOf(axes: readonly number[], rank: number): number[] {
  return axes.map((axis) => axisOf(axis, rank));
}

export function allAxes(rank: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis);
}

function trimmed(inputs: readonly (string | undefined)[]): string[] {
  const names = inputs.map((input) => input ?? "");
  while (names.at(-1) === "") names.pop();
  return names;
}

function toInt64(value: number): bigint {
  if (value >= 9.2e18) return INT64_MAX;
  if (value <= -9.2e18) return INT64_MIN;
  return BigInt(value);
}

function toInteger(value: number | bigint | boolean, dtype: DType): number | bigint {
  const whole = typeof value === "number" ? Math.trunc(value) : value;
  if (dtypeInfo(dtype).bits === 64) return BigInt(whole);
  return Number(whole);
}

function nestedBigInts(values: readonly number[] | readonly (readonly number[])[]): unknown {
  return values.map((value) => (typeof value === "number" ? BigInt(value) : value.map(BigInt)));
}
