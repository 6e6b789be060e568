/** An opened Parquet file: its footer, and the columns of its row groups, read in few large pieces. */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TenonError } from "../../base/index.js";
import { type ByteSource, openFile } from "../byte-source.js";
import type { Column } from "../column.js";
import { isUrl } from "../glob.js";
import type { RemoteOptions } from "../remote/locate.js";
import { SpareBytes } from "../spare-bytes.js";
import type { ColumnMemory } from "../workspace.js";
import { decodeChunk } from "./decode.js";
import { type ChunkMeta, type Footer, footerLength, parseFooter, TAIL_BYTES } from "./footer.js";
import { type Leaf, leavesOf } from "./leaf.js";
import { PageScratch, readPageHead } from "./page.js";
import { invalid } from "./thrift.js";

/** Chunks that lie closer than this are read together. */
const GAP = 65_536;
/** Milliseconds of decoding after which the event loop has its turn: whoever waits for a model there is not held up. */
const TURN_MS = 2;
/** So long are most headers of pages at most, and so long is any. */
const HEAD_BYTES = 512;
const LONG_HEAD_BYTES = 2 ** 20;
/** Longest single read. */
const MAX_READ = 2 ** 26;
const MAX_FOOTER = 2 ** 28;

export class ParquetFile {
  readonly path: string;
  readonly footer: Footer;
  readonly leaves: ReadonlyMap<string, { readonly leaf: Leaf; readonly index: number }>;
  /** sha256 of the footer, hex: it holds the place and the statistics of every column chunk. */
  readonly footerHash: string;
  readonly size: number;
  readonly #bytes: ByteSource;
  readonly #scratch = new PageScratch();
  readonly #spare = new SpareBytes();

  private constructor(bytes: ByteSource, footer: Footer, footerHash: string) {
    this.path = bytes.name;
    this.size = bytes.size;
    this.footer = footer;
    this.footerHash = footerHash;
    this.#bytes = bytes;
    this.leaves = namedLeaves(footer);
  }

  /** Opens a file or a URL, and reads the footer. Throws FILE_NOT_FOUND, FILE_INVALID, for URLs USAGE. */
  static async open(path: string, remote?: RemoteOptions): Promise<ParquetFile> {
    const file = isUrl(path)
      ? await (await import("../remote/remote-file.js")).openRemote(path, remote)
      : await openFile(path);
    const { size, name } = file;
    try {
      const tail = await readAt(file, Math.max(0, size - TAIL_BYTES), Math.min(size, TAIL_BYTES));
      if (tail.length < TAIL_BYTES) throw invalid("it is shorter than any Parquet file");
      const length = footerLength(tail, size);
      if (length > MAX_FOOTER) throw invalid("the footer is too large", `${length} bytes`);
      const bytes = await readAt(file, size - TAIL_BYTES - length, length);
      const hash = createHash("sha256").update(bytes).digest("hex");
      return new ParquetFile(file, parsedFooter(bytes, size, hash), hash);
    } catch (error) {
      await file.close();
      throw within(error, name);
    }
  }

  /** Differs when the content may have changed. */
  get version(): string | number {
    return this.#bytes.version;
  }

  /** The named columns of one row group. Throws FILE_INVALID with the file's path. */
  async readGroup(
    index: number,
    names: readonly string[],
    memory: ColumnMemory,
  ): Promise<Map<string, Column>> {
    const group = this.footer.groups[index]!;
    const wanted = names.map((name) => {
      const { leaf, index: at } = this.leaves.get(name)!;
      const meta = group.chunks[at];
      if (meta === undefined || meta.path !== leaf.path)
        throw within(invalid("a row group's columns differ from the schema"), this.path);
      return { name, leaf, meta };
    });
    const spare = memory.spare ?? this.#spare;
    const ranges = await this.#readRanges(
      wanted.map(({ meta }) => meta),
      spare,
    );
    const columns = new Map<string, Column>();
    let turn = performance.now();
    for (const { name, leaf, meta } of wanted) {
      if (performance.now() - turn > TURN_MS) {
        await nextTurn();
        turn = performance.now();
      }
      const range = ranges.find(
        ({ start, bytes }) => meta.start >= start && meta.start + meta.length <= start + bytes.length,
      )!;
      const bytes = range.bytes.subarray(meta.start - range.start, meta.start - range.start + meta.length);
      try {
        columns.set(name, decodeChunk(bytes, leaf, meta, group.rows, this.#scratch, memory));
      } catch (error) {
        throw within(error, `${this.path}, column "${name}", row group ${index}`);
      }
    }
    for (const { bytes } of ranges) spare.give(bytes);
    return columns;
  }

  /**
   * Looks at the headers of all pages of one row group's columns below the top-level names: native readers ask for as much
   * memory as these say. Throws FILE_INVALID.
   */
  async checkPages(index: number, names: ReadonlySet<string>): Promise<void> {
    const group = this.footer.groups[index]!;
    for (const { leaf, index: at } of this.leaves.values()) {
      const meta = group.chunks[at];
      if (meta === undefined || !names.has(leaf.path.split("\u0000")[0]!)) continue;
      try {
        await this.#checkChunk(meta);
      } catch (error) {
        throw within(error, `${this.path}, column "${leaf.name}", row group ${index}`);
      }
    }
  }

  async #checkChunk({ start, length, values }: ChunkMeta): Promise<void> {
    let found = 0;
    for (let at = 0; at < length && found < values; ) {
      const head = await this.#pageHead(start + at, length - at);
      at += head.end + head.compressedSize;
      if (at > length) throw invalid("a page is cut off", `${head.compressedSize} bytes`);
      if (head.kind === "data" || head.kind === "dataV2") found += head.values;
      else if (head.kind === "dictionary" && head.values > head.size)
        throw invalid("a dictionary has more values than bytes", String(head.values));
    }
    if (found !== values)
      throw invalid("the pages have another number of values than the footer says", String(found));
  }

