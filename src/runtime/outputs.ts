/** Outputs: what a run answers with; plain records of tensors that can be disposed early to reuse their memory. */
import type { Tensor } from "../tensor/index.js";
import type { BufferPool } from "./buffers.js";

/**
 * Tensors by output name. They stay valid as long as they are referenced. Disposing (`using out = await model.run(…)`)
 * says that nobody reads them any more: their memory then serves the next run.
 */
export type Outputs = { readonly [name: string]: Tensor } & Disposable;

/** Buffers of one batch, given back when every member has released them. */
export class SharedBuffers {
  readonly #pool: BufferPool;
  readonly #buffers: readonly ArrayBuffer[];
  #holders: number;

  constructor(pool: BufferPool, buffers: readonly ArrayBuffer[], holders: number) {
    this.#pool = pool;
    this.#buffers = buffers;
    this.#holders = holders;
  }

  release(): void {
    if (--this.#holders === 0) for (const buffer of this.#buffers) this.#pool.give(buffer);
  }
}

const SHARED = Symbol("shared buffers");

interface Holder {
  [SHARED]: SharedBuffers | undefined;
}

/** No inherited names: an output may be called `constructor` or `__proto__`. */
const PROTOTYPE = Object.create(null, {
  [Symbol.dispose]: {
    value(this: Holder): void {
      this[SHARED]?.release();
      this[SHARED] = undefined;
    },
  },
});

export function outputRecord(
  names: readonly string[],
  tensors: readonly Tensor[],
  shared?: SharedBuffers,
): Outputs {
  const record = Object.create(PROTOTYPE) as Record<string, Tensor>;
  for (let i = 0; i < names.length; i++) record[names[i]!] = tensors[i]!;
  Object.defineProperty(record, SHARED, { value: shared, writable: true, enumerable: false });
  return record as Outputs;
}
