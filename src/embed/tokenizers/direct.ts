/**
 * DirectScan: texts without places in one pass, for pipelines whose every step looks at one unit of text at a time. What a
 * unit becomes is worked out once; a text with anything else in it goes the long way.
 */
import type { AddedTokens } from "./added-tokens.js";
import type { Line, Normalizer } from "./line.js";
import type { PreTokenization } from "./pre-tokenizers.js";
import type { Tokens, WordModel } from "./tokens.js";
import { ALONE, CUT, DROPPED, NEIGHBOURS, SET_APART, STARTS, UNIT, WORD } from "./unit-rules.js";

/** Added to the rule of a unit with which an added token may begin. */
const MAY_BE_ADDED = 1 << 24;

export class DirectScan {
  readonly #normalizers: readonly LocalNormalizer[];
  readonly #pre: NonNullable<PreTokenization["local"]>;
  readonly #raw: AddedTokens;
  readonly #normal: AddedTokens;
  /** By unit: what becomes of it; 0 where that is not known yet. */
  readonly #rules = new Int32Array(65536);
  #word = new Uint16Array(256);

  /** Undefined where a step looks at more than one unit at a time. */
  static of(
    normalizers: readonly Normalizer[],
    pre: PreTokenization,
    raw: AddedTokens,
    normal: AddedTokens,
  ): DirectScan | undefined {
    const local = normalizers.filter(isLocal);
    if (pre.local === undefined || local.length < normalizers.length) return undefined;
    return new DirectScan(local, pre.local, raw, normal);
  }

  private constructor(
    normalizers: readonly LocalNormalizer[],
    pre: NonNullable<PreTokenization["local"]>,
    raw: AddedTokens,
    normal: AddedTokens,
  ) {
    this.#normalizers = normalizers;
    this.#pre = pre;
    this.#raw = raw;
    this.#normal = normal;
  }

  /** Appends the tokens of a text. False, and nothing of use in `out`, where it has to go the long way. */
  encode({ units, length }: Line, words: WordModel, out: Tokens): boolean {
    if (this.#word.length < length + 1) this.#word = new Uint16Array(2 * length + 1);
    const word = this.#word;
    const rules = this.#rules;
    const { opening } = this.#pre;
    const mark = opening?.unit ?? 0;
    // Whether the next word is opened by the mark.
    let isOpened = opening !== undefined;
    let size = 0;
    for (let i = 0; i < length; i++) {
      let rule = rules[units[i]!]!;
      if (rule < WORD || rule >= MAY_BE_ADDED) {
        if (rule === 0) rule = this.#learn(units[i]!);
        if (rule >= MAY_BE_ADDED) {
          if (this.#raw.at(units, i, length) || !this.#normal.isEmpty) return false;
          rule -= MAY_BE_ADDED;
        }
        if (rule < WORD) {
          // The units of these rules are below all kinds of others.
          const kind = rule & ~UNIT;
          if (kind === DROPPED) continue;
          if (kind === NEIGHBOURS) return false;
          if (size > 0) words.encode(word, 0, size, out);
          size = 0;
          if (kind === STARTS) {
            word[size++] = rule & UNIT;
            isOpened = false;
            continue;
          }
          if (opening?.everyWord) isOpened = true;
          if (kind === CUT) continue;
          word[0] = rule & UNIT;
          words.encode(word, 0, 1, out);
          continue;
        }
      }
      if (isOpened) {
        isOpened = false;
        if ((rule & UNIT) !== mark) word[size++] = mark;
      }
      word[size++] = rule & UNIT;
    }
    if (size > 0) words.encode(word, 0, size, out);
    return true;
  }

  #learn(unit: number): number {
    const made = this.#normalized(unit);
    let rule = made >= DROPPED ? made & ~UNIT : this.#pre.rule(made);
    if ((made & SET_APART) !== 0) {
      // Spaces that do nothing but end words are no part of any.
      const isPlain = this.#pre.opening === undefined && (this.#pre.rule(0x20) & ~UNIT) === CUT;
      rule = isPlain ? this.#pre.rule(made & UNIT) : NEIGHBOURS;
      if (rule >= WORD) rule = ALONE | (made & UNIT);
    }
    if (this.#raw.mayBegin(unit) || (!this.#normal.isEmpty && this.#normal.mayBegin(made & UNIT)))
      rule += MAY_BE_ADDED;
    this.#rules[unit] = rule;
    return rule;
  }

  /** What the normalisers make of a unit. */
  #normalized(unit: number): number {
    // Half a character has no class of its own.
    if ((unit & 0xf800) === 0xd800) return NEIGHBOURS;
    let made = unit;
    let apart = 0;
    for (const normalizer of this.#normalizers) {
      const next = normalizer.unit(made);
      if (next === DROPPED || next === NEIGHBOURS) return next;
      apart |= next & SET_APART;
      made = next & UNIT;
    }
    return made | apart;
  }
}

interface LocalNormalizer extends Normalizer {
  unit(unit: number): number;
}

function isLocal(normalizer: Normalizer): normalizer is LocalNormalizer {
  return normalizer.unit !== undefined;
}
