/** Memory of the windows under way, in WebAssembly: columns are decoded into it, and its kernels make rows of them. */
import { hasSimd, type Kernel, type KernelMemory, loadKernels, makeMemory } from "../simd/index.js";
import { ROW_KERNELS } from "./row-kernels.js";
import type { SpareBytes } from "./spare-bytes.js";

/** Where decoded numbers go. */
export interface ColumnMemory {
  /** At least `bytes` bytes on an 8-byte boundary; what they hold is left over from before. */
  take(bytes: number): Uint8Array;
  /** Where the bytes of files go before they are decoded; default: memory of each file. */
  readonly spare?: SpareBytes;
}

/** Memory of its own for each column. */
export const FRESH_MEMORY: ColumnMemory = {
  take: (bytes) => new Uint8Array(Math.ceil(bytes / 8) * 8),
};

export interface WorkspaceSize {
  /** Bytes of the columns of the largest window. */
  readonly columns: number;
  /** Rows of the largest window where rows are taken out of order; else 0. */
  readonly orderedRows: number;
  /** Columns of each pack. */
  readonly packs: readonly number[];
}

/** Rows that are made before they are copied out: they stay in the processor's cache. */
const TILE = 1024;
const ALIGN = 64;
/** Larger ones are left to JavaScript's own memory. */
const MAX_BYTES = 2 ** 30;
/** Kernels read and write up to three rows and lanes too many. */
const SLACK = 4096;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGN) * ALIGN;

/** Bytes of a row of `width` floats where rows lie apart by whole vectors. */
const strideOf = (width: number): number => 16 * Math.ceil(width / 4);

/** Rows of one window, each in one place. */
interface Matrix {
  readonly at: number;
  readonly width: number;
  /** The order whose window it holds. */
  owner: Uint32Array | null;
}

export class Workspace {
  /** The memory's own accessor is slow. */
  readonly #buffer: ArrayBufferLike;
  readonly #bytes: Uint8Array;
  readonly #floats: Float32Array;
  readonly #words: Uint32Array;
  readonly #kernels: Readonly<Record<"transpose" | "gather", Kernel>>;
  readonly #slotBytes: number;
  readonly #table: number;
  readonly #stage: number;
  readonly #order: number;
  readonly #matrices = new Map<string, Matrix>();
  #matrixNext: number;
  readonly #matrixEnd: number;
  readonly #orderedRows: number;
  #orderOwner: Uint32Array | null = null;

  private constructor(memory: KernelMemory, plan: Layout) {
    this.#buffer = memory.buffer;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#floats = new Float32Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#kernels = loadKernels(ROW_KERNELS, memory);
    this.#slotBytes = plan.slot;
    this.#table = plan.table;
    this.#stage = plan.stage;
    this.#order = plan.order;
    this.#matrixNext = plan.matrices;
    this.#matrixEnd = plan.end;
    this.#orderedRows = plan.orderedRows;
  }

  /** undefined where there is no SIMD, where it would be too large, or where the process cannot have it. */
  static create(size: WorkspaceSize): Workspace | undefined {
    if (!hasSimd()) return undefined;
    const plan = layout(size);
    if (plan.end > MAX_BYTES) return undefined;
    try {
      return new Workspace(makeMemory(plan.end + SLACK), plan);
    } catch {
      return undefined; // the address space is limited
    }
  }

  /** The memory of every other window; what the one before the last had taken is free again. */
  slot(number: number): ColumnMemory {
    let at = (number % 2) * this.#slotBytes;
    const end = at + this.#slotBytes;
    return {
      take: (bytes) => {
        const size = aligned(bytes);
        if (at + size > end) return FRESH_MEMORY.take(bytes);
        const taken = this.#bytes.subarray(at, at + Math.ceil(bytes / 8) * 8);
        at += size;
        return taken;
      },
    };
  }

  holds(values: Float32Array): boolean {
    return values.buffer === this.#buffer;
  }

