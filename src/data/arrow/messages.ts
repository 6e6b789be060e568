/** Messages of Arrow's IPC format (Message.fbs, File.fbs): files with a footer, and streams, found by their heads alone. */
import { createHash } from "node:crypto";
import { TenonError } from "../../base/index.js";
import type { SeekableBytes } from "../byte-source.js";
import { damaged, FlatTable } from "./flat.js";

/** A batch in the file: where its message and its body lie. */
export interface ArrowBlock {
  readonly start: number;
  readonly metadata: number;
  readonly body: number;
  readonly rows: number;
}

export interface ArrowIndex {
  readonly schema: FlatTable;
  readonly dictionaries: readonly (ArrowBlock & { readonly id: number })[];
  readonly batches: readonly ArrowBlock[];
  /** sha256 of all heads: schema, sizes and places, not the values. */
  readonly hash: string;
}

const MAGIC = "ARROW1";
const MAX_METADATA = 2 ** 27;
const MAX_BODY = 2 ** 31 - 1;
const SCHEMA = 1;
const DICTIONARY = 2;
const RECORDS = 3;

async function readExactly(file: SeekableBytes, position: number, length: number): Promise<Uint8Array> {
  if (length > MAX_BODY) throw damaged("a batch is too large", `${length} bytes`);
  if (position + length > file.size) throw damaged("it is cut off");
  const bytes = new Uint8Array(length);
  if ((await file.read(bytes, position)) !== length) throw damaged("it is shorter than it was");
  return bytes;
}

/** Reads the heads of all messages. Throws FILE_INVALID. */
export async function indexMessages(file: SeekableBytes): Promise<ArrowIndex> {
  const head = new TextDecoder("latin1").decode(await readExactly(file, 0, Math.min(8, file.size)));
  if (head.startsWith("FEA1"))
    throw new TenonError("FILE_INVALID", {
      problem: "Feather files of version 1 are not read",
      do: "write the file as Arrow IPC",
    });
  const hash = createHash("sha256");
  let schema: FlatTable | undefined;
  const dictionaries: (ArrowBlock & { id: number })[] = [];
  const batches: ArrowBlock[] = [];
  let at = head.startsWith(MAGIC) ? 8 : 0;
  // Files are streams between two marks, so that one way reads both.
  while (at + 4 <= file.size) {
    const { length, next } = await messageLength(file, at);
    if (length === 0) break;
    if (length < 0 || length > MAX_METADATA) throw damaged("a message has no length", String(length));
    const metadata = await readExactly(file, next, length);
    hash.update(metadata);
    const message = FlatTable.root(metadata);
    const body = message.long(3);
    const content = message.table(2);
    if (content === undefined) throw damaged("a message has no content");
    const block = { start: at, metadata: next + length - at, body };
    switch (message.byte(1, 0)) {
      case SCHEMA:
        schema ??= content;
        break;
      case DICTIONARY: {
        const id = content.long(0);
        if (content.byte(2, 0) !== 0 || dictionaries.some((known) => known.id === id))
          throw damaged("dictionaries that change on the way are not read");
        dictionaries.push({ ...block, id, rows: 0 });
        break;
      }
      case RECORDS:
        batches.push({ ...block, rows: content.long(0) });
        break;
      default:
        throw damaged("a message of another kind", String(message.byte(1, 0)));
    }
    at = next + length + body;
    if (at > file.size) throw damaged("it is cut off");
  }
  if (schema === undefined) throw damaged("it has no schema");
  return { schema, dictionaries, batches, hash: hash.digest("hex") };
}

/** A message's length stands behind a mark; before version 0.15 it stood alone. */
async function messageLength(file: SeekableBytes, at: number): Promise<{ length: number; next: number }> {
  const head = await readExactly(file, at, Math.min(8, file.size - at));
  const view = new DataView(head.buffer);
  const first = view.getInt32(0, true);
  if (first !== -1) return { length: first, next: at + 4 };
  return head.length < 8 ? { length: 0, next: at } : { length: view.getInt32(4, true), next: at + 8 };
}

/** The content of a message and its body. */
export async function readBlock(
  file: SeekableBytes,
  { start, metadata, body }: ArrowBlock,
): Promise<{ content: FlatTable; body: Uint8Array }> {
  const bytes = await readExactly(file, start, metadata + body);
  const marked = new DataView(bytes.buffer).getInt32(0, true) === -1;
  const content = FlatTable.root(bytes.subarray(marked ? 8 : 4, metadata)).table(2);
  if (content === undefined) throw damaged("a message has no content");
  // Bodies start at multiples of 8 in the file; a copy makes that hold in memory where it does not.
  const values = bytes.subarray(metadata);
  return { content, body: values.byteOffset % 8 === 0 ? values : values.slice() };
}
