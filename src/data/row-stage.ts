/** Rows made of float32 columns that lie anywhere: tiles of them are copied to where a kernel turns them into rows. */
import { hasSimd, type Kernel, loadKernels, makeMemory } from "../simd/index.js";
import { ROW_KERNELS } from "./row-kernels.js";

/** Rows of one tile: its columns and its rows stay in the processor's cache. */
const TILE = 1024;
/** More columns are left to the loops in TypeScript. */
const MOST_COLUMNS = 512;
/** Kernels read and write up to three rows and lanes too many. */
const SLACK = 64;
/** Bytes from one column of the tile to the next: not a power of two, for which they would share a place in the cache. */
const COLUMN_BYTES = 4 * TILE + SLACK;

class RowStage {
  readonly width: number;
  readonly #floats: Float32Array;
  readonly #transpose: Kernel;
  readonly #groups: number;
  readonly #rows: number;

  constructor(width: number) {
    this.width = width;
    this.#groups = Math.ceil(width / 4);
    const table = SLACK * Math.ceil((16 * this.#groups) / SLACK);
    this.#rows = table + width * COLUMN_BYTES;
    const memory = makeMemory(this.#rows + 4 * width * (TILE + 4) + SLACK);
    const kernels: Readonly<Record<"transpose", Kernel>> = loadKernels(ROW_KERNELS, memory);
    this.#transpose = kernels.transpose;
    this.#floats = new Float32Array(memory.buffer);
    const places = new Uint32Array(memory.buffer);
    // A column stands in for those that fill up the last four; what it gives is written over, or never read.
    for (let j = 0; j < 4 * this.#groups; j++) places[j] = table + (j < width ? j : 0) * COLUMN_BYTES;
  }

  /** Rows `[from, to)` of the columns, side by side, into `out` from entry `at` on. */
  fill(columns: readonly Float32Array[], from: number, to: number, out: Float32Array, at: number): void {
    const { width } = this;
    const first = (this.#rows - width * COLUMN_BYTES) >> 2;
    const rows = this.#rows >> 2;
    for (let start = from; start < to; start += TILE) {
      const count = Math.min(TILE, to - start);
      for (let j = 0; j < width; j++)
        this.#floats.set(columns[j]!.subarray(start, start + count), first + j * (COLUMN_BYTES >> 2));
      this.#transpose(0, this.#groups, 0, count, this.#rows, 4 * width);
      out.set(this.#floats.subarray(rows, rows + count * width), at);
      at += count * width;
    }
  }
}

/** The last one: batches of one table follow each other. */
let last: RowStage | undefined;

/** As `fill`; false, with nothing written, where there is no SIMD, or the columns are too many or too few for it. */
export function stagedRows(
  columns: readonly Float32Array[],
  from: number,
  to: number,
  out: Float32Array,
  at: number,
): boolean {
  const width = columns.length;
  if (width < 4 || width > MOST_COLUMNS || to - from < 64 || !hasSimd()) return false;
  if (last?.width !== width) {
    try {
      last = new RowStage(width);
    } catch {
      return false; // the address space is limited
    }
  }
  last.fill(columns, from, to, out, at);
  return true;
}
