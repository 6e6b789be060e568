/** Added tokens: literal texts that are found before anything else is done, the leftmost and then the longest first. */
import { classes, classOf, SPACE, WORD } from "./characters.js";
import { DoubleArray } from "./double-array.js";
import type { Line } from "./line.js";
import { countAt, flagAt, type Part, textAt } from "./parts.js";
import type { Vocabulary } from "./vocabulary.js";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Only where no word character is beside it. */
  readonly singleWord: boolean;
  /** Take white space before, or behind, along. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Looked for in normalised text. */
  readonly normalized: boolean;
}

/**
 * The list of added tokens. As in the reference a token of the vocabulary has its id there, and others are counted on from
 * the vocabulary's size, whatever the file says.
 */
export function addedTokens(parts: readonly Part[], vocabulary: Vocabulary): ReadonlyMap<string, AddedToken> {
  const tokens = new Map<string, AddedToken>();
  let next = vocabulary.size;
  for (const part of parts) {
    const content = textAt(part, "content");
    countAt(part, "id");
    if (content === "") continue;
    const id = tokens.get(content)?.id ?? vocabulary.get(content) ?? next++;
    tokens.set(content, addedToken(part, id));
  }
  return tokens;
}

function addedToken(part: Part, id: number): AddedToken {
  const special = flagAt(part, "special", false);
  return {
    id,
    content: textAt(part, "content"),
    special,
    singleWord: flagAt(part, "single_word", false),
    lstrip: flagAt(part, "lstrip", false),
    rstrip: flagAt(part, "rstrip", false),
    normalized: flagAt(part, "normalized", !special),
  };
}

/** What lies between added tokens, and where these are. */
export interface AddedVisitor {
  text(start: number, end: number): void;
  token(token: AddedToken, start: number, end: number): void;
}

export class AddedTokens {
  readonly #trie: DoubleArray;
  readonly #tokens: AddedToken[] = [];
  /** 1 for units with which a token begins. */
  readonly #first = new Uint8Array(65536);

  constructor(tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string) {
    const contents: string[] = [];
    for (const token of tokens) {
      const content = contentOf(token);
      if (content === "") continue;
      contents.push(content);
      this.#tokens.push(token);
      this.#first[content.charCodeAt(0)] = 1;
    }
    this.#trie = DoubleArray.ofList(contents);
  }

  get isEmpty(): boolean {
    return this.#tokens.length === 0;
  }

  /** Whether a token begins with this unit. */
  mayBegin(unit: number): boolean {
    return this.#first[unit] !== 0;
  }

  /** Whether a token's text is at `index`. */
  at(units: Uint16Array, index: number, end: number): boolean {
    let found = false;
    this.#trie.prefixes(units, index, end, () => {
      found = true;
    });
    return found;
  }

  /** Walks [start, end) of a line; `skip` names tokens that count as text. */
  split(
    line: Line,
    start: number,
    end: number,
    skip: ((token: AddedToken) => boolean) | undefined,
    visit: AddedVisitor,
  ): void {
    let done = start;
    if (this.#tokens.length > 0) {
      const { units } = line;
      const first = this.#first;
      for (let i = start; ; i++) {
        while (i < end && first[units[i]!] === 0) i++;
        if (i >= end) break;
        let found = -1;
        let to = i;
        this.#trie.prefixes(units, i, end, (value, at) => {
          if (skip?.(this.#tokens[value]!)) return;
          found = value;
          to = at;
        });
        if (found === -1) continue;
        const token = this.#tokens[found]!;
        const from = i;
        i = to - 1;
        if (token.singleWord && (wordBefore(line, start, from) || wordAt(line, to, end))) continue;
        let left = from;
        let right = to;
        const flags = classes();
        if (token.lstrip) while (left > start && flags[units[left - 1]!]! & SPACE) left--;
        left = Math.max(left, done);
        if (token.rstrip) while (right < end && flags[units[right]!]! & SPACE) right++;
        if (left > done) visit.text(done, left);
        visit.token(token, left, right);
        done = right;
      }
    }
    if (done < end) visit.text(done, end);
  }
}

function wordBefore(line: Line, start: number, index: number): boolean {
  if (index <= start) return false;
  const low = (line.units[index - 1]! & 0xfc00) === 0xdc00 && index - 2 >= start;
  return (classOf(line.codePoint(low ? index - 2 : index - 1)) & WORD) !== 0;
}

function wordAt(line: Line, index: number, end: number): boolean {
  return index < end && (classOf(line.codePoint(index)) & WORD) !== 0;
}
