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
  /**
   * Appends rows. `at` is the position after them, kept in the file where its format has a place for it. After a write that
   * failed the sink can only be aborted.
   */
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
  /** Bytes that take the place of the first ones at the end: a header that counts rows. */
  head?(): Uint8Array;
  readonly rows: number;
}

/** A sink of one file. `begin` opens it, at the first write. */
export function fileSink(begin: () => Promise<AtomicFile>, format: Format): Sink {
  let opened: Promise<AtomicFile> | undefined;
  const file = (): Promise<AtomicFile> => (opened ??= begin());
  // Writes go one after the other even where nobody waits for them; after one that failed all do, and nothing is committed.
  let last: Promise<unknown> = Promise.resolve();
  const append = (make: () => Uint8Array[]): Promise<void> => {
    const parts = new Promise<Uint8Array[]>((resolve) => resolve(make()));
    const done = Promise.all([parts, last]).then(async ([made]) => {
      const target = await file();
      for (const part of made) await target.write(part);
    });
    last = done;
    done.catch(() => undefined);
    return done;
  };
  const abort = async (): Promise<void> => {
    await (await opened?.catch(() => undefined))?.abort();
  };
  return {
    write: (table, at) => append(() => format.write(table, at)),
    async commit() {
      await append(() => format.finish());
      const target = await file();
      if (format.head !== undefined) await target.replaceStart(format.head());
      return { path: target.path, rows: format.rows, ...(await target.commit()) };
    },
    abort,
    [Symbol.asyncDispose]: abort,
  };
}
