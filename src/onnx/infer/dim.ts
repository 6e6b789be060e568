/** Arithmetic on dims: numbers, symbols and polynomials over symbols as text (`2*S+1`, `B*S`); null is unknown. */
import type { Dim } from "../graph.js";

/** Coefficient by monomial: its symbols, sorted and joined by `*`; the constant's monomial is empty. */
type Polynomial = ReadonlyMap<string, number>;

/** Beyond these an expression says nothing that a reader could use. */
const MOST_TERMS = 8;
const HIGHEST_DEGREE = 4;
/** Distinct texts remembered; the cache starts anew when a hostile file brings more. */
const MOST_CACHED = 4096;

const parsed = new Map<string, Polynomial>();

/** `a`, `2*a`, `2*a*b-3`, with blanks around signs allowed; any other text is one symbol. */
const EXPRESSION = /^-?\s*TERM(?:\s*[+-]\s*TERM)*$/.source.replaceAll(
  "TERM",
  String.raw`(?:\d+(?:\s*\*\s*[A-Za-z_][\w.$:]*)*|[A-Za-z_][\w.$:]*(?:\s*\*\s*[A-Za-z_][\w.$:]*)*)`,
);
const WHOLE = new RegExp(EXPRESSION);
const LONGEST_EXPRESSION = 200;

function polynomialOf(dim: number | string): Polynomial {
  if (typeof dim === "number") return new Map([["", dim]]);
  let polynomial = parsed.get(dim);
  if (polynomial === undefined) {
    polynomial = parse(dim);
    remember(dim, polynomial);
  }
  return polynomial;
}

function remember(text: string, polynomial: Polynomial): void {
  if (parsed.size >= MOST_CACHED) parsed.clear();
  parsed.set(text, polynomial);
}

function parse(text: string): Polynomial {
  if (text.length > LONGEST_EXPRESSION || !WHOLE.test(text)) return new Map([[text, 1]]);
  const sums = new Map<string, number>();
  for (const [, sign, term] of text.replaceAll(/\s/g, "").matchAll(/([+-]?)([^+-]+)/g)) {
    const factors = term!.split("*");
    const coefficient = /^\d/.test(factors[0]!) ? Number(factors.shift()) : 1;
    const monomial = factors.sort().join("*");
    sums.set(monomial, (sums.get(monomial) ?? 0) + (sign === "-" ? -coefficient : coefficient));
  }
  return sums;
}

function dimOf(polynomial: Polynomial): Dim {
  const terms = [...polynomial].filter(([, coefficient]) => coefficient !== 0);
  if (terms.length === 0) return 0;
  if (terms.length === 1 && terms[0]![0] === "") return whole(terms[0]![1]);
  if (terms.length > MOST_TERMS) return null;
  // Behind the others stands the constant, whose monomial would sort first.
  terms.sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1));
  let text = "";
  for (const [monomial, coefficient] of terms) {
    if (!Number.isSafeInteger(coefficient) || degreeOf(monomial) > HIGHEST_DEGREE) return null;
    const size = Math.abs(coefficient);
    const factor = monomial === "" ? String(size) : size === 1 ? monomial : `${size}*${monomial}`;
    text += coefficient < 0 ? `-${factor}` : text === "" ? factor : `+${factor}`;
  }
  if (text.length > LONGEST_EXPRESSION) return null;
  if (!parsed.has(text)) remember(text, new Map(terms));
  return text;
}

function whole(value: number): Dim {
  return Number.isSafeInteger(value) ? value : null;
}

function degreeOf(monomial: string): number {
  return monomial === "" ? 0 : monomial.split("*").length;
}

/** a + factor·b. */
export function addDims(a: Dim, b: Dim, factor = 1): Dim {
  if (a === null || b === null) return null;
  if (typeof a === "number" && typeof b === "number") return whole(a + factor * b);
  if (b === 0) return a;
  const sum = new Map(polynomialOf(a));
  for (const [monomial, coefficient] of polynomialOf(b)) {
    sum.set(monomial, (sum.get(monomial) ?? 0) + factor * coefficient);
  }
  return dimOf(sum);
}

export function subtractDims(a: Dim, b: Dim): Dim {
  return addDims(a, b, -1);
}

