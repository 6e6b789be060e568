/** Rewriting: changed text in which every character tells how it came about, from which its place in the source follows. */
import type { Line } from "./line.js";

/**
 * A list of characters, each with its change as the reference counts it: 1 for one that was put in, which shares the place
 * of the source character before; 0 for one in place of a source character; -n for one in place of a source character
 * that n more went into.
 */
export class Rewriting {
  readonly #characters: string[] = [];
  readonly #changes: number[] = [];

  put(character: string, change: number): void {
    this.#characters.push(character);
    this.#changes.push(change);
  }

  /** `text` in place of `count` source characters. */
  replace(text: string, count: number): void {
    const characters = [...text];
    const more = characters.length - count;
    for (let i = 0; i < characters.length; i++) this.put(characters[i]!, more > 0 && i >= count ? 1 : 0);
    // Characters that vanish at the very start are not counted there either.
    if (more < 0 && this.#changes.length > 0) this.#changes[this.#changes.length - 1]! += more;
  }

  /** Appends the characters to `out`, those of `source` from `start` on being replaced. */
  write(source: Line, start: number, out: Line): void {
    let at = start;
    const step = (count: number): void => {
      for (let i = 0; i < count && at < source.length; i++) at += source.codePoint(at) > 0xffff ? 2 : 1;
    };
    this.#characters.forEach((character, i) => {
      const change = this.#changes[i]!;
      if (change > 0 && at === 0) out.insert(character, source, 0);
      else if (change > 0) out.replace(character, source, at - 1, at);
      else {
        const place = Math.min(at, source.length - 1);
        out.replace(character, source, place, place + 1);
        step(1 - change);
      }
    });
  }
}
