/** The kernels of Snappy with memory that pages are copied through; made at the first use, one for each thread. */
import { hasSimd, type Kernel, loadKernels, makeMemory } from "../../simd/index.js";
import { OVERRUN, SNAPPY_KERNELS, TABLE_BYTES } from "./snappy-kernels.js";

/** Larger pages are left to the loops in TypeScript. */
const MOST_BYTES = 2 ** 24;
const LEAST_BYTES = 2 ** 20;

interface Loaded {
  readonly bytes: Uint8Array;
  /** Bytes of each of the two places. */
  readonly room: number;
  readonly kernels: Readonly<Record<"compress" | "decompress", Kernel>>;
}

let loaded: Loaded | undefined;

function loadedFor(bytes: number): Loaded | undefined {
  if (loaded !== undefined && loaded.room >= bytes) return loaded;
  if (bytes > MOST_BYTES || !hasSimd()) return undefined;
  const room = Math.max(LEAST_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
  try {
    const memory = makeMemory(TABLE_BYTES + 2 * (room + 2 * OVERRUN));
    loaded = { bytes: new Uint8Array(memory.buffer), room, kernels: loadKernels(SNAPPY_KERNELS, memory) };
    return loaded;
  } catch {
    return undefined; // the address space is limited
  }
}

const SOURCE = TABLE_BYTES + OVERRUN;
const targetOf = ({ room }: Loaded): number => SOURCE + room + 2 * OVERRUN;

/** Most bytes that the elements for `length` bytes take. */
export function mostCompressed(length: number): number {
  return length + Math.ceil(length / 6) + 32;
}

/** The elements for `source` behind `head`; undefined where the kernels are not to be had. */
export function compressByKernel(source: Uint8Array, head: readonly number[]): Uint8Array | undefined {
  const memory = loadedFor(head.length + mostCompressed(source.length));
  if (memory === undefined) return undefined;
  memory.bytes.set(source, SOURCE);
  const target = targetOf(memory);
  memory.bytes.set(head, target);
  const size = memory.kernels.compress(SOURCE, source.length, target + head.length, 0);
  return memory.bytes.slice(target, target + head.length + size);
}

/** Writes the `length` bytes that the elements give to `target`; false where they are damaged, or there are no kernels. */
export function decompressByKernel(
  elements: Uint8Array,
  length: number,
  target: Uint8Array,
  at: number,
): boolean {
  const memory = loadedFor(Math.max(elements.length, length));
  if (memory === undefined) return false;
  memory.bytes.set(elements, SOURCE);
  const place = targetOf(memory);
  if (memory.kernels.decompress(SOURCE, elements.length, place, length) === 0) return false;
  target.set(memory.bytes.subarray(place, place + length), at);
  return true;
}
