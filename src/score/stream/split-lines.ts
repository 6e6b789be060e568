/** Bytes cut into lines, without decoding them. */
import { TenonError } from "../../base/index.js";

const MOST_BYTES = 64 * 2 ** 20;

export class LineSplitter {
  #parts: Uint8Array[] = [];
  #size = 0;

  /** Lines that end in `chunk`, without their ends. Throws FILE_INVALID beyond 64 MiB. */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      lines.push(this.#whole(chunk.subarray(start, end)));
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  /** What stands behind the last end of a line; undefined when there is nothing. */
  end(): Uint8Array | undefined {
    return this.#size === 0 ? undefined : this.#whole(new Uint8Array(0));
  }

  #keep(rest: Uint8Array): void {
    if (rest.length === 0) return;
    this.#size += rest.length;
    if (this.#size > MOST_BYTES)
      throw new TenonError("FILE_INVALID", { problem: "a line is longer than 64 MiB" });
    this.#parts.push(rest);
  }

  #whole(last: Uint8Array): Uint8Array {
    const line = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#size = 0;
    return line.at(-1) === 13 ? line.subarray(0, -1) : line;
  }
}
