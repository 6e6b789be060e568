/** Tokenizer: texts to ids and back, as a tokenizer.json says. */
import { TenonError } from "../../base/index.js";
import { type AddedToken, AddedTokens, type AddedVisitor, addedTokens } from "./added-tokens.js";
import { decoderOf } from "./decoders.js";
import { DirectScan } from "./direct.js";
import {
  assemble,
  assembleOne,
  counted,
  type Encoding,
  kept,
  type Sequence,
  sliced,
  trimmed,
} from "./encoding.js";
import { Line, type Normalizer } from "./line.js";
import { modelKind, modelOf } from "./model.js";
import { normalizersOf } from "./normalizers.js";
import { componentAt, invalid, isPart, partAt, partsAt } from "./parts.js";
import { type PreTokenizer, preTokenization, Words } from "./pre-tokenizers.js";
import { NO_TABLES, type TableStore } from "./tables.js";
import { type Template, templateOf } from "./template.js";
import { Tokens, type WordModel } from "./tokens.js";
import { truncatePair } from "./truncate.js";
import type { Vocabulary } from "./vocabulary.js";
import { cached } from "./word-cache.js";

export interface EncodeOptions {
  /** A second text, as for cross-encoders. */
  readonly pair?: string;
  /** Put the model's special tokens around the texts; default true. */
  readonly addSpecialTokens?: boolean;
  /** Special tokens written out in the text are tokens ("parse", default) or plain text, for texts of strangers ("text"). */
  readonly specialTokens?: "parse" | "text";
  /** Most tokens, special ones included; default: no limit. */
  readonly maxTokens?: number;
  /** The side that is cut; default "right". */
  readonly truncate?: "right" | "left";
  /** Which text of a pair is cut; default "longest". */
  readonly truncatePair?: "longest" | "first" | "second";
  /** Also tell which part of the text each token came from; default false. */
  readonly offsets?: boolean;
}

export interface WindowOptions {
  /** Most tokens of a window, special ones included. */
  readonly maxTokens: number;
  /** Tokens that a window shares with the one before; default 0. */
  readonly stride?: number;
  readonly addSpecialTokens?: boolean;
  readonly specialTokens?: "parse" | "text";
  readonly offsets?: boolean;
}

export class Tokenizer {
  /** Number of ids: one more than the highest. */
  readonly vocabularySize: number;
  readonly #vocabulary: Vocabulary;
  readonly #added: ReadonlyMap<string, AddedToken>;
  readonly #normalizers: readonly Normalizer[];
  readonly #steps: readonly PreTokenizer[];
  readonly #asksPlaces: boolean;
  readonly #words: WordModel;
  readonly #template: Template;
  readonly #decode: (tokens: readonly string[]) => string;
  readonly #raw: AddedTokens;
  readonly #normal: AddedTokens;
  readonly #direct: DirectScan | undefined;
  #addedTexts: ReadonlyMap<number, string> | undefined;
  #normalForms: ReadonlyMap<number, string> | undefined;
  readonly #spaces = new Map<number, readonly [before: number, after: number]>();

  readonly #source = new Line();
  readonly #piece = new Line();
  readonly #lines = [new Line(), new Line()] as const;
  readonly #cut = new Line();
  readonly #pre = new Words();
  readonly #tokens = new Tokens();
  /** Starts and ends in the text, two a token. */
  #places = new Int32Array(0);
  /** White space at both ends of a token. */
  #edges = new Int32Array(0);

  /** `file` is the parsed JSON. Throws TOKENIZER_UNSUPPORTED or FILE_INVALID. */
  constructor(file: unknown, store: TableStore = NO_TABLES) {
    if (!isPart(file)) throw invalid("not an object");
    const model = partAt(file, "model");
    if (model === undefined) throw invalid("no model");
    const normalizer = componentAt(file, "normalizer");
    this.#normalizers = normalizer === undefined ? [] : normalizersOf(normalizer);
    const pre = preTokenization(componentAt(file, "pre_tokenizer"), modelKind(model) === "BPE");
    this.#steps = pre.steps;
    this.#asksPlaces = pre.asksPlaces && this.#normalizers.length > 0;
    const { words, vocabulary } = modelOf(model, pre.byteLevel, store);
    this.#vocabulary = vocabulary;
    this.#words = words.remembers ? words : cached(words);
    this.#template = templateOf(componentAt(file, "post_processor"));
    this.#decode = decoderOf(componentAt(file, "decoder"));
    const listed = file.added_tokens === undefined ? [] : partsAt(file, "added_tokens");
    this.#added = addedTokens(listed, vocabulary);
    const added = [...this.#added.values()];
    this.#raw = new AddedTokens(
      added.filter((token) => !token.normalized),
      (token) => token.content,
    );
    this.#normal = new AddedTokens(
      added.filter((token) => token.normalized),
      (token) => this.#normalText(token.content),
    );
    if (!this.#asksPlaces) this.#direct = DirectScan.of(this.#normalizers, pre, this.#raw, this.#normal);
    let { highest } = vocabulary;
    for (const { id } of added) if (id > highest) highest = id;
    this.vocabularySize = highest + 1;
  }

