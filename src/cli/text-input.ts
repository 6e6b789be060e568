/** Texts for a model from a file, told by its ending: lines, JSON, JSONL, CSV or Parquet; or lines from stdin. */
import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { TenonError } from "../base/index.js";
import { columnValue, parquet } from "../data/index.js";

export interface TextInput {
  readonly texts: string[];
  /** Where they came from, for messages. */
  readonly from: string;
}

type Reader = (path: string, field: string | undefined) => Promise<string[]>;

const READERS: Readonly<Record<string, Reader>> = {
  ".txt": async (path, field) => {
    refuseField(field, path);
    return linesOf(await wholeText(createReadStream(path)));
  },
  ".json": async (path, field) => {
    const value = parsed(await wholeText(createReadStream(path)), path);
    if (!Array.isArray(value)) throw badInput("the JSON is no array", path, kindOf(value));
    return value.map((item, i) => textOf(item, field, `item ${i}`, path));
  },
  ".jsonl": async (path, field) => {
    const lines = linesOf(await wholeText(createReadStream(path)));
    return lines.flatMap((line, i) =>
      line.trim() === "" ? [] : [textOf(parsed(line, `${path}:${i + 1}`), field, `line ${i + 1}`, path)],
    );
  },
  ".csv": async (path, field) => {
    const [header, ...rows] = csvRows(await wholeText(createReadStream(path)), path);
    const column = header?.indexOf(needed(field, path)) ?? -1;
    if (column < 0) throw badInput("the table has no such column", path, field!, header?.join(", "));
    return rows.map((row, i) => {
      const cell = row[column];
      if (cell !== undefined) return cell;
      throw badInput(`row ${i + 1} is shorter than the header`, path, `${row.length} cells`);
    });
  },
  ".parquet": async (path, field) => {
    const name = needed(field, path);
    const texts: string[] = [];
    for await (const { data, rows } of parquet(path).select(name).batch(4096)) {
      const column = data[name]!;
      for (let i = 0; i < rows; i++)
        texts.push(textOf(columnValue(column, i), undefined, `row ${texts.length}`, path));
    }
    return texts;
  },
};

/** Ends of files that are read. */
const TEXT_ENDINGS = Object.keys(READERS);

/** Reads them all. Throws FILE_NOT_FOUND, USAGE for an unknown ending or a field that is missing, FILE_INVALID. */
export async function readTexts(path: string | undefined, field: string | undefined): Promise<TextInput> {
  if (path === undefined || path === "-") {
    refuseField(field, "stdin");
    return { texts: linesOf(await wholeText(process.stdin)), from: "stdin" };
  }
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new TenonError("FILE_NOT_FOUND", { problem: "the file of texts does not exist", given: path });
  const reader = READERS[extname(path).toLowerCase()];
  if (reader === undefined) {
    throw new TenonError("USAGE", {
      problem: "the ending of --input is not known",
      given: path,
      expected: TEXT_ENDINGS.join(", "),
    });
  }
  return { texts: await reader(path, field), from: path };
}

async function wholeText(stream: AsyncIterable<Buffer | string>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part));
  return Buffer.concat(parts)
    .toString("utf8")
    .replace(/^\uFEFF/, "");
}

/** One text a line; the newline at the end begins no other. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TenonError("FILE_INVALID", { problem: "this is not JSON", given: where, cause });
  }
}

function textOf(item: unknown, field: string | undefined, what: string, path: string): string {
  const isObject = typeof item === "object" && item !== null && !Array.isArray(item);
  if (isObject && field === undefined) {
    throw new TenonError("USAGE", {
      problem: `${what} is an object`,
      given: path,
      expected: `--text with one of ${Object.keys(item).slice(0, 20).join(", ")}`,
    });
  }
  const value: unknown = isObject
    ? Object.hasOwn(item, field!)
      ? (item as Record<string, unknown>)[field!]
      : undefined
    : item;
  if (typeof value === "string") return value;
  throw badInput(`${what} holds no text${isObject ? ` under "${field}"` : ""}`, path, kindOf(value));
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
}

function needed(field: string | undefined, path: string): string {
  if (field !== undefined) return field;
  throw new TenonError("USAGE", {
    problem: "which column holds the texts is not told",
    given: path,
    do: "name it with --text COLUMN",
  });
}

function refuseField(field: string | undefined, path: string): void {
  if (field === undefined) return;
  throw new TenonError("USAGE", { problem: "--text is for files with fields", given: path });
}

function badInput(problem: string, path: string, given: string, expected?: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `${path}: ${problem}`,
    given,
    ...(expected === undefined ? {} : { expected }),
  });
}

const PLAIN_CELL = /[^,\r\n]*/y;

/** Rows of RFC 4180: commas, quotes that are doubled inside, line ends of either kind. */
function csvRows(text: string, path: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  const quoted = (): string => {
    const parts: string[] = [];
    do {
      const end = text.indexOf('"', at + 1);
      if (end < 0) throw badInput("a quote is not closed", path, `row ${rows.length + 1}`);
      parts.push(text.slice(at + 1, end));
      at = end + 1;
    } while (text[at] === '"');
    return parts.join('"');
  };
  const plain = (): string => {
    PLAIN_CELL.lastIndex = at;
    const [cell] = PLAIN_CELL.exec(text)!; // matches also nothing
    at += cell.length;
    return cell;
  };
  while (at < text.length) {
    row.push(text[at] === '"' ? quoted() : plain());
    if (text[at] === ",") {
      at++;
      if (at < text.length) continue;
      row.push("");
    } else if (at < text.length && text[at] !== "\r" && text[at] !== "\n")
      throw badInput("text stands behind a closing quote", path, `row ${rows.length + 1}`);
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    rows.push(row);
    row = [];
  }
  return rows;
}