export function multiplyDims(a: Dim, b: Dim): Dim {
  if (a === 0 || b === 0) return 0;
  if (a === null || b === null) return null;
  if (typeof a === "number" && typeof b === "number") return whole(a * b);
  if (a === 1) return b;
  if (b === 1) return a;
  const product = new Map<string, number>();
  for (const [left, p] of polynomialOf(a)) {
    for (const [right, q] of polynomialOf(b)) {
      const monomial =
        left === ""
          ? right
          : right === ""
            ? left
            : [...left.split("*"), ...right.split("*")].sort().join("*");
      product.set(monomial, (product.get(monomial) ?? 0) + p * q);
    }
  }
  return dimOf(product);
}

export function productOf(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(multiplyDims, 1);
}

/** a / b when that is an expression again; null otherwise. */
export function divideExactly(a: Dim, b: Dim): Dim {
  if (a === null || b === null || b === 0) return null;
  if (typeof a === "number" && typeof b === "number") return a % b === 0 ? a / b : null;
  if (a === b || b === 1) return b === 1 ? a : 1;
  const divisor = [...polynomialOf(b)].filter(([, coefficient]) => coefficient !== 0);
  if (divisor.length !== 1) return multipleOf(polynomialOf(a), divisor);
  const [symbols, size] = divisor[0]!;
  const quotient = new Map<string, number>();
  for (const [monomial, coefficient] of polynomialOf(a)) {
    const left = coefficient % size === 0 ? without(monomial, symbols) : undefined;
    if (left === undefined) return null;
    quotient.set(left, coefficient / size);
  }
  return dimOf(quotient);
}

/** n when a = n·b for a whole number n. */
function multipleOf(a: Polynomial, b: readonly (readonly [string, number])[]): Dim {
  const terms = [...a].filter(([, coefficient]) => coefficient !== 0);
  if (terms.length !== b.length) return null;
  const ratios = new Set(b.map(([monomial, coefficient]) => (a.get(monomial) ?? Number.NaN) / coefficient));
  const [ratio = Number.NaN] = ratios;
  return ratios.size === 1 && Number.isSafeInteger(ratio) ? ratio : null;
}

/** The monomial without some of its symbols; undefined when it does not have them. */
function without(monomial: string, symbols: string): string | undefined {
  if (symbols === "") return monomial;
  const left = monomial === "" ? [] : monomial.split("*");
  for (const symbol of symbols.split("*")) {
    const at = left.indexOf(symbol);
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  return left.join("*");
}

/** ⌊a / n⌋ for a whole n > 0; null unless every symbol's coefficient is a multiple of n. */
export function divideDown(a: Dim, n: number): Dim {
  if (a === null || n <= 0) return null;
  if (typeof a === "number") return Math.floor(a / n);
  const quotient = new Map<string, number>();
  for (const [monomial, coefficient] of polynomialOf(a)) {
    if (monomial !== "" && coefficient % n !== 0) return null;
    quotient.set(monomial, Math.floor(coefficient / n));
  }
  return dimOf(quotient);
}

/** ⌈a / n⌉, likewise. */
export function divideUp(a: Dim, n: number): Dim {
  return divideDown(addDims(a, n - 1), n);
}

/** The same dim in its canonical form: equal expressions have equal texts. */
export function canonicalDim(dim: Dim): Dim {
  return typeof dim === "string" ? (dimOf(polynomialOf(dim)) ?? dim) : dim;
}

/** The smaller of an expression and a number (`min(S, 512)`): what a slice leaves of an axis of fixed size. */
export function atMost(dim: string, most: number): string {
  return `min(${dim}, ${most})`;
}

/** True for `min(dim, n)`: where it meets `dim` in one shape, both are `dim`. */
export function isCutOf(cut: Dim, dim: Dim): boolean {
  return typeof cut === "string" && typeof dim === "string" && cut.startsWith(`min(${dim}, `);
}

/** Replaces symbols by sizes (or other symbols) inside a dim. */
export function substitute(dim: Dim, sizes: ReadonlyMap<string, Dim>): Dim {
  if (typeof dim !== "string") return dim;
  const whole = sizes.get(dim);
  if (whole !== undefined) return whole;
  const cut = /^min\((.+), (\d+)\)$/.exec(dim);
  if (cut !== null) {
    const inner = substitute(cut[1]!, sizes);
    const most = Number(cut[2]);
    return typeof inner === "number" ? Math.min(inner, most) : inner === null ? null : atMost(inner, most);
  }
  let sum: Dim = 0;
  for (const [monomial, coefficient] of polynomialOf(dim)) {
    const symbols = monomial === "" ? [] : monomial.split("*");
    const term = productOf([coefficient, ...symbols.map((symbol) => sizes.get(symbol) ?? symbol)]);
    sum = addDims(sum, term);
  }
  return sum;
}
