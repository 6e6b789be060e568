/** Memory of columns that batches show, taken again once every batch of its window is released. */
import { SpareBytes } from "./spare-bytes.js";
import type { ColumnMemory } from "./workspace.js";

/** Most bytes that are kept for later windows. */
const KEPT_BYTES = 2 ** 26;

/** The memory of one window. Whoever still reads it holds it; a holder that never lets go leaves it to the collector. */
export interface ColumnLease extends ColumnMemory {
  hold(): void;
  drop(): void;
}

/** Memory for reading, which datasets that are read one after the other may share: `iterate({ memory })`. */
export class ColumnPool {
  readonly #spare = new SpareBytes();
  /** Smallest first. */
  readonly #free: ArrayBuffer[] = [];
  #bytes = 0;

  /** Held once. */
  lease(): ColumnLease {
    const taken: ArrayBuffer[] = [];
    let holders = 1;
    return {
      spare: this.#spare,
      take: (bytes) => {
        const size = Math.ceil(bytes / 8) * 8;
        const buffer = this.#take(size);
        taken.push(buffer);
        return new Uint8Array(buffer, 0, size);
      },
      hold: () => {
        holders++;
      },
      drop: () => {
        if (--holders === 0) for (const buffer of taken.splice(0)) this.#give(buffer);
      },
    };
  }

  #take(size: number): ArrayBuffer {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= size);
    // A buffer of twice the size is left to columns that need it.
    if (at < 0 || this.#free[at]!.byteLength > 2 * size) return new ArrayBuffer(size);
    const [buffer] = this.#free.splice(at, 1);
    this.#bytes -= buffer!.byteLength;
    return buffer!;
  }

  #give(buffer: ArrayBuffer): void {
    if (this.#bytes + buffer.byteLength > KEPT_BYTES) return;
    this.#bytes += buffer.byteLength;
    const at = this.#free.findIndex(({ byteLength }) => byteLength > buffer.byteLength);
    this.#free.splice(at < 0 ? this.#free.length : at, 0, buffer);
  }
}
