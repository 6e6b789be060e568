/** Tokens: a growing list of ids, with the units that each covers where they are asked for. */

export class Tokens {
  ids = new Int32Array(256);
  /** Where each token starts and ends in the line, if `spans` is set. */
  starts = new Int32Array(0);
  ends = new Int32Array(0);
  length = 0;
  spans = false;

  reset(spans: boolean): void {
    this.length = 0;
    this.spans = spans;
    if (spans && this.starts.length < this.ids.length) {
      this.starts = new Int32Array(this.ids.length);
      this.ends = new Int32Array(this.ids.length);
    }
  }

  push(id: number, start: number, end: number): void {
    if (this.length === this.ids.length) this.reserve(1);
    if (this.spans) {
      this.starts[this.length] = start;
      this.ends[this.length] = end;
    }
    this.ids[this.length++] = id;
  }

  reserve(count: number): void {
    if (this.length + count <= this.ids.length) return;
    const size = Math.max(this.length + count, 2 * this.ids.length);
    this.ids = grown(this.ids, size);
    if (this.spans) {
      this.starts = grown(this.starts, size);
      this.ends = grown(this.ends, size);
    }
  }
}

function grown(array: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(size);
  bigger.set(array);
  return bigger;
}

/** What turns one word into tokens. A word is the units [start, end) of a line, never empty. */
export interface WordModel {
  encode(units: Uint16Array, start: number, end: number, out: Tokens): void;
  /** It remembers words itself. */
  readonly remembers?: true;
}
