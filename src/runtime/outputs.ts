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

/** Disposable, and without inherited names: an output may be called `constructor` or `__proto__`. */
class OutputRecord {
  #shared: SharedBuffers | undefined;

  constructor(shared: SharedBuffers | undefined) {
    this.#shared = shared;
  }

  [Symbol.dispose](): void {
    this.#shared?.release();
    this.#shared = undefined;
  }
}
Object.setPrototypeOf(OutputRecord.prototype, null);
Reflect.deleteProperty(OutputRecord.prototype, "constructor");

export function outputRecord(
  names: readonly string[],
  tensors: readonly Tensor[],
  shared?: SharedBuffers,
): Outputs {
  const record = new OutputRecord(shared) as unknown as Record<string, Tensor>; // names are the model's
  for (let i = 0; i < names.length; i++) record[names[i]!] = tensors[i]!;
  return record as Outputs;
}
