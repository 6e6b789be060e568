/** What the text formats give to the scan around them: where records start, how they end, and how blocks are read. */
import { extname } from "node:path";
import { TenonError } from "../../base/index.js";
import type { SeekableBytes } from "../byte-source.js";
import type { Column, FieldType, Schema } from "../column.js";
import type { RemoteOptions } from "../remote/locate.js";
import { type Block, type BlockIndex, MAX_RECORD, type RecordRules, readBlock } from "./blocks.js";
import { type Builder, builderOf } from "./builder.js";
import { parseHeader, parseRecords } from "./csv.js";
import { type JsonColumn, JsonTypes, parseLines } from "./jsonl.js";
import { type CellType, fieldOf, type Seen, seenIn, widest } from "./types.js";

export interface BlockReader {
  readonly schema: Schema;
  /** The named columns of a block. Throws FILE_INVALID. */
  read(bytes: Uint8Array, block: Block, columns: readonly string[]): Map<string, Column>;
  /** Where the columns lie in JSON objects. */
  readonly places?: readonly JsonColumn[];
}

export interface TextFormat {
  readonly kind: "csv" | "jsonl";
  /** Options that decide what rows are. */
  readonly identity: Readonly<Record<string, unknown>>;
  /** Reads the head of a file. */
  begin(
    path: string,
    bytes: SeekableBytes,
  ): Promise<{
    readonly at: number;
    readonly line: number;
    readonly rules: RecordRules;
    /** `like`: the reader of the first file, whose columns and types the others take. */
    reader(index: BlockIndex, like: BlockReader | undefined): Promise<BlockReader>;
  }>;
}

export interface TextSourceOptions {
  /** `key=value` folders become text columns. Default true. */
  readonly hive?: boolean;
  /** How files behind URLs are asked for; they are fetched whole, into the temporary folder. */
  readonly remote?: RemoteOptions;
}

export interface CsvOptions extends TextSourceOptions {
  /** One ASCII character. Default: a tab for `.tsv`, else a comma. */
  readonly delimiter?: string;
  /** Names of the columns where the file has no header. Default: the first record names them. */
  readonly columns?: readonly string[];
  /**
   * Types by column; the others are text, which becomes numbers where a tensor or a filter asks for them. `infer`: the first
   * block of the first file tells. An empty cell is a null.
   */
  readonly types?: "infer" | Readonly<Record<string, CellType>>;
}

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Where the text starts: after a byte order mark. Throws FILE_INVALID for UTF-16. */
function textStart(path: string, head: Uint8Array): number {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw new TenonError("FILE_INVALID", {
      problem: "a text file is UTF-16",
      given: path,
      do: "write the file as UTF-8",
    });
  return BYTE_ORDER_MARK.every((byte, i) => head[i] === byte) ? 3 : 0;
}

async function headOf(bytes: SeekableBytes, size: number): Promise<Uint8Array> {
  const head = new Uint8Array(Math.min(size, bytes.size));
  return head.subarray(0, await bytes.read(head, 0));
}