  async #pageHead(position: number, left: number): Promise<ReturnType<typeof readPageHead>> {
    const few = Math.min(left, HEAD_BYTES);
    const bytes = await readAt(this.#bytes, position, few);
    try {
      return readPageHead(bytes, 0);
    } catch (error) {
      if (few === left) throw error;
      // Statistics of long texts make a header long.
      return readPageHead(await readAt(this.#bytes, position, Math.min(left, LONG_HEAD_BYTES)), 0);
    }
  }

  async #readRanges(
    chunks: readonly ChunkMeta[],
    spare: SpareBytes,
  ): Promise<{ start: number; bytes: Uint8Array }[]> {
    const sorted = [...chunks].sort((a, b) => a.start - b.start);
    const ranges: { start: number; end: number }[] = [];
    for (const { start, length } of sorted) {
      const last = ranges.at(-1);
      const end = start + length;
      if (last !== undefined && start <= last.end + GAP && Math.max(end, last.end) - last.start <= MAX_READ)
        last.end = Math.max(last.end, end);
      else ranges.push({ start, end });
    }
    return Promise.all(
      ranges.map(async ({ start, end }) => ({
        start,
        bytes: await readAt(this.#bytes, start, end - start, spare.take(end - start)),
      })),
    );
  }

  async close(): Promise<void> {
    await this.#bytes.close();
  }
}

/** Footers by their content: a table that is opened again, to go on from a position or for another epoch, is not parsed again. */
const footers = new Map<string, Footer>();
const MAX_FOOTERS = 16;

function parsedFooter(bytes: Uint8Array, size: number, hash: string): Footer {
  const key = `${hash} ${size}`;
  const footer = footers.get(key) ?? parseFooter(bytes, size);
  footers.delete(key); // the last used comes last
  footers.set(key, footer);
  for (const oldest of footers.keys()) {
    if (footers.size <= MAX_FOOTERS) break;
    footers.delete(oldest);
  }
  return footer;
}

function namedLeaves(footer: Footer): Map<string, { leaf: Leaf; index: number }> {
  const named = new Map<string, { leaf: Leaf; index: number }>();
  leavesOf(footer.schema).forEach((leaf, index) => {
    if (named.has(leaf.name)) throw invalid("two columns have one name", leaf.name);
    named.set(leaf.name, { leaf, index });
  });
  return named;
}

async function readAt(
  source: ByteSource,
  position: number,
  length: number,
  bytes: Uint8Array = new Uint8Array(length),
): Promise<Uint8Array> {
  if ((await source.read(bytes, position)) < length) throw invalid("the file is shorter than it was");
  return bytes;
}

/** The error with the place where it arose. */
function within(error: unknown, where: string): unknown {
  if (!(error instanceof TenonError)) {
    return new TenonError("FILE_INVALID", { problem: "damaged Parquet file", given: where, cause: error });
  }
  return new TenonError(error.code, {
    problem: error.problem,
    given: error.given === undefined ? where : `${error.given}, in ${where}`,
    ...(error.expected === undefined ? {} : { expected: error.expected }),
    ...(error.do === undefined ? {} : { do: error.do }),
    details: error.details,
    cause: error,
  });
}
