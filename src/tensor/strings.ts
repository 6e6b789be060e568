/** StringStorage: the elements of a string tensor, as JavaScript strings or as UTF-8 bytes with offsets (Arrow's layout). */
import { TenonError } from "../base/index.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Elements of a string tensor. Either form is made from the other on demand, once. */
export class StringStorage {
  readonly length: number;
  #strings: string[] | undefined;
  #bytes: Uint8Array | undefined;
  #offsets: Uint32Array | undefined;

  private constructor(length: number) {
    this.length = length;
  }

  /** Takes the array over; it must not change afterwards. */
  static fromStrings(strings: readonly string[]): StringStorage {
    const storage = new StringStorage(strings.length);
    storage.#strings = strings as string[];
    return storage;
  }

  /** `offsets` has one entry more than there are elements; element i is `bytes[offsets[i], offsets[i + 1])`. */
  static fromBytes(bytes: Uint8Array, offsets: Uint32Array): StringStorage {
    const storage = new StringStorage(offsets.length - 1);
    storage.#bytes = bytes;
    storage.#offsets = offsets;
    return storage;
  }

  /** Element `index` as a string; throws TENSOR_VALUE when its bytes are not UTF-8. */
  get(index: number): string {
    if (this.#strings !== undefined) return this.#strings[index]!;
    try {
      return decoder.decode(this.bytesAt(index));
    } catch (cause) {
      throw new TenonError("TENSOR_VALUE", {
        problem: `element ${index} is not valid UTF-8`,
        expected: "text, or a reader that takes bytes (bytesAt)",
        cause,
      });
    }
  }

  /** Element `index` as bytes: a view when the storage holds bytes. */
  bytesAt(index: number): Uint8Array {
    if (this.#bytes === undefined) return encoder.encode(this.#strings![index]);
    return this.#bytes.subarray(this.#offsets![index], this.#offsets![index + 1]);
  }

  /** All elements as one byte block with offsets (encoded once, then kept). */
  encoded(): { bytes: Uint8Array; offsets: Uint32Array } {
    if (this.#bytes === undefined || this.#offsets === undefined) {
      const parts = this.#strings!.map((text) => encoder.encode(text));
      const offsets = new Uint32Array(parts.length + 1);
      let total = 0;
      parts.forEach((part, i) => {
        total += part.length;
        offsets[i + 1] = total;
      });
      const bytes = new Uint8Array(total);
      parts.forEach((part, i) => void bytes.set(part, offsets[i]));
      this.#bytes = bytes;
      this.#offsets = offsets;
    }
    return { bytes: this.#bytes, offsets: this.#offsets };
  }
}
