/** Quarantine: inputs that have killed a model process are refused for a while. */
import { createHash } from "node:crypto";
import { TenonError } from "../../base/index.js";
import { type NumericArray, StringStorage } from "../../tensor/core.js";
import type { Member } from "../lane.js";

const FOR_MS = 600_000;
const REMEMBERED = 1024;

export class Quarantine {
  /** Time until which an input's hash is refused. */
  readonly #until = new Map<string, number>();

  /** Refuses these inputs for 10 minutes. */
  add(member: Member): void {
    if (this.#until.size >= REMEMBERED) this.#until.delete(this.#until.keys().next().value!);
    this.#until.set(hashOf(member), performance.now() + FOR_MS);
  }

  refuse(model: string, member: Member): TenonError | undefined {
    if (this.#until.size === 0) return undefined;
    const hash = hashOf(member);
    const until = this.#until.get(hash);
    if (until === undefined) return undefined;
    if (until <= performance.now()) {
      this.#until.delete(hash);
      return undefined;
    }
    return new TenonError("INPUT_QUARANTINED", { details: { model } });
  }
}

/** sha256 over dtypes, shapes and values. */
function hashOf(member: Member): string {
  const hash = createHash("sha256");
  for (const tensor of member.inputs) {
    const dense = tensor.contiguous();
    hash.update(`${dense.dtype} ${dense.shape.join(",")};`);
    if (dense.storage instanceof StringStorage) {
      for (let i = 0; i < dense.size; i++) {
        const bytes = dense.storage.bytesAt(dense.offset + i);
        hash.update(`${bytes.length}:`).update(bytes);
      }
      continue;
    }
    const data = dense.data as unknown as NumericArray;
    hash.update(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("base64");
}
