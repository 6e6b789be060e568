/** Added tokens: literal texts that are found before anything else is done, the leftmost and then the longest first. */
import { classes, classOf, SPACE, WORD } from "./characters.js";
import type { Line } from "./line.js";
import { countAt, flagAt, type Part, textAt } from "./parts.js";
import { Trie } from "./trie.js";
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
  readonly #trie = new Trie(1, 64);
  readonly #tokens: AddedToken[] = [];
  /** 1 for units with which a token begins. */
  readonly #first = new Uint8Array(65536);

  constructor(tokens: readonly AddedToken[], contentOf: (token: AddedToken) => string) {
    for (const token of tokens) {
      const content = contentOf(token);
      if (content === "") continue;
      this.#trie.add(content, this.#tokens.length);
      this.#tokens.push(token);
      this.#first[content.charCodeAt(0)] = 1;
    }
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
      for (let i = start; i < end; i++) {
        if (first[units[i]!] === 0) continue;
        let node = 0;
        let found = -1;
        let to = i;
        for (let at = i; at < end; at++) {
          node = this.#trie.next(node, units[at]!);
          if (node === -1) break;
          const value = this.#trie.value(node);
          if (value === -1 || skip?.(this.#tokens[value]!)) continue;
          found = value;
          to = at + 1;
        }
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