  /** Rows `[from, to)` of the columns, side by side, into `out` from entry `at` on. */
  rows(columns: readonly Float32Array[], from: number, to: number, out: Float32Array, at: number): void {
    const width = columns.length;
    const groups = this.#columns(columns);
    const stage = this.#stage >> 2;
    for (let start = from; start < to; start += TILE) {
      const count = Math.min(TILE, to - start);
      this.#kernels.transpose(this.#table, groups, 4 * start, count, this.#stage, 4 * width);
      out.set(this.#floats.subarray(stage, stage + count * width), at);
      at += count * width;
    }
  }

  /** Writes the table of the columns' places; gives the number of groups of four. */
  #columns(columns: readonly Float32Array[]): number {
    const groups = Math.ceil(columns.length / 4);
    const table = this.#table >> 2;
    // A column stands in for those that fill up the last four; what it gives is written over, or never read.
    for (let j = 0; j < 4 * groups; j++) this.#words[table + j] = (columns[j] ?? columns[0]!).byteOffset;
    return groups;
  }

  /**
   * Rows `order[from, to)` of a window, whose parts give columns. The window is made into whole rows first, once for
   * all batches of it. False, with nothing written, where there is no room for it.
   */
  taken(
    key: string,
    parts: readonly { readonly rows: number; readonly columns: readonly Float32Array[] }[],
    order: Uint32Array,
    from: number,
    to: number,
    out: Float32Array,
    at: number,
  ): boolean {
    const width = parts[0]!.columns.length;
    const matrix = this.#matrixFor(key, width);
    if (matrix === undefined || order.length > this.#orderedRows) return false;
    const stride = strideOf(width);
    if (matrix.owner !== order) {
      let row = 0;
      for (const { rows, columns } of parts) {
        const groups = this.#columns(columns);
        for (let start = 0; start < rows; start += TILE)
          this.#kernels.transpose(
            this.#table,
            groups,
            4 * start,
            Math.min(TILE, rows - start),
            matrix.at + (row + start) * stride,
            stride,
          );
        row += rows;
      }
      matrix.owner = order;
    }
    if (this.#orderOwner !== order) {
      this.#words.set(order, this.#order >> 2);
      this.#orderOwner = order;
    }
    const stage = this.#stage >> 2;
    for (let start = from; start < to; start += TILE) {
      const count = Math.min(TILE, to - start);
      this.#kernels.gather(matrix.at, this.#order + 4 * start, count, this.#stage, stride, 4 * width);
      out.set(this.#floats.subarray(stage, stage + count * width), at);
      at += count * width;
    }
    return true;
  }

  #matrixFor(key: string, width: number): Matrix | undefined {
    const known = this.#matrices.get(key);
    if (known !== undefined) return known;
    const bytes = aligned((this.#orderedRows + 4) * strideOf(width));
    if (this.#matrixNext + bytes > this.#matrixEnd) return undefined;
    const matrix: Matrix = { at: this.#matrixNext, width, owner: null };
    this.#matrixNext += bytes;
    this.#matrices.set(key, matrix);
    return matrix;
  }
}

interface Layout {
  readonly slot: number;
  readonly table: number;
  readonly stage: number;
  readonly order: number;
  readonly matrices: number;
  readonly end: number;
  readonly orderedRows: number;
}

function layout({ columns, orderedRows, packs }: WorkspaceSize): Layout {
  const widest = Math.max(0, ...packs);
  const slot = aligned(columns);
  const table = 2 * slot;
  const stage = table + aligned(4 * (widest + 4));
  const order = stage + aligned((TILE + 4) * strideOf(widest));
  const matrices = order + aligned(4 * orderedRows);
  const end =
    orderedRows === 0
      ? matrices
      : packs.reduce((at, width) => at + aligned((orderedRows + 4) * strideOf(width)), matrices);
  return { slot, table, stage, order, matrices, end, orderedRows };
}