export function csvFormat(options: CsvOptions): TextFormat {
  const given = options.types ?? {};
  const fields = new Map<string, FieldType>();
  if (given !== "infer")
    for (const [name, type] of Object.entries(given)) fields.set(name, fieldOf(name, type));
  if (options.columns !== undefined) checkNames("columns", options.columns);
  if (options.delimiter !== undefined && !/^[^"\r\n\u0080-\uffff]$/.test(options.delimiter))
    throw new TenonError("USAGE", {
      problem: "the delimiter",
      given: JSON.stringify(options.delimiter),
      expected: "one ASCII character, no quote and no line end",
    });
  return {
    kind: "csv",
    identity: { delimiter: options.delimiter, columns: options.columns, types: options.types },
    async begin(path, bytes) {
      const delimiter = (options.delimiter ?? delimiterOf(path)).charCodeAt(0);
      const head = await headerRecord(path, bytes, options.columns === undefined);
      const empty = bytes.size === 0;
      const names =
        options.columns ?? (empty ? [] : parseHeader(head.record, delimiter, { file: path, line: 1 }));
      if (!empty) checkNames(path, names);
      for (const name of fields.keys())
        if (!empty && !names.includes(name))
          throw new TenonError("USAGE", {
            problem: `types name a column "${name}" that the file does not have`,
            given: path,
            expected: names.slice(0, 20).join(", "),
          });
      const width = names.length;
      return {
        at: head.end,
        line: head.lines,
        // A file of one column has an empty line for a null.
        rules: { quotes: true, blank: width > 1 ? [13] : null },
        async reader(index, like) {
          const schema = new Map<string, FieldType>();
          for (const name of names)
            schema.set(name, like?.schema.get(name) ?? fields.get(name) ?? { dtype: "utf8", nullable: true });
          const first = index.blocks[0];
          if (given === "infer" && like === undefined && first !== undefined) {
            const block = await readBlock(path, bytes, first);
            const seen = inferred(block, names, delimiter, { file: path, line: first.line });
            names.forEach((name, i) => {
              schema.set(name, { dtype: seen[i]!, nullable: true });
            });
          }
          return {
            schema,
            read(text, block, columns) {
              const builders = new Map<string, Builder>();
              for (const name of columns) {
                const { dtype, logical } = schema.get(name)!;
                builders.set(name, builderOf(dtype, logical, block.rows));
              }
              parseRecords(
                text,
                { delimiter, width },
                names.map((name) => builders.get(name) ?? null),
                names,
                { file: path, line: block.line },
              );
              return finished(builders, block.rows);
            },
          };
        },
      };
    },
  };
}

function delimiterOf(path: string): string {
  const plain = path.replace(/\.(gz|zstd?)$/i, "");
  return extname(plain).toLowerCase() === ".tsv" ? "\t" : ",";
}

function checkNames(where: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined || names.length === 0)
    throw new TenonError("FILE_INVALID", {
      problem: names.length === 0 ? "a file has no columns" : `two columns have the name "${twice}"`,
      given: where,
      do: "name the columns by the option columns",
    });
}

/** The first record, without its line end, and where the rest starts. */
async function headerRecord(
  path: string,
  bytes: SeekableBytes,
  wanted: boolean,
): Promise<{ record: Uint8Array; end: number; lines: number }> {
  for (let size = 65_536; ; size *= 4) {
    const head = await headOf(bytes, size);
    const start = textStart(path, head);
    if (!wanted) return { record: head.subarray(0, 0), end: start, lines: 1 };
    let quoted = false;
    let lines = 1;
    for (let at = start; at < head.length; at++) {
      if (head[at] === 34) quoted = !quoted;
      if (head[at] !== 10) continue;
      lines++;
      if (!quoted) return { record: head.subarray(start, at + 1), end: at + 1, lines };
    }
    if (head.length === bytes.size || size > MAX_RECORD) {
      if (quoted || size > MAX_RECORD)
        throw new TenonError("FILE_INVALID", {
          problem: "the header of a CSV file does not end",
          given: path,
          expected: "a first line with the names of the columns",
        });
      return { record: head.subarray(start), end: head.length, lines };
    }
  }
}

/** The narrowest types that the cells of a block have. */
function inferred(
  bytes: Uint8Array,
  names: readonly string[],
  delimiter: number,
  place: { file: string; line: number },
): Exclude<Seen, "nothing">[] {
  const seen = names.map((): Seen => "nothing");
  const fields = names.map(
    (_, i): Builder => ({
      length: 0,
      text: true,
      putNull: () => undefined,
      putText(text, from, to) {
        if (seen[i] !== "utf8")
          seen[i] = widest(seen[i]!, seenIn(Buffer.from(text.subarray(from, to)).toString().trim()));
        return true;
      },
      putValue: () => false,
      finish: () => {
        throw new TenonError("INTERNAL", { problem: "types are no column" });
      },
    }),
  );
  parseRecords(bytes, { delimiter, width: names.length }, fields, names, place);
  return seen.map((type) => (type === "nothing" ? "utf8" : type));
}

export interface JsonLinesOptions extends TextSourceOptions {
  /** Types by column, `outer.inner` for objects in objects; the first block of the first file tells the others. */
  readonly types?: Readonly<Record<string, CellType>>;
}

export function jsonLinesFormat(options: JsonLinesOptions): TextFormat {
  const given = new Map<string, FieldType>();
  for (const [name, type] of Object.entries(options.types ?? {})) given.set(name, fieldOf(name, type));
  return {
    kind: "jsonl",
    identity: { types: options.types },
    async begin(path, bytes) {
      return {
        at: textStart(path, await headOf(bytes, 4)),
        line: 1,
        rules: { quotes: false, blank: [9, 13, 32] },
        async reader(index, like) {
          if (like?.places !== undefined)
            return linesReader(path, { columns: like.places, schema: like.schema });
          const types = new JsonTypes(given, {
            file: path,
            line: index.blocks[0]?.line ?? 1,
          });
          const first = index.blocks[0];
          if (first !== undefined) types.add(await readBlock(path, bytes, first));
          return linesReader(path, types.finish());
        },
      };
    },
  };
}

function linesReader(
  path: string,
  { columns, schema }: { columns: readonly JsonColumn[]; schema: Schema },
): BlockReader {
  const paths = new Map(columns.map((column) => [column.name, column]));
  const all = new Set(paths.keys());
  return {
    schema,
    places: columns,
    read(text, block, names) {
      const builders = new Map<string, Builder>();
      for (const name of names) {
        const { dtype, logical } = schema.get(name)!;
        builders.set(name, builderOf(dtype, logical, block.rows));
      }
      parseLines(
        text,
        names.map((name) => ({ ...paths.get(name)!, builder: builders.get(name)! })),
        names.length === all.size ? all : null,
        { file: path, line: block.line },
      );
      return finished(builders, block.rows);
    },
  };
}

function finished(builders: ReadonlyMap<string, Builder>, rows: number): Map<string, Column> {
  const columns = new Map<string, Column>();
  for (const [name, builder] of builders) {
    if (builder.length !== rows)
      throw new TenonError("INTERNAL", {
        problem: "a block has another number of rows than its index says",
        given: `${builder.length} for ${rows}`,
      });
    columns.set(name, builder.finish());
  }
  return columns;
}
