/** ResponseCache: answers by the content of their requests, of all models together, the least used given up first. */
import { createHash } from "node:crypto";
import { type Outputs, outputRecord } from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { encodeTensor } from "../oip/binary.js";

interface Kept {
  readonly names: readonly string[];
  readonly tensors: readonly Tensor[];
  readonly bytes: number;
}

/** What an entry takes besides its tensors. */
const ENTRY_BYTES = 512;

export class ResponseCache {
  readonly #maxBytes: number;
  /** Oldest use first. */
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  /** Holds at most `maxBytes` of tensors and their keys. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The answer to a request of this key, to be read only; undefined when there is none. */
  get(key: string): Outputs | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    return outputRecord(kept.names, kept.tensors);
  }

  /** Keeps a copy; one that is larger than the whole cache is not kept. */
  put(key: string, outputs: Outputs): void {
    const names = Object.keys(outputs);
    let bytes = ENTRY_BYTES;
    for (const name of names) bytes += encodeTensor(outputs[name]!).length;
    this.#drop(key);
    if (bytes > this.#maxBytes) return;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes + bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
    this.#kept.set(key, { names, tensors: names.map((name) => outputs[name]!.clone()), bytes });
    this.#bytes += bytes;
  }

  #drop(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0;
    this.#kept.delete(key);
  }
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;

/** The same for requests that `model` must answer the same: names, dtypes, shapes and bytes of inputs, outputs wanted. */
export function contentKey(
  model: object,
  inputs: Readonly<Record<string, Tensor>>,
  outputs: readonly string[] | undefined,
): string {
  let number = numbers.get(model);
  if (number === undefined) numbers.set(model, (number = ++lastNumber));
  const names = Object.keys(inputs).sort();
  const wanted = outputs === undefined ? null : [...outputs].sort();
  const heads = names.map((name) => [name, inputs[name]!.dtype, inputs[name]!.shape]);
  // SHA-256: who finds two requests of one key could be answered with another's answer.
  const hash = createHash("sha256").update(JSON.stringify([number, heads, wanted]));
  for (const name of names) {
    const bytes = encodeTensor(inputs[name]!);
    hash.update(`\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("base64");
}
