/** Reads protobuf text format (`config.pbtxt`) by a message's table; errors name line, column and field. */
import { isUtf8 } from "node:buffer";
import { suggest, TenonError } from "../../base/index.js";
import type { Decoded, Fields, MessageType, NamedField } from "../protobuf/table.js";
import { isEnum, isMessage } from "../protobuf/table.js";

/** Most brackets inside each other. */
const DEPTH = 32;
/** Largest file, in characters. */
const LONGEST = 1 << 20;

interface Token {
  readonly kind: "word" | "number" | "string" | "sign" | "end";
  readonly text: string;
  readonly at: number;
}

// Spaces and comments are skipped in front of a token.
const SKIP = /(?:[ \t\r\n\f\v]|#[^\n]*)*/y;
const TOKEN =
  /([A-Za-z_][A-Za-z0-9_./]*)|([+-]?(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fF]?|-(?:inf|nan|infinity)\b)|("(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')|([{}<>[\]:,;-])/y;

/** Where fields were set: `file:line:column` of a message's field, for errors that are found later. */
export class Places {
  readonly file: string;
  readonly #places = new WeakMap<object, Map<string, string>>();

  constructor(file: string) {
    this.file = file;
  }

  note(message: object, field: string, line: number, column: number): void {
    let places = this.#places.get(message);
    if (places === undefined) {
      places = new Map();
      this.#places.set(message, places);
    }
    if (!places.has(field)) places.set(field, `${this.file}:${line}:${column}`);
  }

  /** The place of a message's field; the file where that is not known. */
  of(message: object, field: string): string {
    return this.#places.get(message)?.get(field) ?? this.file;
  }
}

/** Reads a whole text. `places` names its file, and learns where fields were set. Throws CONFIG_INVALID. */
export function parsePbtxt<F extends Fields>(
  type: MessageType<F>,
  text: string,
  places: Places | string,
): Decoded<F> {
  const known = typeof places === "string" ? new Places(places) : places;
  const { file } = known;
  if (text.length > LONGEST) {
    throw new TenonError("CONFIG_INVALID", {
      problem: `${file} is too long for a configuration`,
      given: `${text.length} characters`,
      expected: `at most ${LONGEST}`,
    });
  }
  const parser = new Parser(text, known);
  const result = parser.message(type, undefined, 0);
  return result as Decoded<F>;
}

type Mutable = Record<string, unknown>;

class Parser {
  readonly #text: string;
  readonly #places: Places;
  #at = 0;
  #line = 1;
  #lineStart = 0;
  #next: Token;

  constructor(text: string, places: Places) {
    this.#text = text;
    this.#places = places;
    this.#next = this.#scan();
  }

  fail(problem: string, at: number, expected?: string): never {
    const { line, column } = this.#placeOf(at);
    throw new TenonError("CONFIG_INVALID", {
      problem: `${this.#places.file}:${line}:${column}: ${problem}`,
      ...(expected === undefined ? {} : { expected }),
      details: { line, column },
    });
  }

  /** Offsets are asked for in the order of the text, but for errors. */
  #placeOf(at: number): { readonly line: number; readonly column: number } {
    if (at < this.#lineStart) {
      this.#line = 1;
      this.#lineStart = 0;
    }
    for (let next = this.#text.indexOf("\n", this.#lineStart); next >= 0 && next < at; ) {
      this.#line++;
      this.#lineStart = next + 1;
      next = this.#text.indexOf("\n", this.#lineStart);
    }
    return { line: this.#line, column: at - this.#lineStart + 1 };
  }

  #scan(): Token {
    SKIP.lastIndex = this.#at;
    SKIP.exec(this.#text);
    const at = SKIP.lastIndex;
    if (at >= this.#text.length) return { kind: "end", text: "the end", at };
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(this.#text);
    if (match === null) this.fail(`cannot read ${JSON.stringify(this.#text.slice(at, at + 10))}`, at);
    this.#at = TOKEN.lastIndex;
    const kind = match[1] ? "word" : match[2] ? "number" : match[3] ? "string" : "sign";
    return { kind, text: match[0], at };
  }

  #take(): Token {
    const token = this.#next;
    this.#next = this.#scan();
    return token;
  }

  #is(sign: string): boolean {
    return this.#next.kind === "sign" && this.#next.text === sign;
  }

  #skip(sign: string): boolean {
    const found = this.#is(sign);
    if (found) this.#take();
    return found;
  }

  /** Fields up to `close`, or to the end of the text. */
  message(type: MessageType<Fields>, close: string | undefined, depth: number): Mutable {
    if (depth > DEPTH) this.fail(`more than ${DEPTH} brackets inside each other`, this.#next.at);
    const result: Mutable = {};
    for (const { name, repeated, key, oneof, kind } of type.list) {
      result[name] =
        key !== undefined ? new Map() : repeated ? [] : oneof === undefined ? zero(kind) : undefined;
    }
    const seen = new Set<string>();
    for (;;) {
      if (close === undefined ? this.#next.kind === "end" : this.#is(close)) {
        this.#take();
        return result;
      }
      this.#field(type, result, seen, depth);
      if (!this.#skip(",")) this.#skip(";");
    }
  }

  #field(type: MessageType<Fields>, into: Mutable, seen: Set<string>, depth: number): void {
    const token = this.#take();
    if (token.kind !== "word") this.fail(`found ${token.text}`, token.at, "the name of a field");
    const field = type.list.find(({ name }) => name === token.text);
    if (field === undefined) {
      const names = type.list.map(({ name }) => name);
      this.fail(`${type.name} has no field "${token.text}"`, token.at, suggest(token.text, names));
    }
    const { name, repeated, oneof } = field;
    const { line, column } = this.#placeOf(token.at);
    this.#places.note(into, name, line, column);
    if (!repeated) {
      const slot = oneof ?? name;
      if (seen.has(slot)) {
        this.fail(
          oneof === undefined ? `"${name}" is set twice` : `"${name}" excludes what is set before it`,
          token.at,
        );
      }
      seen.add(slot);
    }
    const colon = this.#skip(":");
    if (!colon && !isMessage(field.kind) && field.key === undefined)
      this.fail(`":" is missing behind "${name}"`, this.#next.at);
    if (repeated && this.#skip("[")) {
      while (!this.#skip("]")) {
        this.#store(field, into, depth);
        if (!this.#is("]") && !this.#skip(","))
          this.fail(`found ${this.#next.text} in the list "${name}"`, this.#next.at, '"," or "]"');
      }
      return;
    }
    this.#store(field, into, depth);
  }

  #store(field: NamedField, into: Mutable, depth: number): void {
    const { name } = field;
    if (field.key !== undefined) {
      const entry = this.#block(entryType(field), name, depth);
      (into[name] as Map<unknown, unknown>).set(entry.key, entry.value); // made by message()
      return;
    }
    const value = isMessage(field.kind) ? this.#block(field.kind, name, depth) : this.#scalar(field);
    if (field.repeated) (into[name] as unknown[]).push(value);
    else into[name] = value;
  }

  #block(type: MessageType<Fields>, name: string, depth: number): Mutable {
    if (this.#skip("{")) return this.message(type, "}", depth + 1);
    if (this.#skip("<")) return this.message(type, ">", depth + 1);
    return this.fail(`"${name}" holds fields; found ${this.#next.text}`, this.#next.at, `${name} { … }`);
  }

  #scalar(field: NamedField): unknown {
    const { kind, name } = field;
    const token = this.#take();
    const wrong = (expected: string): never => this.fail(`"${name}" is ${token.text}`, token.at, expected);
    if (isEnum(kind)) {
      if (kind.names.includes(token.text)) return token.text;
      const byNumber = token.kind === "number" ? kind.names[Number(token.text)] : undefined;
      return byNumber ?? wrong(suggest(token.text, kind.names));
    }
    if (kind === "bool") {
      if (/^(true|t|True|1)$/.test(token.text)) return true;
      return /^(false|f|False|0)$/.test(token.text) ? false : wrong("true or false");
    }
    if (kind === "string" || kind === "bytes") {
      if (token.kind !== "string") wrong("a text in quotes");
      let binary = this.#unescaped(token);
      while (this.#next.kind === "string") binary += this.#unescaped(this.#take());
      const bytes = Buffer.from(binary, "latin1");
      if (kind === "string" && !isUtf8(bytes)) this.fail(`"${name}" is not UTF-8`, token.at);
      return kind === "string" ? bytes.toString() : bytes;
    }
    if (kind === "float" || kind === "double") {
      const word = token.text.toLowerCase();
      if (/^-?(inf|infinity)f?$/.test(word)) return word.startsWith("-") ? -Infinity : Infinity;
      if (/^-?nan$/.test(word)) return Number.NaN;
      return token.kind === "number" && !/x/.test(word) ? Number(word.replace(/f$/, "")) : wrong("a number");
    }
    if (isMessage(kind)) return wrong("fields in brackets");
    return this.#integer(token, kind) ?? wrong(INTEGERS[kind]!.words);
  }

  #integer({ kind, text }: Token, type: string): number | bigint | undefined {
    const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
    if (kind !== "number" || match === null) return undefined;
    const digits = match[2]!;
    const size = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
    const value = match[1] === "-" ? -size : size;
    const { least, most } = INTEGERS[type]!;
    if (value < least || value > most) return undefined;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  /** The bytes of a literal, a character each: escapes name bytes, several of which may make one letter. */
  #unescaped({ text, at }: Token): string {
    return utf8(text.slice(1, -1)).replace(ESCAPE, (whole, code: string) => {
      if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 255);
      if (/^[xX]./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
      if (!/^[uU]./.test(code)) return ESCAPES[code] ?? this.fail(`unknown escape ${whole}`, at);
      const units = code
        .split(/\\?[uU]/)
        .slice(1)
        .map((hex) => Number.parseInt(hex, 16));
      if (units.some((unit) => unit > 0x10ffff)) this.fail(`unknown escape ${whole}`, at);
      return utf8(units.length === 1 ? String.fromCodePoint(units[0]!) : String.fromCharCode(...units));
    });
  }
}

/** A text's UTF-8 as one character a byte. */
function utf8(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** A letter beyond 16 bits may be two `\\u`. */
const ESCAPE =
  /\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[\s\S])/g;

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "?": "?",
};

const INTEGERS: Readonly<
  Record<string, { readonly least: bigint; readonly most: bigint; readonly words: string }>
> = {
  int32: { least: -(2n ** 31n), most: 2n ** 31n - 1n, words: "a whole number of 32 bits" },
  uint32: { least: 0n, most: 2n ** 32n - 1n, words: "a whole number from 0 to 4294967295" },
  int64: { least: -(2n ** 63n), most: 2n ** 63n - 1n, words: "a whole number of 64 bits" },
  uint64: { least: 0n, most: 2n ** 64n - 1n, words: "a whole number of at least 0" },
};

function zero(kind: NamedField["kind"]): unknown {
  if (isMessage(kind)) return undefined;
  if (isEnum(kind)) return kind.names[0];
  if (kind === "bool") return false;
  return kind === "string" ? "" : kind === "bytes" ? Buffer.alloc(0) : 0;
}

/** The message that a map's entry is. */
function entryType(field: NamedField): MessageType<Fields> {
  const key: NamedField = {
    number: 1,
    kind: field.key!,
    repeated: false,
    key: undefined,
    oneof: undefined,
    name: "key",
  };
  const value: NamedField = { ...field, number: 2, key: undefined, repeated: false, name: "value" };
  const list = [key, value];
  return { name: `an entry of ${field.name}`, fields: {}, list, byNumber: new Map() };
}
