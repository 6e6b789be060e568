/** Texts as tokens: prompts in front, cut to the model's length, told how many there are. */
import { TenonError } from "../base/index.js";
import { beginningOf } from "./beginning.js";
import { type ModelCard, type TruncateSide, tokenizerFile } from "./card/card.js";
import { openTokenizer, type TextTokenizer, type TokenizerOptions } from "./tokenizers/fallback.js";

/** The tokens of one text, as a model takes them. */
export interface Tokens {
  readonly ids: Int32Array;
  readonly typeIds: Uint8Array;
  /** Tokens at the start that are seen and not pooled. */
  readonly unpooled: number;
  readonly truncated: boolean;
  /** Tokens at the start that others see. Default: all. */
  readonly attended?: number;
}

type EncoderCard = Pick<ModelCard, "folder" | "transformer" | "lowerCase" | "includePrompt" | "maxTokens">;

export class TextEncoder {
  readonly tokenizer: TextTokenizer;
  readonly maxTokens: number;
  readonly #lowerCase: boolean;
  readonly #truncate: TruncateSide;
  readonly #includePrompt: boolean;
  readonly #promptTokens = new Map<string, number>();

  private constructor(tokenizer: TextTokenizer, card: EncoderCard, truncate: TruncateSide) {
    this.tokenizer = tokenizer;
    this.maxTokens = card.maxTokens.value;
    this.#lowerCase = card.lowerCase;
    this.#truncate = truncate;
    this.#includePrompt = card.includePrompt;
  }

  /** With the tokenizer of the model's folder, unless another is given. Throws MODEL_INCOMPLETE, TOKENIZER_UNSUPPORTED, FILE_INVALID. */
  static async open(
    card: EncoderCard,
    truncate: TruncateSide,
    tokenizer: string | object = tokenizerFile(card),
    options: TokenizerOptions = {},
  ): Promise<TextEncoder> {
    checkSide(truncate);
    return new TextEncoder(await openTokenizer(tokenizer, options), card, truncate);
  }

  /** `name` tells the text in errors. Throws TEXT_TOO_LONG where texts are not to be cut. */
  encode(text: string, prompt: string, name: string, truncate: TruncateSide = this.#truncate): Tokens {
    checkSide(truncate);
    const whole = prompt + text;
    const beginning = truncate === "left" ? undefined : this.#beginning(whole);
    const read = this.#prepared(beginning ?? whole);
    const encoding = this.tokenizer.encode(read, {
      maxTokens: this.maxTokens,
      truncate: truncate === "left" ? "left" : "right",
    });
    if (encoding.truncated && truncate === "error")
      throw this.#tooLong(this.tokenizer.count(read), name, beginning !== undefined);
    return {
      ids: encoding.ids,
      typeIds: encoding.typeIds,
      unpooled: this.#includePrompt || prompt === "" ? 0 : this.#promptLength(prompt),
      truncated: encoding.truncated,
    };
  }

