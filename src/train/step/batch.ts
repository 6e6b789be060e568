/** Batches as records of dense tensors: declared types found for typed arrays and lists, sizes of symbols found. */
import { suggest, TenonError } from "../../base/index.js";
import type { Dim } from "../../onnx/index.js";
import {
  cast,
  DTYPES,
  type DType,
  type NumericArray,
  sizeOf,
  Tensor,
  type TensorValues,
  tensor,
} from "../../tensor/index.js";
import type { Label, WeightStore } from "../model/parts.js";

/** A tensor, a typed array (its shape follows from the declared one), or nested lists. */
export type BatchValue = Tensor | TensorValues;

/** Values by name, or a batch of `tenon/data` whose tensors have these names. */
export type Batch =
  | Readonly<Record<string, BatchValue>>
  | { readonly rows: number; readonly data: Readonly<Record<string, Tensor>>; release(): void };

export interface ReadBatch {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Sizes of the symbols that the model declares. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Size of the first axis of the first input. */
  readonly rows: number;
}

function recordOf(batch: Batch): Readonly<Record<string, BatchValue>> {
  if (typeof (batch as { release?: unknown }).release !== "function")
    return batch as Record<string, BatchValue>;
  return (batch as { readonly data: Readonly<Record<string, Tensor>> }).data;
}

/** Declared types of a model's inputs and labels. */
export function declaredTypes({ parts }: WeightStore): ReadonlyMap<string, Label> {
  const types = new Map<string, Label>(parts.labels);
  for (const { name, type } of parts.onnx.graph.inputs) {
    if (type?.kind === "tensor" && type.dtype !== null && type.shape !== undefined)
      types.set(name, { dtype: type.dtype, shape: type.shape });
  }
  return types;
}

/** Throws INPUT_MISSING, INPUT_DTYPE or INPUT_SHAPE for values that the declared types do not take. */
export function readBatch(
  batch: Batch,
  declared: ReadonlyMap<string, Label>,
  inputs: readonly string[],
): ReadBatch {
  const record = recordOf(batch);
  for (const name of inputs) {
    if (record[name] !== undefined) continue;
    throw new TenonError("INPUT_MISSING", {
      problem: `the batch has no "${name}"`,
      given: Object.keys(record).join(", "),
      expected: suggest(name, Object.keys(record)),
    });
  }
  const sizes = new Map<string, number>();
  const tensors = new Map<string, Tensor>();
  // Tensors and lists have shapes of their own, from which those of typed arrays follow.
  const entries = Object.entries(record);
  const [flat, shaped] = [entries.filter(isFlat), entries.filter((entry) => !isFlat(entry))];
  for (const [name, value] of [...shaped, ...flat]) {
    const type = declared.get(name);
    const given = value instanceof Tensor ? value : made(name, value, type, sizes);
    const read = type === undefined ? given : widened(name, given, type.dtype);
    if (type !== undefined) bindSizes(name, read.shape, type.shape, sizes);
    tensors.set(name, read.contiguous());
  }
  return { tensors, sizes, rows: tensors.get(inputs[0] ?? "")?.shape[0] ?? 1 };
}

function isFlat([name, value]: readonly [string, BatchValue]): boolean {
  return name !== "" && ArrayBuffer.isView(value);
}

function made(
  name: string,
  value: TensorValues,
  type: Label | undefined,
  sizes: ReadonlyMap<string, number>,
): Tensor {
  if (!ArrayBuffer.isView(value)) return tensor(value, { dtype: type?.dtype });
  const flat = tensor(value);
  if (type === undefined) return flat;
  const dims = type.shape.map((dim) => (typeof dim === "string" ? (sizes.get(dim) ?? dim) : dim));
  const open = dims.flatMap((dim, axis) => (typeof dim === "number" ? [] : [axis]));
  const known = sizeOf(dims.filter((dim): dim is number => typeof dim === "number"));
  const rest = known === 0 ? 0 : flat.size / known;
  const fits = open.length === 0 ? flat.size === known : open.length === 1 && Number.isInteger(rest);
  if (fits) return flat.reshape(dims.map((dim) => (typeof dim === "number" ? dim : rest)));
  throw new TenonError("INPUT_SHAPE", {
    problem: `the shape of "${name}" does not follow from its ${flat.size} values`,
    expected: `${type.dtype} [${type.shape.map((dim) => dim ?? "?").join(", ")}]`,
    do: "give a tensor with its shape",
  });
}

/** Whole numbers of a narrower dtype become the declared one, which holds all of them. */
function widened(name: string, value: Tensor, dtype: DType): Tensor {
  if (value.dtype === dtype) return value;
  const [from, to] = [DTYPES[value.dtype], DTYPES[dtype]];
  const whole = (from.kind === "int" || from.kind === "uint") && to.kind === "int";
  if (whole && from.bits < to.bits) return cast(value, dtype);
  throw new TenonError("INPUT_DTYPE", {
    problem: `"${name}" has another dtype`,
    given: value.dtype,
    expected: dtype,
  });
}

function bindSizes(
  name: string,
  shape: readonly number[],
  declared: readonly Dim[],
  sizes: Map<string, number>,
): void {
  const fits = declared.length === shape.length;
  declared.forEach((dim, axis) => {
    const size = shape[axis];
    if (size === undefined) return;
    if (typeof dim === "string" && !sizes.has(dim)) sizes.set(dim, size);
  });
  if (
    fits &&
    declared.every(
      (dim, axis) => dim === null || shape[axis] === (typeof dim === "string" ? sizes.get(dim) : dim),
    )
  )
    return;
  throw new TenonError("INPUT_SHAPE", {
    problem: `the shape of "${name}"`,
    given: `[${shape.join(", ")}]`,
    expected: `[${declared.map((dim) => (typeof dim === "string" ? `${dim}${sizes.has(dim) ? ` = ${sizes.get(dim)}` : ""}` : (dim ?? "?"))).join(", ")}]`,
    details: { input: name },
  });
}

/** What one compiled shape is known by. */
export function shapeKey({ tensors }: ReadBatch): string {
  return [...tensors]
    .map(([name, { dtype, shape }]) => `${name} ${dtype} ${shape.join()}`)
    .sort()
    .join("; ");
}

/** Copies values into memory of the same dtype and size. */
export function copyInto(memory: Tensor, value: Tensor): void {
  (memory.data as unknown as NumericArray).set(value.data as never);
}
