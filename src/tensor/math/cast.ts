/** cast: the one way from dtype to dtype. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo, integerRange, type NumericArray } from "../dtype.js";
import { describeValue, type Element, elementPhrase, readElement, tryWriteElement } from "../element.js";
import { denseLayout, forEachIndex } from "../layout.js";
import { isMiniFloat, miniFloatRange } from "../minifloat.js";
import type { Storage } from "../storage.js";
import { StringStorage } from "../strings.js";
import { Tensor } from "../tensor.js";
import { BLOCK, type Block, type Domain, domainOf, Reader, Writer } from "./blocks.js";
import { type Into, noStringInto, resultTensor, safeToRead } from "./operands.js";

/**
 * The same values in another dtype; the tensor itself when it has the dtype already and no `into` is given.
 *
 * Float to float rounds to nearest, ties to even; too large gives infinity, but the largest finite value in the float8,
 * float6 and float4 kinds (ONNX's saturating Cast). Float to int truncates. To bool: everything but 0 is true. From bool:
 * 0 and 1. Strings are parsed and printed. Real to complex has imaginary part 0.
 *
 * Throws TENSOR_VALUE for a value that the dtype cannot hold: out of an integer's range, NaN as an integer, text that is
 * no number; TENSOR_DTYPE for complex to real, string to bool, and `into` with strings.
 */
export function cast<D extends DType>(x: Tensor, dtype: D, options: Into<NoInfer<D>> = {}): Tensor<D> {
  // A tensor of the dtype asked for is a Tensor<D>.
  if (x.dtype === dtype && options.into === undefined) return x as Tensor as Tensor<D>;
  refuseImpossible(x.dtype, dtype);
  if (dtype === "string") {
    noStringInto(options.into as Tensor | undefined);
    return printed(x) as Tensor as Tensor<D>;
  }
  const out = resultTensor(dtype, x.shape, options.into);
  const source = safeToRead(x, out as Tensor);
  const from = domainOf(x.dtype);
  const to = domainOf(dtype);
  // float64 to float16 must round once; the blocks of float16 are float32.
  const roundsTwice = from === "float64" && dtype === "float16";
  if (from === undefined || to === undefined || roundsTwice) castElements(source, out as Tensor);
  else castBlocks(source, from, out as Tensor, to);
  return out;
}

function refuseImpossible(from: DType, to: DType): void {
  const [source, target] = [dtypeInfo(from).kind, dtypeInfo(to).kind];
  const lossy = source === "complex" && target !== "complex";
  if (!lossy && !(source === "string" && (target === "bool" || target === "complex"))) return;
  throw new TenonError("TENSOR_DTYPE", { problem: `there is no cast from ${from} to ${to}` });
}

function misfit(value: unknown, dtype: DType): never {
  throw new TenonError("TENSOR_VALUE", {
    problem: `a value does not fit ${dtype}`,
    given: describeValue(value),
    expected: elementPhrase(dtype),
  });
}

function castBlocks(x: Tensor, from: Domain, out: Tensor, to: Domain): void {
  const a = new Reader(x, 0);
  const o = new Writer(out, 2);
  const convert = converter(from, to);
  const range = integerRange(out.dtype);
  const [low, high] = to === "big" || from === "big" ? range : [Number(range[0]), Number(range[1])];
  const checked = dtypeInfo(out.dtype).kind === "int" || dtypeInfo(out.dtype).kind === "uint";
  for (let rest = x.size; rest > 0; rest -= BLOCK) {
    const count = Math.min(rest, BLOCK);
    a.next(count);
    const bad = checked
      ? convert.checked(a.array, a.at, o.array, o.at, count, low, high)
      : convert.plain(a.array, a.at, o.array, o.at, count);
    if (bad !== undefined) misfit(bad, out.dtype);
    o.flush(count);
  }
}

type Numbers = Float32Array | Float64Array;
type Bigs = Block<"big">;
type Plain<A, O> = (a: A, i: number, o: O, k: number, n: number) => undefined;
/** Stops at the first value outside [low, high] after truncation, and returns it. */
type Checked<A, O, L> = (
  a: A,
  i: number,
  o: O,
  k: number,
  n: number,
  low: L,
  high: L,
) => number | bigint | undefined;

interface Converter<A = Block, O = Block, L = number | bigint> {
  readonly plain: Plain<A, O>;
  readonly checked: Checked<A, O, L>;
}

function converter(from: Domain, to: Domain): Converter {
  const chosen =
    from === "big"
      ? to === "big"
        ? BIG_TO_BIG
        : BIG_TO_NUMBER
      : to === "big"
        ? NUMBER_TO_BIG
        : NUMBER_TO_NUMBER;
  // Chosen by the domains that the reader and the writer have.
  return chosen as Converter<never, never, never> as Converter;
}

