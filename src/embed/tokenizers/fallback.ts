/** A tokenizer from a folder, a file or its JSON: ours, or the optional package `@huggingface/tokenizers` for other parts. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Tokenizer as OtherTokenizer } from "@huggingface/tokenizers";
import { isTenonError, TenonError } from "../../base/index.js";
import { assemble, counted, type Encoding, kept } from "./encoding.js";
import { componentAt, isPart, unsupported } from "./parts.js";
import { NO_TABLES, tableStore } from "./tables.js";
import { type Template, templateOf } from "./template.js";
import { type EncodeOptions, Tokenizer } from "./tokenizer.js";
import { truncatePair } from "./truncate.js";

/** What every tokenizer can do. */
export type TextTokenizer = Pick<
  Tokenizer,
  | "vocabularySize"
  | "encode"
  | "encodeBatch"
  | "count"
  | "specialCount"
  | "decode"
  | "idOf"
  | "tokenOf"
  | "isSpecial"
  | "explain"
>;

export interface TokenizerOptions {
  /** A folder in which tables that take long to make are kept for the next time; default false: none. */
  readonly cache?: string | false;
}

/**
 * `source` is a folder with a tokenizer.json, the path of such a file, or its parsed JSON. Where a part is not known, the
 * package `@huggingface/tokenizers` takes its place if it is installed; `explain()` tells which is at work, and why. It
 * gives no offsets, and its ids are not proven. Throws FILE_INVALID, MODEL_INCOMPLETE or TOKENIZER_UNSUPPORTED.
 */
export async function openTokenizer(
  source: string | object,
  options: TokenizerOptions = {},
): Promise<TextTokenizer> {
  const path = typeof source === "string" ? fileOf(source) : undefined;
  const bytes = path === undefined ? undefined : readFileSync(path);
  const file: unknown = bytes === undefined ? source : parsed(path!, bytes);
  const { cache = false } = options;
  try {
    return new Tokenizer(file, bytes === undefined || cache === false ? NO_TABLES : tableStore(cache, bytes));
  } catch (error) {
    if (!isTenonError(error, "TOKENIZER_UNSUPPORTED")) throw error;
    const other = await otherTokenizer(file, path);
    if (other === undefined) throw error;
    return new Fallback(other, templateOf(componentAt(file as never, "post_processor")), error.message);
  }
}

function fileOf(path: string): string {
  if (!existsSync(path))
    throw new TenonError("MODEL_INCOMPLETE", {
      given: path,
      expected: "a folder with a tokenizer.json, or such a file",
    });
  if (!statSync(path).isDirectory()) return path;
  const file = join(path, "tokenizer.json");
  if (!existsSync(file))
    throw new TenonError("MODEL_INCOMPLETE", { given: path, expected: "a folder with a tokenizer.json" });
  return file;
}

function parsed(path: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new TenonError("FILE_INVALID", { problem: `${path} is not JSON`, cause });
  }
}

/** The package's tokenizer; undefined where it is not installed or does not know the file either. */
async function otherTokenizer(file: unknown, path: string | undefined): Promise<OtherTokenizer | undefined> {
  if (!isPart(file)) return undefined;
  const settings = path === undefined ? "" : join(dirname(path), "tokenizer_config.json");
  const config = existsSync(settings) ? parsed(settings, readFileSync(settings)) : {};
  try {
    const { Tokenizer: Other } = await import("@huggingface/tokenizers");
    return new Other(file, isPart(config) ? config : {});
  } catch {
    return undefined;
  }
}

class Fallback implements TextTokenizer {
  readonly vocabularySize: number;
  readonly #other: OtherTokenizer;
  readonly #template: Template;
  readonly #reason: string;

  constructor(other: OtherTokenizer, template: Template, reason: string) {
    this.#other = other;
    this.#template = template;
    this.#reason = reason;
    let highest = -1;
    for (const id of other.get_vocab(true).values()) if (id > highest) highest = id;
    this.vocabularySize = highest + 1;
  }

  encode(text: string, options: EncodeOptions = {}): Encoding {
    const { pair, maxTokens = Number.POSITIVE_INFINITY } = options;
    if (options.offsets) throw unsupported("offsets from the package @huggingface/tokenizers");
    if (options.specialTokens === "text")
      throw unsupported("special tokens as text in the package @huggingface/tokenizers");
    const template = pair === undefined ? this.#template.single : this.#template.pair;
    const special = (options.addSpecialTokens ?? true) ? counted(template) : 0;
    const first = this.#sequence(text);
    const second = pair === undefined ? undefined : this.#sequence(pair);
    const [keepFirst, keepSecond] = truncatePair(
      first.ids.length,
      second?.ids.length,
      Math.max(0, maxTokens - special),
      options.truncatePair ?? "longest",
    );
    const left = options.truncate === "left";
    const sequences = [kept(first, keepFirst, left)];
    if (second !== undefined) sequences.push(kept(second, keepSecond, left));
    const truncated = keepFirst < first.ids.length || keepSecond < (second?.ids.length ?? 0);
    return assemble(template, sequences, special > 0, false, truncated);
  }

  encodeBatch(texts: readonly string[], options: Omit<EncodeOptions, "pair"> = {}): Encoding[] {
    return texts.map((text) => this.encode(text, options));
  }

  count(text: string): number {
    return this.#sequence(text).ids.length + this.specialCount();
  }

  specialCount(pair = false): number {
    return counted(pair ? this.#template.pair : this.#template.single);
  }

  decode(ids: ArrayLike<number>, options: { readonly skipSpecialTokens?: boolean } = {}): string {
    if (ids.length === 0) return "";
    return this.#other.decode(Array.from(ids), { skip_special_tokens: options.skipSpecialTokens ?? true });
  }

  idOf(token: string): number | undefined {
    return this.#other.token_to_id(token);
  }

  tokenOf(id: number): string | undefined {
    return this.#other.id_to_token(id);
  }

  isSpecial(id: number): boolean {
    return this.#other.get_added_tokens_decoder().get(id)?.special === true;
  }

  explain(): { readonly engine: string; readonly reason?: string } {
    return { engine: "@huggingface/tokenizers", reason: this.#reason };
  }

  #sequence(text: string) {
    const ids = Int32Array.from(this.#other.encode(text, { add_special_tokens: false }).ids);
    return { text, ids, offsets: undefined, spaces: undefined };
  }
}
