/** Blocks of a text file: runs of whole records that can be read by themselves, found in one pass over its bytes. */
import { createHash } from "node:crypto";
import { TenonError } from "../../base/index.js";
import type { SeekableBytes } from "../byte-source.js";

export interface Block {
  /** First byte and number of bytes. */
  readonly start: number;
  readonly length: number;
  /** Number of records before it in the file, and in it. */
  readonly row: number;
  readonly rows: number;
  /** Line of the file on which it starts, from 1 on. */
  readonly line: number;
}

export interface BlockIndex {
  readonly blocks: readonly Block[];
  /** sha256 of all bytes, hex. */
  readonly sha256: string;
}

/** How records end. */
export interface RecordRules {
  /** Line ends within double quotes belong to the record. */
  readonly quotes: boolean;
  /** Lines of nothing but these bytes are no records; null: every line is one. */
  readonly blank: readonly number[] | null;
}

/** A block ends with the record that reaches one of these. */
const BLOCK_ROWS = 65_536;
const BLOCK_BYTES = 2 ** 22;
/** Longest record: it is held in memory as a whole. */
export const MAX_RECORD = 2 ** 26;
const CHUNK = 2 ** 20;

const INK = 0;
const QUOTE = 1;
const LINE_END = 2;
const BLANK = 3;

/** Finds the blocks of the records from byte `start`, line `line` on; `name` is for messages. Throws FILE_INVALID. */
export async function indexBlocks(
  name: string,
  file: SeekableBytes,
  rules: RecordRules,
  start: number,
  line: number,
): Promise<BlockIndex> {
  const kinds = new Uint8Array(256);
  for (const byte of rules.blank ?? []) kinds[byte] = BLANK;
  if (rules.quotes) kinds[34] = QUOTE;
  kinds[10] = LINE_END;
  const hash = createHash("sha256");
  const blocks: Block[] = [];
  let row = 0;
  let open = { start, row: 0, line };
  let rows = 0;
  let quoted = false;
  let quotedLine = line;
  let inked = rules.blank === null;
  let recordStart = start;
  const close = (end: number): void => {
    if (rows > 0) blocks.push({ ...open, length: end - open.start, rows });
    row += rows;
    rows = 0;
    open = { start: end, row, line };
  };
  const chunk = new Uint8Array(CHUNK);
  for (let position = 0; ; ) {
    const read = await file.read(chunk, position);
    if (read === 0) break;
    hash.update(chunk.subarray(0, read));
    for (let i = Math.max(0, Math.min(read, start - position)); i < read; i++) {
      const kind = kinds[chunk[i]!]!;
      if (kind === INK) {
        inked = true;
        continue;
      }
      if (kind === QUOTE) {
        quoted = !quoted;
        quotedLine = line;
        inked = true;
      } else if (kind === LINE_END) {
        line++;
        if (quoted) continue;
        const end = position + i + 1;
        if (inked) rows++;
        recordStart = end;
        inked = rules.blank === null;
        if (rows >= BLOCK_ROWS || end - open.start >= BLOCK_BYTES) close(end);
      }
    }
    position += read;
    if (position - recordStart > MAX_RECORD)
      throw new TenonError("FILE_INVALID", {
        problem: quoted ? "a quoted field does not end, or is too long" : "a line is too long",
        given: `${name}, line ${quoted ? quotedLine : line}`,
        expected: `at most ${MAX_RECORD} bytes`,
      });
  }
  if (quoted)
    throw new TenonError("FILE_INVALID", {
      problem: "a quoted field does not end",
      given: `${name}, line ${quotedLine}`,
      expected: 'a closing " (a quote within a field is written twice)',
    });
  if (recordStart < file.size && inked) rows++;
  close(file.size);
  return { blocks, sha256: hash.digest("hex") };
}

/** The bytes of one block. Throws FILE_INVALID when the file was cut meanwhile. */
export async function readBlock(name: string, file: SeekableBytes, block: Block): Promise<Uint8Array> {
  const bytes = new Uint8Array(block.length);
  const read = await file.read(bytes, block.start);
  if (read === block.length) return bytes;
  throw new TenonError("FILE_INVALID", { problem: "a file is shorter than it was", given: name });
}