const NUMBER_TO_NUMBER: Converter<Numbers, Numbers, number> = {
  plain: (a, i, o, k, n) => {
    o.set(a.subarray(i, i + n), k);
    return undefined;
  },
  checked: (a, i, o, k, n, low, high) => {
    for (const end = k + n; k < end; k++) {
      const value = a[i++]!;
      const whole = Math.trunc(value);
      if (!(whole >= low && whole <= high)) return value;
      o[k] = whole;
    }
    return undefined;
  },
};

const BIG_TO_NUMBER: Converter<Bigs, Numbers, bigint> = {
  plain: (a, i, o, k, n) => {
    for (const end = k + n; k < end; ) o[k++] = Number(a[i++]!);
    return undefined;
  },
  checked: (a, i, o, k, n, low, high) => {
    for (const end = k + n; k < end; ) {
      const value = a[i++]!;
      if (value < low || value > high) return value;
      o[k++] = Number(value);
    }
    return undefined;
  },
};

const NUMBER_TO_BIG: Converter<Numbers, Bigs, bigint> = {
  plain: () => undefined,
  checked: (a, i, o, k, n, low, high) => {
    for (const end = k + n; k < end; ) {
      const value = a[i++]!;
      if (!Number.isFinite(value)) return value;
      const whole = BigInt(Math.trunc(value));
      if (whole < low || whole > high) return value;
      o[k++] = whole;
    }
    return undefined;
  },
};

const BIG_TO_BIG: Converter<Bigs, Bigs, bigint> = {
  plain: () => undefined,
  checked: (a, i, o, k, n, low, high) => {
    for (const end = k + n; k < end; ) {
      const value = a[i++]!;
      if (value < low || value > high) return value;
      o[k++] = value;
    }
    return undefined;
  },
};

function castElements(x: Tensor, out: Tensor): void {
  const places: number[] = [];
  forEachIndex(out, (index) => void places.push(index));
  const convert = CONVERT[dtypeInfo(out.dtype).kind];
  let next = 0;
  forEachIndex(x, (index) => {
    const value = readElement(x.dtype, x.storage as Storage, index);
    const converted = convert(typeof value === "string" ? parsed(value, out.dtype) : value, out.dtype);
    if (!tryWriteElement(out.dtype, out.storage as unknown as NumericArray, places[next++]!, converted)) {
      misfit(value, out.dtype);
    }
  });
}

type Kind = ReturnType<typeof dtypeInfo>["kind"];

const CONVERT: { readonly [K in Kind]: (value: Element, dtype: DType) => Element } = {
  float: (value, dtype) => {
    const number = Number(value);
    if (isMiniFloat(dtype)) {
      const [least, most] = miniFloatRange(dtype);
      const negativeWithoutSign = least > 0 && number < 0;
      return negativeWithoutSign ? Number.NaN : Math.min(Math.max(number, least), most);
    }
    const fits =
      dtype === "float64" || Math.abs(number) < (dtype === "float16" ? 65520 : 3.4028235677973366e38);
    return fits || Number.isNaN(number) ? number : number * Number.POSITIVE_INFINITY;
  },
  int: whole,
  uint: whole,
  bool: (value) => (typeof value === "object" ? value[0] !== 0 || value[1] !== 0 : Number(value) !== 0),
  complex: (value) => (typeof value === "object" ? value : [Number(value), 0]),
  string: (value) => value,
};

function whole(value: Element): Element {
  return typeof value === "bigint" ? value : Math.trunc(Number(value));
}

function parsed(text: string, dtype: DType): number | bigint {
  const trimmed = text.trim();
  if (/^[+-]?\d+$/.test(trimmed)) {
    return dtypeInfo(dtype).kind === "float" ? Number(trimmed) : BigInt(trimmed.replace(/^\+/, ""));
  }
  const infinity = /^([+-]?)inf(?:inity)?$/i.exec(trimmed);
  if (infinity !== null) return infinity[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : Number.NaN;
  if (Number.isNaN(number) && !/^[+-]?nan$/i.test(trimmed)) misfit(text, dtype);
  return number;
}

function printed(x: Tensor): Tensor<"string"> {
  const texts: string[] = [];
  const short = dtypeInfo(x.dtype).kind === "float" && x.dtype !== "float64";
  forEachIndex(x, (index) => {
    const value = readElement(x.dtype, x.storage as Storage, index);
    texts.push(short ? shortest(value as number) : String(value));
  });
  return new Tensor("string", StringStorage.fromStrings(texts), denseLayout(x.shape));
}

/** The shortest decimal text that reads back as the same float32. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9 && Number.isFinite(value); digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(Number.isFinite(value) ? Number(value.toPrecision(9)) : value);
}
