/** Sink: where rows go; nothing is visible under the file's name before `commit`. */
import type { Position } from "../position.js";
import type { AtomicFile } from "./atomic-file.js";
import type { Table } from "./table.js";

/** What a committed sink has written. */
export interface Manifest {
  readonly path: string;
  readonly rows: number;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Sink<R = Table> extends AsyncDisposable {
  /** Appends rows. `at` is the position after them, kept in the file where its format has a place for it. */
  write(rows: R, at?: Position): Promise<void>;
  /** Makes the file whole, synced to disk, and gives it its name. */
  commit(): Promise<Manifest>;
  /** Drops what was written. */
  abort(): Promise<void>;
}

/** What a format does with rows; the sink around it does the rest. */
export interface Format {
  /** Bytes to append for these rows. */
  write(table: Table, at: Position | undefined): Uint8Array[];
  /** Bytes that end the file. */
  finish(): Uint8Array[];
  readonly rows: number;
}

/** A sink of one file. `begin` opens it, at the first write. */
export function fileSink(begin: () => Promise<AtomicFile>, format: Format): Sink {
  let opened: Promise<AtomicFile> | undefined;
  const file = (): Promise<AtomicFile> => (opened ??= begin());
  const append = async (parts: readonly Uint8Array[]): Promise<void> => {
    const target = await file();
    for (const part of parts) await target.write(part);
  };
  const abort = async (): Promise<void> => {
    await (await opened?.catch(() => undefined))?.abort();
  };
  return {
    write: async (table, at) => append(format.write(table, at)),
    async commit() {
      await append(format.finish());
      const target = await file();
      return { path: target.path, rows: format.rows, ...(await target.commit()) };
    },
    abort,
    [Symbol.asyncDispose]: abort,
  };
}
