/** CSV as RFC 4180 has it: fields of records, quoted where they must be; what does not follow it is refused by line. */
import { isUtf8 } from "node:buffer";
import { TenonError } from "../../base/index.js";
import type { Builder } from "./builder.js";

export interface CsvDialect {
  /** Code of the character between fields. */
  readonly delimiter: number;
  /** Fields of every record. */
  readonly width: number;
}

const QUOTE = 34;
const LF = 10;
const CR = 13;

/** Where a block lies, for messages. */
export interface Place {
  readonly file: string;
  /** Line of the first byte, from 1 on. */
  readonly line: number;
}

/** Reads the records of a block into `fields`, one builder for each field of a record; null: it is skipped. */
export function parseRecords(
  bytes: Uint8Array,
  dialect: CsvDialect,
  fields: readonly (Builder | null)[],
  names: readonly string[],
  place: Place,
): void {
  checkUtf8(bytes, place);
  const { delimiter, width } = dialect;
  const end = bytes.length;
  let at = 0;
  while (at < end) {
    if (width > 1 && isLineEnd(bytes, at)) {
      at += bytes[at] === CR ? 2 : 1;
      continue;
    }
    const record = at;
    for (let field = 0; ; field++) {
      const builder = fields[field];
      if (bytes[at] === QUOTE) {
        const close = closingQuote(bytes, at + 1);
        if (close < 0 || !endsField(bytes, close + 1, delimiter))
          throw damaged("a quoted field goes on after its end", bytes, close < 0 ? at : close, place);
        if (builder != null && !putQuoted(builder, bytes, at + 1, close))
          throw unfit(bytes, at + 1, close, names[field]!, place);
        at = close + 1;
      } else {
        const start = at;
        for (; at < end; at++) {
          const byte = bytes[at]!;
          // The three that mean something lie below 35; a delimiter may lie anywhere.
          if (byte === delimiter) break;
          if (byte < 35 && (byte === LF || byte === CR || byte === QUOTE)) break;
        }
        if (bytes[at] === QUOTE) throw damaged("a quote within a field that is not quoted", bytes, at, place);
        if (bytes[at] === CR && !isLineEnd(bytes, at) && at + 1 < end)
          throw damaged("a carriage return without a line feed", bytes, at, place);
        if (builder != null) {
          if (start === at) builder.putNull();
          else if (!builder.putText(bytes, start, at)) throw unfit(bytes, start, at, names[field]!, place);
        }
      }
      if (bytes[at] === delimiter) {
        at++;
        if (field + 1 < width) continue;
        throw ragged(bytes, record, width, `more than ${width}`, place);
      }
      if (bytes[at] === CR) at++;
      if (at < end) at++;
      if (field + 1 < width) throw ragged(bytes, record, width, String(field + 1), place);
      break;
    }
  }
}

function isLineEnd(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === LF || (bytes[at] === CR && bytes[at + 1] === LF);
}

/** A field ends at a delimiter, at the end of its line, or with the file. */
function endsField(bytes: Uint8Array, at: number, delimiter: number): boolean {
  return (
    at >= bytes.length ||
    bytes[at] === delimiter ||
    isLineEnd(bytes, at) ||
    (bytes[at] === CR && at + 1 === bytes.length)
  );
}

/** The quote that ends a field; -1: there is none. */
function closingQuote(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] !== QUOTE) continue;
    if (bytes[at + 1] !== QUOTE) return at;
    at++;
  }
  return -1;
}

/** Doubled quotes become one. */
function putQuoted(builder: Builder, bytes: Uint8Array, from: number, to: number): boolean {
  const first = bytes.indexOf(QUOTE, from);
  if (first < 0 || first >= to) return builder.putText(bytes, from, to);
  const text = new Uint8Array(to - from);
  let length = 0;
  for (let at = from; at < to; at++) {
    text[length++] = bytes[at]!;
    if (bytes[at] === QUOTE) at++;
  }
  return builder.putText(text, 0, length);
}

/** The fields of the record at the start of `bytes`, which holds all of it. */
export function parseHeader(bytes: Uint8Array, delimiter: number, place: Place): string[] {
  checkUtf8(bytes, place);
  const names: string[] = [];
  const collect: Builder = {
    length: 0,
    text: true,
    putNull: () => void names.push(""),
    putText: (text, from, to) => {
      names.push(Buffer.from(text.subarray(from, to)).toString());
      return true;
    },
    putValue: () => false,
    finish: () => {
      throw new TenonError("INTERNAL", { problem: "names are no column" });
    },
  };
  let width = 1;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === QUOTE) {
      const close = closingQuote(bytes, at + 1);
      if (close >= 0) at = close;
    } else if (bytes[at] === delimiter) width++;
  }
  parseRecords(bytes, { delimiter, width }, new Array<Builder>(width).fill(collect), [], place);
  if (bytes.includes(0)) throw damaged("the header holds a zero byte, as UTF-16 has", bytes, 0, place);
  return names;
}

export function checkUtf8(bytes: Uint8Array, place: Place): void {
  if (isUtf8(bytes)) return;
  let from = 0;
  for (let line = place.line; from < bytes.length; line++) {
    const found = bytes.indexOf(LF, from);
    const to = found < 0 ? bytes.length : found + 1;
    if (!isUtf8(bytes.subarray(from, to)))
      throw new TenonError("FILE_INVALID", {
        problem: "a text file is not UTF-8",
        given: `${place.file}, line ${line}`,
        do: "write the file as UTF-8",
      });
    from = to;
  }
}

export function lineOf(bytes: Uint8Array, at: number, place: Place): number {
  let line = place.line;
  for (let i = bytes.indexOf(LF); i >= 0 && i < at; i = bytes.indexOf(LF, i + 1)) line++;
  return line;
}

function damaged(problem: string, bytes: Uint8Array, at: number, place: Place): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `damaged CSV: ${problem}`,
    given: `${place.file}, line ${lineOf(bytes, at, place)}`,
    do: 'quote the field, with quotes in it doubled: "a ""b"" c"',
  });
}

function ragged(bytes: Uint8Array, at: number, width: number, given: string, place: Place): TenonError {
  const line = lineOf(bytes, at, place);
  return new TenonError("FILE_INVALID", {
    problem: "damaged CSV: a record has another number of fields than the first",
    given: `${given} in ${place.file}, line ${line}`,
    expected: String(width),
    details: { line },
  });
}

function unfit(bytes: Uint8Array, from: number, to: number, column: string, place: Place): TenonError {
  const line = lineOf(bytes, from, place);
  const text = Buffer.from(bytes.subarray(from, Math.min(to, from + 80))).toString();
  return new TenonError("FILE_INVALID", {
    problem: `a cell of column "${column}" is not of its type`,
    given: `"${text}" in ${place.file}, line ${line}`,
    do: `give the column another type: types: { ${JSON.stringify(column)}: "utf8" }`,
    details: { column, line },
  });
}
