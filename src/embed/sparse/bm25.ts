/** BM25 without a model: words of documents with their weights, words of queries, and statistics of a collection. */
import { TenonError } from "../../base/index.js";
import { checkTexts } from "../text.js";
import { englishStem } from "./english-stemmer.js";
import { murmur3 } from "./murmur.js";
import { type SparseVector, sparseOf } from "./sparse-vector.js";

export interface Bm25Options {
  /** How soon more of the same word counts no more. Default 1.2. */
  readonly k?: number;
  /** How much the length of a document counts, 0 to 1. Default 0.75. */
  readonly b?: number;
  /** Words of a usual document, as `statistics` counts them. Default 256. */
  readonly avgLen?: number;
  /** The stem of a word in lower case; "" leaves it out. Default: English. */
  readonly stem?: (word: string) => string;
  /** Words that are left out, in lower case. Default: common ones of English. */
  readonly stopWords?: Iterable<string>;
  /** Longer words are left out. Default 40 characters. */
  readonly maxWordLength?: number;
}

export interface Bm25Statistics {
  /** Documents. */
  readonly count: number;
  /** Words that were kept, a document. */
  readonly avgLen: number;
  /** How many documents have a word, by its number. */
  readonly documentFrequency: ReadonlyMap<number, number>;
}

/** Small words of English, that stand in nearly every text. */
const STOP_WORDS =
  "a about above after again against all am an and any are as at be because been before being below between both but by can did do does doing don down during each few for from further had has have having he her here hers herself him himself his how i if in into is it its itself just me more most my myself no nor not now of off on once only or other our ours ourselves out over own s same she should so some such t than that the their theirs them themselves then there these they this those through to too under until up very was we were what when where which while who whom why will with you your yours yourself yourselves";

/**
 * Sparse vectors by the formula of BM25 (Robertson and Zaragoza 2009): a word's number is its hash, a document's weight
 * `tf (k + 1) / (tf + k (1 - b + b length / avgLen))`, a query's 1. How rare a word is, is the index's to say. Throws
 * CONFIG_INVALID.
 *
 * ```ts
 * const words = bm25({ avgLen: 120 });
 * const [vector] = words.documents(["A panda eats bamboo."]); // { indices, values }
 * ```
 */
export function bm25(options: Bm25Options = {}): Bm25 {
  return new Bm25(options);
}

/** Made by `bm25`. */
export class Bm25 {
  readonly #k: number;
  readonly #b: number;
  readonly #avgLen: number;
  readonly #most: number;
  readonly #stem: (word: string) => string;
  readonly #stopWords: ReadonlySet<string>;
  readonly #encoder = new TextEncoder();

  constructor(options: Bm25Options) {
    const { k = 1.2, b = 0.75, avgLen = 256, maxWordLength = 40 } = options;
    if (!(k >= 0 && k < Number.POSITIVE_INFINITY)) throw invalid("k", k, "0 or more");
    if (!(b >= 0 && b <= 1)) throw invalid("b", b, "0 to 1");
    if (!(avgLen > 0 && avgLen < Number.POSITIVE_INFINITY)) throw invalid("avgLen", avgLen, "more than 0");
    if (!(maxWordLength >= 1)) throw invalid("maxWordLength", maxWordLength, "1 or more");
    this.#k = k;
    this.#b = b;
    this.#avgLen = avgLen;
    this.#most = maxWordLength;
    this.#stem = options.stem ?? englishStem;
    this.#stopWords = new Set(options.stopWords ?? STOP_WORDS.split(" "));
  }

  /** A vector a text; one without words is empty. Throws USAGE for what is no text. */
  documents(texts: readonly string[]): SparseVector[] {
    checkTexts(texts);
    return texts.map((text) => {
      const words = this.#words(text);
      const counts = new Map<string, number>();
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
      const base = this.#k * (1 - this.#b + (this.#b * words.length) / this.#avgLen);
      const values = new Map<number, number>();
      for (const [word, count] of counts)
        values.set(this.#id(word), (count * (this.#k + 1)) / (count + base));
      return sparseOf(values);
    });
  }

  /** The words of a query, each with the weight 1. */
  query(text: string): SparseVector {
    checkTexts([text]);
    return sparseOf(new Map(this.#words(text).map((word) => [this.#id(word), 1])));
  }

  /** What an index needs to know of a collection. */
  statistics(texts: readonly string[]): Bm25Statistics {
    checkTexts(texts);
    const documentFrequency = new Map<number, number>();
    let total = 0;
    for (const text of texts) {
      const words = this.#words(text);
      total += words.length;
      for (const id of new Set(words.map((word) => this.#id(word))))
        documentFrequency.set(id, (documentFrequency.get(id) ?? 0) + 1);
    }
    return { count: texts.length, avgLen: texts.length === 0 ? 0 : total / texts.length, documentFrequency };
  }

  /** The number that stands for a word's stem. */
  #id(stem: string): number {
    return Math.abs(murmur3(this.#encoder.encode(stem)));
  }

  #words(text: string): string[] {
    const lower = text.replace(OTHER, " ").toLowerCase().replace(OTHER, " ");
    return lower.split(" ").flatMap((word) => {
      if (word === "" || word === "_" || this.#stopWords.has(word)) return [];
      if (word.length > this.#most && [...word].length > this.#most) return [];
      const stem = this.#stem(word);
      return stem === "" ? [] : [stem];
    });
  }
}

/** Everything that is no letter, number or underscore. */
const OTHER = /[^\p{L}\p{N}_]+/gu;

function invalid(problem: string, given: number, expected: string): TenonError {
  return new TenonError("CONFIG_INVALID", { problem, given: String(given), expected });
}
