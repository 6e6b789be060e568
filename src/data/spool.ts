/** Results that can be read only once, such as a query's, written to a file without a name and read like any other. */
import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openArrowFiles } from "./arrow/scan.js";
import type { Column, Schema } from "./column.js";
import type { Scan, Source } from "./scan.js";
import { ArrowFormat } from "./sink/arrow.js";
import { AtomicFile } from "./sink/atomic-file.js";
import { fileSink } from "./sink/sink.js";

/** A path in the temporary folder that nobody has. */
function spoolPath(): string {
  return join(tmpdir(), `tenon-spool-${process.pid}-${randomBytes(6).toString("hex")}.arrow`);
}

/** Writes columns to an Arrow file at `path`. */
export async function writeSpool(
  path: string,
  schema: Schema,
  chunks: AsyncIterable<ReadonlyMap<string, Column>>,
): Promise<void> {
  await using out = fileSink(() => AtomicFile.create(path), new ArrowFormat({ schema, rowGroup: 65_536 }));
  for await (const columns of chunks) await out.write(Object.fromEntries(columns));
  await out.commit();
}

/**
 * A source that `write` makes as an Arrow file when it is opened. It is known by the hash of its content: a position goes on
 * in another process where the same rows come in the same order.
 */
export function spooledSource(
  identity: unknown,
  engine: string,
  name: string,
  write: (path: string) => Promise<void>,
  /** As `Scan.how`. */
  how?: string,
): Source {
  return {
    identity,
    async open(): Promise<Scan> {
      const path = spoolPath();
      try {
        await write(path);
        const hash = await hashOf(path);
        const scan = await openArrowFiles([path], false);
        const file = { name, size: scan.files[0]!.size, contentHash: hash, fingerprint: hash };
        return {
          engine,
          ...(how === undefined ? {} : { how }),
          schema: scan.schema,
          files: [file],
          splits: scan.splits,
          read: (split, columns, signal) => scan.read(split, columns, signal),
          [Symbol.asyncDispose]: () => scan[Symbol.asyncDispose](),
        };
      } finally {
        await unlink(path).catch(() => undefined);
      }
    },
  };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 }))
    hash.update(bytes as Uint8Array); // a binary stream
  return hash.digest("hex");
}
