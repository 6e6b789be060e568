/** The sinks of CSV and of JSON lines: rows as lines of text. */
import { TenonError } from "../../base/index.js";
import { cellsOf } from "./cell.js";
import type { Format } from "./sink.js";
import { columnsOf, type Rows, type Table } from "./table.js";

/** Lines are encoded in pieces of about so many characters. */
const PIECE = 2 ** 18;

/** Throws USAGE unless the rows have the columns of the first ones. */
class Names {
  #names: readonly string[] | undefined;

  /** The names, and whether they are new. */
  of({ columns }: Rows): { readonly names: readonly string[]; readonly first: boolean } {
    const names = [...columns.keys()];
    if (this.#names === undefined) {
      this.#names = names;
      return { names, first: true };
    }
    const other = names.find((name) => !this.#names!.includes(name));
    if (other !== undefined || names.length !== this.#names.length)
      throw new TenonError("USAGE", {
        problem: "the rows have other columns than the first ones",
        given: names.join(", ").slice(0, 200),
        expected: this.#names.join(", ").slice(0, 200),
      });
    return { names: this.#names, first: false };
  }
}

export interface CsvSinkOptions {
  /** One ASCII character. Default a comma. */
  readonly delimiter?: string;
}

export class CsvFormat implements Format {
  readonly #names = new Names();
  readonly #delimiter: string;
  readonly #special: RegExp;
  rows = 0;

  constructor({ delimiter = "," }: CsvSinkOptions) {
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
    const { names, first } = this.#names.of(given);
    const columns = names.map((name) => ({
      cells: cellsOf(given.columns.get(name)!),
      valid: given.columns.get(name)!.valid,
    }));
    const parts: Uint8Array[] = [];
    let text = first ? `${names.map((name) => this.#quoted(name)).join(this.#delimiter)}\n` : "";
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

  /** An empty text is quoted, since an empty cell is a null. */
  #quoted(text: string): string {
    return text === "" || this.#special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  finish(): Uint8Array[] {
    return [];
  }
}

export class JsonLinesFormat implements Format {
  readonly #names = new Names();
  rows = 0;

  write(table: Table): Uint8Array[] {
    const given = columnsOf(table);
    const { names } = this.#names.of(given);
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
