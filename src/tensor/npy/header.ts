/** The header of a .npy file: a Python dict literal of which only the kinds that numpy writes are read. */
import { TenonError } from "../../base/index.js";

/** A value of the literals that occur in headers. */
export type Literal = string | number | boolean | readonly Literal[] | ReadonlyMap<string, Literal>;

/** What every header says. */
export interface NpyHeader {
  /** numpy's type string (`<f4`), or a list for structured types. */
  readonly descr: Literal;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

/** numpy's own limit of dimensions. */
const MAX_RANK = 64;

/** Brackets within brackets; headers of numpy stay below 4 but for nested structured types. */
const MAX_DEPTH = 16;

/** Reads a header's text; throws FILE_INVALID for anything but the three keys with values of their kinds. */
export function parseHeader(text: string): NpyHeader {
  const parser = new LiteralParser(text);
  const dict = parser.document();
  if (!(dict instanceof Map)) throw invalid("the header is no dict", text);
  const descr: Literal | undefined = dict.get("descr");
  const fortranOrder: Literal | undefined = dict.get("fortran_order");
  const shape: Literal | undefined = dict.get("shape");
  if (descr === undefined || typeof fortranOrder !== "boolean" || !Array.isArray(shape) || dict.size !== 3) {
    throw invalid("the header has not the keys descr, fortran_order and shape", text);
  }
  const dims: readonly unknown[] = shape;
  if (
    dims.length > MAX_RANK ||
    !dims.every((dim): dim is number => Number.isSafeInteger(dim) && Number(dim) >= 0)
  ) {
    throw invalid(`the shape is no tuple of at most ${MAX_RANK} non-negative integers`, text);
  }
  return { descr, fortranOrder, shape: dims };
}

/** The text of a header, without padding. */
export function formatHeader(descr: string, shape: readonly number[]): string {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
  return `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
}

function invalid(problem: string, text: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `damaged .npy file: ${problem}`,
    given: JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text),
  });
}

class LiteralParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Literal {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw invalid(`the header cannot be read at character ${this.#at}`, this.#text);
  }

  #space(): void {
    while (this.#at < this.#text.length && " \t\r\n".includes(this.#text[this.#at]!)) this.#at++;
  }

  #accept(token: string): boolean {
    this.#space();
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#at += token.length;
    return true;
  }

  #value(depth: number): Literal {
    if (depth > MAX_DEPTH) this.#fail();
    if (this.#accept("{")) return this.#dict(depth);
    if (this.#accept("(")) return this.#items(")", depth);
    if (this.#accept("[")) return this.#items("]", depth);
    if (this.#accept("True")) return true;
    if (this.#accept("False")) return false;
    const rest = this.#text.slice(this.#at, this.#at + 256);
    const string = /^(?:'([^'\\\n]*)'|"([^"\\\n]*)")/.exec(rest);
    if (string !== null) {
      this.#at += string[0].length;
      return string[1] ?? string[2] ?? "";
    }
    // Python 2 wrote long integers with an L.
    const number = /^(\d{1,32})L?/.exec(rest);
    if (number === null) this.#fail();
    this.#at += number[0].length;
    return Number(number[1]);
  }

  #items(close: string, depth: number): Literal[] {
    const items: Literal[] = [];
    while (!this.#accept(close)) {
      items.push(this.#value(depth + 1));
      if (this.#accept(",")) continue;
      if (!this.#accept(close)) this.#fail();
      break;
    }
    return items;
  }

  #dict(depth: number): Map<string, Literal> {
    const entries = new Map<string, Literal>();
    while (!this.#accept("}")) {
      const key = this.#value(depth + 1);
      if (typeof key !== "string" || entries.has(key) || !this.#accept(":")) this.#fail();
      entries.set(key, this.#value(depth + 1));
      if (this.#accept(",")) continue;
      if (!this.#accept("}")) this.#fail();
      break;
    }
    return entries;
  }
}