  /** A pair, as cross-encoders take it; the longer text is cut. */
  encodePair(text: string, pair: string, name: string, truncate: TruncateSide = this.#truncate): Tokens {
    checkSide(truncate);
    const both = [text, pair] as const;
    const beginnings = both.map((one) => (truncate === "left" ? undefined : this.#beginning(one)));
    // Of two that are cut, the longer one gets what is left over.
    const isOne = beginnings.includes(undefined);
    const [first, second] = both.map((one, i) => this.#prepared((isOne ? beginnings[i] : undefined) ?? one));
    const encoding = this.tokenizer.encode(first!, {
      pair: second!,
      maxTokens: this.maxTokens,
      truncate: truncate === "left" ? "left" : "right",
    });
    if (encoding.truncated && truncate === "error") {
      const whole = this.tokenizer.encode(first!, { pair: second! });
      throw this.#tooLong(whole.ids.length, name, isOne && beginnings.some((one) => one !== undefined));
    }
    return { ids: encoding.ids, typeIds: encoding.typeIds, unpooled: 0, truncated: encoding.truncated };
  }

  /** Tokens of a caller, given as ids; special ones are put around them. Throws TEXT_TOO_LONG, INPUT_VALUE. */
  fromIds(ids: readonly number[], name: string, truncate: TruncateSide = this.#truncate): Tokens {
    checkSide(truncate);
    const { vocabularySize } = this.tokenizer;
    if (!Array.isArray(ids)) {
      throw new TenonError("INPUT_VALUE", {
        problem: `${name} is no list of token ids`,
        given: ids === null ? "null" : typeof ids,
        expected: "an array of whole numbers",
      });
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
    if (wrong !== undefined || ids.length === 0) {
      throw new TenonError("INPUT_VALUE", {
        problem: `${name} is no list of token ids`,
        given: wrong === undefined ? "no id" : String(wrong),
        expected: `whole numbers from 0 to ${vocabularySize - 1}`,
      });
    }
    const { before, behind } = this.#frame();
    const isFramed = before.length > 0 && before.every((id, i) => ids[i] === id);
    const inner = isFramed ? ids.slice(before.length, ids.at(-1) === behind[0] ? -1 : undefined) : ids;
    const room = this.maxTokens - before.length - behind.length;
    const truncated = inner.length > room;
    if (truncated && truncate === "error")
      throw this.#tooLong(inner.length + before.length + behind.length, name);
    const kept = truncate === "left" && truncated ? inner.slice(inner.length - room) : inner.slice(0, room);
    const all = Int32Array.from([...before, ...kept, ...behind]);
    return { ids: all, typeIds: new Uint8Array(all.length), unpooled: 0, truncated };
  }

  /** The special tokens before and behind a text. */
  #frame(): { readonly before: readonly number[]; readonly behind: readonly number[] } {
    const { ids } = this.tokenizer.encode("a");
    const inner = this.tokenizer.encode("a", { addSpecialTokens: false }).ids;
    let first = 0;
    while (first + inner.length < ids.length && !inner.every((id, i) => ids[first + i] === id)) first++;
    return { before: [...ids.subarray(0, first)], behind: [...ids.subarray(first + inner.length)] };
  }

  #prepared(text: string): string {
    return this.#lowerCase ? text.toLowerCase() : text;
  }

  /** As sentence-transformers counts it: without the special token at the end. */
  #promptLength(prompt: string): number {
    const known = this.#promptTokens.get(prompt);
    if (known !== undefined) return known;
    const { ids } = this.tokenizer.encode(this.#prepared(prompt), { maxTokens: this.maxTokens });
    const last = ids.at(-1);
    const length = ids.length - (last !== undefined && this.tokenizer.isSpecial(last) ? 1 : 0);
    if (this.#promptTokens.size >= 1000) this.#promptTokens.clear();
    this.#promptTokens.set(prompt, length);
    return length;
  }

  #beginning(text: string): string | undefined {
    return beginningOf(text, this.maxTokens, (one) => this.tokenizer.count(this.#prepared(one)));
  }

  #tooLong(tokens: number, name: string, isBeginning = false): TenonError {
    return new TenonError("TEXT_TOO_LONG", {
      problem: `${name} is longer than the model reads`,
      given: `${isBeginning ? "more than " : ""}${tokens} tokens`,
      expected: `at most ${this.maxTokens}`,
      do: "cut it, or let it be cut: truncate",
    });
  }
}

const SIDES: readonly TruncateSide[] = ["right", "left", "error"];

/** Throws USAGE for what is no side. */
function checkSide(side: TruncateSide): void {
  if (SIDES.includes(side)) return;
  throw new TenonError("USAGE", { problem: "truncate", given: String(side), expected: SIDES.join(", ") });
}

/** Throws USAGE, naming the index, unless every text is a string; the first has the index `from`. */
export function checkTexts(texts: readonly unknown[], from = 0): asserts texts is readonly string[] {
  if (!Array.isArray(texts))
    throw new TenonError("USAGE", { problem: "texts are given as an array", given: typeof texts });
  for (let i = 0; i < texts.length; i++) {
    if (typeof texts[i] === "string") continue;
    throw new TenonError("USAGE", {
      problem: `text ${from + i} is no string`,
      given: texts[i] === null ? "null" : typeof texts[i],
      details: { index: from + i },
    });
  }
}
