/** Counts the bytes that JavaScript copies between buffers, by watching every built-in that copies blocks. */

type Method = (this: unknown, ...args: unknown[]) => unknown;

const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as Record<string, Method>;

function bytesOf(value: unknown): number {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    return value.byteLength;
  }
  return Array.isArray(value) ? value.length : 0;
}

/** Blocks that `set` takes are its argument; what the others copy is no more than what they give back. */
const WATCHED: readonly {
  readonly owner: Record<string, Method>;
  readonly name: string;
  readonly bytes: (args: unknown[], result: unknown) => number;
}[] = [
  { owner: TYPED_ARRAY, name: "set", bytes: ([source]) => bytesOf(source) },
  { owner: TYPED_ARRAY, name: "slice", bytes: (_, result) => bytesOf(result) },
  { owner: TYPED_ARRAY, name: "copyWithin", bytes: (_, result) => bytesOf(result) },
  {
    owner: ArrayBuffer.prototype as unknown as Record<string, Method>,
    name: "slice",
    bytes: (_, result) => bytesOf(result),
  },
  {
    owner: SharedArrayBuffer.prototype as unknown as Record<string, Method>,
    name: "slice",
    bytes: (_, result) => bytesOf(result),
  },
  {
    owner: Buffer.prototype as unknown as Record<string, Method>,
    name: "copy",
    bytes: (_, result) => Number(result),
  },
];

/** Bytes copied while `work` runs, in this thread. */
export async function countCopies(work: () => Promise<void>): Promise<number> {
  let total = 0;
  const originals = WATCHED.map(({ owner, name }) => owner[name]!);
  WATCHED.forEach(({ owner, name, bytes }, i) => {
    const original = originals[i]!;
    owner[name] = function watched(this: unknown, ...args: unknown[]): unknown {
      const result = original.apply(this, args);
      total += bytes(args, result);
      return result;
    };
  });
  try {
    await work();
  } finally {
    WATCHED.forEach(({ owner, name }, i) => {
      owner[name] = originals[i]!;
    });
  }
  return total;
}
