/** where: elements of one tensor or the other, by a condition. */
import { TenonError } from "../../base/index.js";
import type { DType, NumericArray } from "../dtype.js";
import { readElement, writeElement } from "../element.js";
import { denseLayout, forEachIndex } from "../layout.js";
import type { Storage } from "../storage.js";
import { StringStorage } from "../strings.js";
import { Tensor } from "../tensor.js";
import { BLOCK, type Block, domainOf, Reader, Writer } from "./blocks.js";
import {
  commonShape,
  type Into,
  noStringInto,
  resultTensor,
  type Scalar,
  safeToRead,
  sameDType,
} from "./operands.js";

/**
 * `a` where the condition is true, else `b`; all three broadcast together. `a` and `b` have one dtype, any of them.
 *
 * @example where(greater(x, 0), x, 0)
 */
export function where<D extends DType>(
  condition: Tensor<"bool">,
  a: Tensor<D> | Scalar,
  b: Tensor<NoInfer<D>> | Scalar,
  options: Into<NoInfer<D>> = {},
): Tensor<D> {
  if (condition.dtype !== "bool") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "the condition of where is bool",
      given: condition.dtype,
      do: "compare first, for example notEqual(x, 0)",
    });
  }
  const [yes, no] = sameDType("where", a, b) as [Tensor, Tensor];
  const shape = commonShape([condition, yes, no]);
  const dtype = yes.dtype;
  const operands: [Tensor, Tensor, Tensor] = [condition, yes, no];
  if (dtype === "string") noStringInto(options.into as Tensor | undefined);
  if (dtype === "string") return chosenStrings(operands, shape) as Tensor as Tensor<D>;
  const out = resultTensor(dtype, shape, options.into as Tensor | undefined);
  const [c, x, y] = operands.map((operand) => safeToRead(operand, out).broadcastTo(shape)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  if (domainOf(dtype) === undefined) chooseElements(c, x, y, out);
  else chooseBlocks(c, x, y, out);
  return out as Tensor<D>;
}

function chooseBlocks(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void {
  const c = new Reader<"int">(condition, 3);
  const x = new Reader(a, 0);
  const y = new Reader(b, 1);
  const o = new Writer(out, 2);
  const choose = CHOOSE[domainOf(out.dtype)!] as (
    c: Float64Array,
    h: number,
    a: Block,
    i: number,
    b: Block,
    j: number,
    o: Block,
    k: number,
    n: number,
  ) => void;
  for (let rest = out.size; rest > 0; rest -= BLOCK) {
    const count = Math.min(rest, BLOCK);
    c.next(count);
    x.next(count);
    y.next(count);
    choose(c.array, c.at, x.array, x.at, y.array, y.at, o.array, o.at, count);
    o.flush(count);
  }
}

type Choose<B> = (
  c: Float64Array,
  h: number,
  a: B,
  i: number,
  b: B,
  j: number,
  o: B,
  k: number,
  n: number,
) => void;

const doubles: Choose<Float64Array> = (c, h, a, i, b, j, o, k, n) => {
  for (let x = 0; x < n; x++) o[k + x] = c[h + x] === 0 ? b[j + x]! : a[i + x]!;
};

const CHOOSE = {
  float32: ((c, h, a, i, b, j, o, k, n) => {
    for (let x = 0; x < n; x++) o[k + x] = c[h + x] === 0 ? b[j + x]! : a[i + x]!;
  }) as Choose<Float32Array>,
  float64: doubles,
  int: doubles,
  big: ((c, h, a, i, b, j, o, k, n) => {
    for (let x = 0; x < n; x++) o[k + x] = c[h + x] === 0 ? b[j + x]! : a[i + x]!;
  }) as Choose<Block<"big">>,
} as const;

function chooseElements(condition: Tensor, a: Tensor, b: Tensor, out: Tensor): void {
  const places = indicesOf(out);
  const [left, right] = [indicesOf(a), indicesOf(b)];
  indicesOf(condition).forEach((index, i) => {
    const [from, at] = (condition.storage as Uint8Array)[index] === 0 ? [b, right[i]!] : [a, left[i]!];
    const value = readElement(from.dtype, from.storage as Storage, at);
    writeElement(out.dtype, out.storage as unknown as NumericArray, places[i]!, value);
  });
}

function chosenStrings(
  [condition, a, b]: readonly [Tensor, Tensor, Tensor],
  shape: readonly number[],
): Tensor<"string"> {
  const [left, right] = [indicesOf(a.broadcastTo(shape)), indicesOf(b.broadcastTo(shape))];
  const texts = indicesOf(condition.broadcastTo(shape)).map((index, i) => {
    const [from, at] = (condition.storage as Uint8Array)[index] === 0 ? [b, right[i]!] : [a, left[i]!];
    return (from.storage as StringStorage).get(at);
  });
  return new Tensor("string", StringStorage.fromStrings(texts), denseLayout(shape));
}

function indicesOf(x: Tensor): number[] {
  const indices: number[] = [];
  forEachIndex(x, (index) => void indices.push(index));
  return indices;
}