  /** From the text of a tokenizer.json. */
  static parse(json: string): Tokenizer {
    let file: unknown;
    try {
      file = JSON.parse(json);
    } catch (cause) {
      throw new TenonError("FILE_INVALID", { problem: "tokenizer.json is not JSON", cause });
    }
    return new Tokenizer(file);
  }

  /** Special tokens that are put around one text, or a pair. */
  specialCount(pair = false): number {
    return counted(pair ? this.#template.pair : this.#template.single);
  }

  idOf(token: string): number | undefined {
    return this.#added.get(token)?.id ?? this.#vocabulary.get(token);
  }

  tokenOf(id: number): string | undefined {
    this.#addedTexts ??= new Map(
      Array.from(this.#added.values(), ({ id: added, content }) => [added, content]),
    );
    return this.#addedTexts.get(id) ?? this.#vocabulary.textOf(id);
  }

  /** Whether an id is a special token's. */
  isSpecial(id: number): boolean {
    const token = this.tokenOf(id);
    return token !== undefined && this.#added.get(token)?.special === true;
  }

  /** Number of tokens of a text, special ones included. */
  count(text: string): number {
    this.#run(text, false, undefined);
    return this.#tokens.length + this.specialCount();
  }

  encode(text: string, options: EncodeOptions = {}): Encoding {
    const { pair, maxTokens = Number.POSITIVE_INFINITY } = options;
    const skip = options.specialTokens === "text" ? (token: AddedToken) => token.special : undefined;
    const spans = options.offsets ?? false;
    const template = pair === undefined ? this.#template.single : this.#template.pair;
    const special = (options.addSpecialTokens ?? true) ? counted(template) : 0;
    const room = Math.max(0, maxTokens - special);
    if (pair === undefined && !spans) {
      this.#run(text, false, skip);
      const { ids, length } = this.#tokens;
      const keep = Math.min(length, room);
      const from = options.truncate === "left" ? length - keep : 0;
      return assembleOne(template, special, ids, from, from + keep, keep < length);
    }
    const first = this.#sequence(text, spans, skip);
    const second = pair === undefined ? undefined : this.#sequence(pair, spans, skip);
    const [keepFirst, keepSecond] = truncatePair(
      first.ids.length,
      second?.ids.length,
      room,
      options.truncatePair ?? "longest",
    );
    const left = options.truncate === "left";
    const sequences = [trimmed(kept(first, keepFirst, left), this.#template)];
    if (second !== undefined) sequences.push(trimmed(kept(second, keepSecond, left), this.#template));
    const truncated = keepFirst < first.ids.length || keepSecond < (second?.ids.length ?? 0);
    return assemble(template, sequences, special > 0, spans, truncated);
  }

  /** `encode` for each of many texts. */
  encodeBatch(texts: readonly string[], options: Omit<EncodeOptions, "pair"> = {}): Encoding[] {
    return texts.map((text) => this.encode(text, options));
  }

  /** Which code tokenises, and why not ours where it is another's. */
  explain(): { readonly engine: string; readonly reason?: string } {
    return { engine: "tenon" };
  }

  /** A long text in windows that overlap by `stride` tokens. Throws USAGE where a window has no room. */
  windows(text: string, options: WindowOptions): Encoding[] {
    const skip = options.specialTokens === "text" ? (token: AddedToken) => token.special : undefined;
    const spans = options.offsets ?? false;
    const template = this.#template.single;
    const special = (options.addSpecialTokens ?? true) ? counted(template) : 0;
    const room = options.maxTokens - special;
    const stride = options.stride ?? 0;
    if (room < 1 || stride < 0 || stride >= room) {
      throw new TenonError("USAGE", {
        problem: "windows of tokens",
        given: `maxTokens ${options.maxTokens}, stride ${stride}`,
        expected: `stride from 0 and below maxTokens less ${special} special tokens`,
      });
    }
    const whole = this.#sequence(text, spans, skip);
    const made: Encoding[] = [];
    for (let start = 0; ; start += room - stride) {
      const end = Math.min(start + room, whole.ids.length);
      const part = trimmed(sliced(whole, start, end), this.#template);
      made.push(assemble(template, [part], special > 0, spans, false));
      if (end === whole.ids.length) return made;
    }
  }

  /** Text from ids; ids without a token are left out. */
  decode(ids: ArrayLike<number>, options: { readonly skipSpecialTokens?: boolean } = {}): string {
    const skip = options.skipSpecialTokens ?? true;
    const tokens: string[] = [];
    for (let i = 0; i < ids.length; i++) {
      const token = this.#decoded(ids[i]!);
      if (token === undefined || (skip && this.#added.get(token)?.special)) continue;
      tokens.push(token);
    }
    return this.#decode(tokens);
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  /** A token's text for the decoder: of an added one that is looked for in normalised text, its normal form. */
  #decoded(id: number): string | undefined {
    this.#normalForms ??= new Map(
      [...this.#added.values()]
        .filter((token) => token.normalized && this.#normalizers.length > 0)
        .map((token) => [token.id, this.#normalText(token.content)]),
    );
    return this.#normalForms.get(id) ?? this.tokenOf(id);
  }

  #normalText(text: string): string {
    this.#source.fill(text, false);
    return this.#normalize(this.#source).text();
  }

  /** The normal form of a line; the line itself when there is nothing to do. */
  #normalize(line: Line): Line {
    let current = line;
    let next = 0;
    for (const normalizer of this.#normalizers) {
      const out = this.#lines[next]!;
      out.reset(line.aligned);
      out.atStart = line.atStart;
      if (current.length > 0) normalizer(current, out);
      current = out;
      next = 1 - next;
    }
    return current;
  }

  #sequence(text: string, spans: boolean, skip: ((token: AddedToken) => boolean) | undefined): Sequence {
    this.#run(text, spans, skip);
    const { length } = this.#tokens;
    return {
      text,
      ids: this.#tokens.ids.slice(0, length),
      offsets: spans ? this.#places.slice(0, 2 * length) : undefined,
      spaces: spans && this.#template.trimOffsets ? this.#edges.slice(0, 2 * length) : undefined,
    };
  }

  #run(text: string, spans: boolean, skip: ((token: AddedToken) => boolean) | undefined): void {
    this.#aligned = spans || this.#asksPlaces;
    this.#skip = skip;
    this.#source.fill(text, this.#aligned);
    this.#tokens.reset(spans);
    if (!spans && this.#direct?.encode(this.#source, this.#words, this.#tokens)) return;
    this.#tokens.reset(spans);
    this.#raw.split(this.#source, 0, this.#source.length, skip, this.#rawVisitor);
  }
  #aligned = false;
  #skip: ((token: AddedToken) => boolean) | undefined;

  readonly #normalVisitor: AddedVisitor = {
    text: (start, end) => this.#cutWords(start, end),
    token: (token, start, end) => this.#pushAdded(token, this.#current, start, end),
  };

  readonly #rawVisitor: AddedVisitor = {
    text: (start, end) => {
      let line = this.#source;
      if (start !== 0 || end !== line.length) {
        line = this.#piece;
        line.reset(this.#aligned);
        line.copy(this.#source, start, end);
      }
      line.atStart = start === 0;
      this.#current = this.#normalize(line);
      this.#normal.split(this.#current, 0, this.#current.length, this.#skip, this.#normalVisitor);
    },
    token: (token, start, end) => this.#pushAdded(token, this.#source, start, end),
  };

  #pushAdded(token: AddedToken, line: Line, start: number, end: number): void {
    const at = this.#tokens.length;
    this.#tokens.push(token.id, start, end);
    if (this.#tokens.spans) this.#place(line, at, true);
  }

  /** The normalised line that is being cut. */
  #current = this.#source;

  #cutWords(start: number, end: number): void {
    let line = this.#current;
    if (start !== 0 || end !== line.length) {
      line = this.#cut;
      line.reset(this.#current.aligned);
      line.atStart = this.#current.atStart && start === 0;
      line.copy(this.#current, start, end);
    }
    const pre = this.#pre;
    pre.reset(line);
    for (const step of this.#steps) step(pre);
    const tokens = this.#tokens;
    const { units } = pre.line;
    const at = tokens.length;
    for (let i = 0; i < pre.count; i++) this.#words.encode(units, pre.starts[i]!, pre.ends[i]!, tokens);
    if (tokens.spans) this.#place(pre.line, at, false);
  }

  /** Turns spans of tokens from `at` on, in units of `line`, into places in the text. */
  #place(line: Line, at: number, added: boolean): void {
    const { ids, starts, ends, length } = this.#tokens;
    if (this.#places.length < 2 * starts.length) {
      this.#places = widened(this.#places, 2 * starts.length);
      this.#edges = widened(this.#edges, 2 * starts.length);
    }
    const trimming = this.#template.trimOffsets;
    for (let i = at; i < length; i++) {
      const start = starts[i]!;
      const end = ends[i]!;
      this.#places[2 * i] = line.from[start]!;
      this.#places[2 * i + 1] = line.to[end - 1]!;
      if (!trimming) continue;
      const [before, after] = added ? spacesOf(line.text(start, end)) : this.#spacesOfToken(ids[i]!);
      this.#edges[2 * i] = before;
      this.#edges[2 * i + 1] = after;
    }
  }

  #spacesOfToken(id: number): readonly [before: number, after: number] {
    let known = this.#spaces.get(id);
    if (known === undefined) {
      known = spacesOf(this.tokenOf(id) ?? "");
      this.#spaces.set(id, known);
    }
    return known;
  }
}

function widened(array: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(size);
  wider.set(array);
  return wider;
}

const NO_SPACES = [0, 0] as const;

/** White space, or its byte-level sign, at both ends of a token. */
function spacesOf(token: string): readonly [before: number, after: number] {
  const before = /^[\u0120\p{White_Space}]*/u.exec(token)![0].length;
  if (before === 0 && !/[\u0120\p{White_Space}]$/u.test(token)) return NO_SPACES;
  let after = 0;
  while (after < token.length && /[\u0120\p{White_Space}]/u.test(token[token.length - 1 - after]!)) after++;
  return [before, after];
}
