/** The sinks of CSV and of JSON lines: rows as lines of text. */
import { TenonError } from "../../base/index.js";
import type { Schema } from "../column.js";
import { cellsOf } from "./cell.js";
import type { Format } from "./sink.js";
import { columnsOf, type Rows, type Table } from "./table.js";

/** Lines are encoded in pieces of about so many characters. */
const PIECE = 2 ** 18;

/** Throws USAGE unless the rows have the columns of the schema, or of the first ones. */
class Names {
  #names: readonly string[] | undefined;

  constructor(schema: Schema | undefined) {
    this.#names = schema === undefined ? undefined : [...schema.keys()];
  }

  get known(): readonly string[] {
    return this.#names ?? [];
  }

  of({ columns }: Rows): readonly string[] {
    const names = [...columns.keys()];
    this.#names ??= names;
    const other = names.find((name) => !this.#names!.includes(name));
    if (other !== undefined || names.length !== this.#names.length)
      throw new TenonError("USAGE", {
        problem: "the rows have other columns than the file",
        given: names.join(", ").slice(0, 200),
        expected: this.#names.join(", ").slice(0, 200),
      });
    return this.#names;
  }
}

export interface LinesSinkOptions {
  /** The columns. Default: those of the first rows. */
  readonly schema?: Schema;
}

export interface CsvSinkOptions extends LinesSinkOptions {
  /** One ASCII character. Default a comma. */
  readonly delimiter?: string;
}

export class CsvFormat implements Format {
  readonly #names: Names;
  readonly #delimiter: string;
  readonly #special: RegExp;
  #begun = false;
  rows = 0;

  constructor({ delimiter = ",", schema }: CsvSinkOptions) {
    this.#names = new Names(schema);
    if (!/^[^"\r\n\u0080-\uffff]$/.test(delimiter))
      throw new TenonError("USAGE", {
        problem: "the delimiter",
        given: JSON.stringify(delimiter),
        expected: "one ASCII character, no quote and no line end",
      });
    this.#delimiter = delimiter;
    this.#special = new RegExp(`["\\r\\n\\ufeff${delimiter.replace(/[\\\]^-]/, "\\$&")}]`);
  }

  write(table: Table): Uint8Array[] {
    const given = columnsOf(table);
    const names = this.#names.of(given);
    const columns = names.map((name) => ({
      cells: cellsOf(given.columns.get(name)!),
      valid: given.columns.get(name)!.valid,
    }));
    const parts: Uint8Array[] = [];
    let text = this.#header();
    for (let row = 0; row < given.rows; row++) {
      for (let j = 0; j < columns.length; j++) {
        const { cells, valid } = columns[j]!;
        if (j > 0) text += this.#delimiter;
        if (valid === null || valid[row] !== 0) text += this.#quoted(cells.text(row));
      }
      text += "\n";
      if (text.length < PIECE) continue;
      parts.push(Buffer.from(text));
      text = "";
    }
    parts.push(Buffer.from(text));
    this.rows += given.rows;
    return parts;
  }

  /** The line of names, once. */
  #header(): string {
    if (this.#begun) return "";
    this.#begun = true;
    const names = this.#names.known;
    return names.length === 0 ? "" : `${names.map((name) => this.#quoted(name)).join(this.#delimiter)}\n`;
  }

  /** An empty text is quoted, since an empty cell is a null. */
  #quoted(text: string): string {
    return text === "" || this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  finish(): Uint8Array[] {
    return [Buffer.from(this.#header())];
  }
}

export class JsonLinesFormat implements Format {
  readonly #names: Names;
  rows = 0;

  constructor({ schema }: LinesSinkOptions = {}) {
    this.#names = new Names(schema);
  }

  write(table: Table): Uint8Array[] {
    const given = columnsOf(table);
    const names = this.#names.of(given);
    const columns = names.map((name, j) => ({
      key: `${j === 0 ? "{" : ","}${JSON.stringify(name)}:`,
      cells: cellsOf(given.columns.get(name)!),
      valid: given.columns.get(name)!.valid,
    }));
    const parts: Uint8Array[] = [];
    let text = "";
    for (let row = 0; row < given.rows; row++) {
      for (const { key, cells, valid } of columns)
        text += key + (valid !== null && valid[row] === 0 ? "null" : cells.json(row));
      text += columns.length === 0 ? "{}\n" : "}\n";
      if (text.length < PIECE) continue;
      parts.push(Buffer.from(text));
      text = "";
    }
    parts.push(Buffer.from(text));
    this.rows += given.rows;
    return parts;
  }

  finish(): Uint8Array[] {
    return [];
  }
}
