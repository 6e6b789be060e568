/** Line: text as UTF-16 units in memory that is used again, with the place in the source that each unit came from. */

/** From this length on one call that copies a text is quicker than a loop over its units. */
const COPIED_WHOLE = 24;

/** A growing run of UTF-16 units. `from[i]` and `to[i]` bound the source units that unit i stands for. */
export class Line {
  units: Uint16Array<ArrayBuffer> = new Uint16Array(1024);
  from = new Int32Array(0);
  to = new Int32Array(0);
  length = 0;
  /** Whether `from` and `to` are kept; without them nothing is written there. */
  aligned = false;
  /** The memory of `units`, where it was asked for. */
  #bytes: Buffer = Buffer.alloc(0);
  /** Whether the line opens the text that is encoded. */
  atStart = true;

  /** Empties the line. */
  reset(aligned: boolean): void {
    this.length = 0;
    this.aligned = aligned;
    if (aligned && this.from.length < this.units.length) {
      this.from = new Int32Array(this.units.length);
      this.to = new Int32Array(this.units.length);
    }
  }

  /** Makes room for `count` further units. */
  reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.units.length) return;
    const size = Math.max(needed, 2 * this.units.length);
    const units = new Uint16Array(size);
    units.set(this.units.subarray(0, this.length));
    this.units = units;
    if (this.aligned) {
      const from = new Int32Array(size);
      const to = new Int32Array(size);
      from.set(this.from.subarray(0, this.length));
      to.set(this.to.subarray(0, this.length));
      this.from = from;
      this.to = to;
    }
  }

  /** The whole of `text`, a lone surrogate as U+FFFD. */
  fill(text: string, aligned: boolean): void {
    this.reset(aligned);
    const { length } = text;
    this.reserve(length);
    const { units } = this;
    if (length < COPIED_WHOLE) for (let i = 0; i < length; i++) units[i] = text.charCodeAt(i);
    else {
      if (this.#bytes.buffer !== units.buffer) this.#bytes = Buffer.from(units.buffer);
      this.#bytes.write(text, 0, "utf16le");
    }
    for (let i = 0; i < length; i++) {
      if ((units[i]! & 0xf800) !== 0xd800) continue;
      const isPair = units[i]! < 0xdc00 && i + 1 < length && (units[i + 1]! & 0xfc00) === 0xdc00;
      if (isPair) i++;
      else units[i] = 0xfffd;
    }
    this.length = length;
    if (!aligned) return;
    for (let i = 0; i < length; i++) {
      const second = (units[i]! & 0xfc00) === 0xdc00;
      const first = (units[i]! & 0xfc00) === 0xd800;
      this.from[i] = second ? i - 1 : i;
      this.to[i] = first ? i + 2 : i + 1;
    }
  }

  /** Appends the units [start, end) of another line as they are. */
  copy(source: Line, start: number, end: number): void {
    const count = end - start;
    this.reserve(count);
    this.units.set(source.units.subarray(start, end), this.length);
    if (this.aligned) {
      this.from.set(source.from.subarray(start, end), this.length);
      this.to.set(source.to.subarray(start, end), this.length);
    }
    this.length += count;
  }

  /** Appends one unit that stands for the source's units [start, end). */
  put(unit: number, source: Line, start: number, end: number): void {
    if (this.length === this.units.length) this.reserve(1);
    if (this.aligned) {
      this.from[this.length] = source.from[start]!;
      this.to[this.length] = source.to[end - 1]!;
    }
    this.units[this.length++] = unit;
  }

  /** Appends `text` in place of the source's units [start, end), which are at least one. */
  replace(text: string, source: Line, start: number, end: number): void {
    for (let i = 0; i < text.length; i++) this.put(text.charCodeAt(i), source, start, end);
  }

  /** Appends `text` that stands for nothing, before the source's unit `at`. */
  insert(text: string, source: Line, at: number): void {
    const from = this.length;
    this.replace(text, source, at, at + 1);
    if (this.aligned && source.length > 0) this.to.fill(source.from[at]!, from, this.length);
  }

  /** The code point at `index`. */
  codePoint(index: number): number {
    const unit = this.units[index]!;
    return (unit & 0xfc00) === 0xd800 && index + 1 < this.length
      ? ((unit - 0xd800) << 10) + (this.units[index + 1]! - 0xdc00) + 0x10000
      : unit;
  }

  text(start = 0, end: number = this.length): string {
    if (end - start <= 4096) return String.fromCharCode.apply(null, this.units.subarray(start, end) as never);
    let text = "";
    for (let i = start; i < end; i += 4096) {
      text += String.fromCharCode.apply(null, this.units.subarray(i, Math.min(end, i + 4096)) as never);
    }
    return text;
  }
}

/** The character that stands for each byte in byte-level vocabularies. */
export function byteCharacters(): readonly string[] {
  const characters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    characters.push(String.fromCharCode(itself ? byte : next++));
  }
  return characters;
}

/** Appends the units [start, end), each byte of their UTF-8 as its character. */
export function copyBytes(source: Line, start: number, end: number, out: Line): void {
  const characters = byteCharacters();
  for (let i = start; i < end; ) {
    const size = source.codePoint(i) > 0xffff ? 2 : 1;
    for (const byte of Buffer.from(source.text(i, i + size)))
      out.replace(characters[byte]!, source, i, i + size);
    i += size;
  }
}

/** Appends the normal form of the whole of `source` to `out`, which is empty. */
export interface Normalizer {
  (source: Line, out: Line): void;
  /**
   * The unit that a unit becomes where all others in the text have one, too, with `SET_APART` where spaces are put around it;
   * `DROPPED`, or `NEIGHBOURS` where that cannot be told.
   */
  unit?(unit: number): number;
}
