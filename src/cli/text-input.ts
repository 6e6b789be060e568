/** Texts for a model from a file, told by its ending: lines, JSON, JSONL, CSV or Parquet; or lines from stdin. */
import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { TenonError } from "../base/index.js";

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
  ".csv": (path, field) => columnTexts("csv", path, needed(field, path)),
  ".parquet": (path, field) => columnTexts("parquet", path, needed(field, path)),
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

/** A column as texts. Cells that are empty in CSV are nulls to a table, and texts here. */
async function columnTexts(format: "csv" | "parquet", path: string, name: string): Promise<string[]> {
  const { columnValue, ...open } = await import("../data/index.js");
  const texts: string[] = [];
  for await (const { data, rows } of open[format](path).select(name).batch(4096)) {
    const column = data[name]!;
    for (let i = 0; i < rows; i++) {
      const value = columnValue(column, i);
      const isEmpty = value === null && format === "csv";
      texts.push(isEmpty ? "" : textOf(value, undefined, `row ${texts.length}`, path));
    }
  }
  return texts;
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
  if (typeof item === "string" && field !== undefined) {
    throw new TenonError("USAGE", {
      problem: `--text names a field, but ${what} is a plain text`,
      given: `--text ${field} for ${path}`,
      do: "leave --text out, or give objects",
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
