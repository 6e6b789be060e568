/** What a late-interaction model (ColBERT) says of itself: markers, lengths, expansion of queries, words that are left out. */
import { TenonError } from "../../base/index.js";
import { type DenseModule, denseOf, modulesOf, readTextCard, type TextCard } from "../card/card.js";
import { countAt, type Fields, flagAt, isFields, readFields, textAt } from "../card/files.js";

export interface MultiOptions {
  /** What stands in front of queries and of documents: a token of the vocabulary, or plain text. Default: as the model says. */
  readonly markers?: { readonly query: string; readonly document: string };
  /** Tokens that a query is filled up to with `[MASK]`, and cut at; 0: queries are not filled. */
  readonly queryLength?: number;
  /** Most tokens of a document, special ones included. */
  readonly documentLength?: number;
  /** Words whose tokens documents are without. */
  readonly skip?: readonly string[];
}

export interface MultiCard extends TextCard {
  readonly markers: { readonly query: string; readonly document: string };
  readonly queryLength: number;
  /** False: filled queries are cut at the usual limit and not filled. */
  readonly expand: boolean;
  /** Other tokens see those that fill a query. */
  readonly attend: boolean;
  readonly documentLength: number;
  readonly skip: readonly string[];
  /** Layers on each token's vector, in order. */
  readonly dense: readonly DenseModule[];
  /** A layer without bias whose weights lie beside the transformer's, under this name. */
  readonly projection: string | undefined;
}

const PUNCTUATION = [..."!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"];
const SENTENCE = "config_sentence_transformers.json";
const KINDS = ["Transformer", "Dense", "MultiVectorMask", "Normalize"];

/** Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID. */
export function readMultiCard(folder: string, options: MultiOptions = {}): MultiCard {
  const text = readTextCard(folder);
  const modules = modulesOf(folder);
  const unknown = modules?.find(({ kind }) => !KINDS.includes(kind));
  if (unknown !== undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "modules.json names a module that a model of many vectors does not have",
      given: unknown.kind.slice(0, 80),
      expected: KINDS.join(", "),
    });
  }
  const dense = (modules ?? []).filter(({ kind }) => kind === "Dense").map(tokenDense);
  const sentence = readFields(folder, SENTENCE) ?? {};
  const stanford = modules === undefined ? stanfordIn(folder, text.config) : undefined;
  if (modules === undefined && stanford === undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the folder does not say how texts become many vectors",
      given: folder,
      expected: `modules.json and ${SENTENCE}, or ${ARTIFACT}`,
    });
  }
  const said = stanford ?? saidIn(folder, text.transformer, modules!, sentence);
  const limit = text.maxTokens.value;
  const queryLength = options.queryLength ?? said.queryLength;
  const documentLength = Math.min(limit, options.documentLength ?? said.documentLength);
  for (const [name, length] of Object.entries({ queryLength, documentLength })) {
    if (Number.isInteger(length) && length >= 0 && length <= limit && (length > 3 || name === "queryLength"))
      continue;
    throw new TenonError("CONFIG_INVALID", {
      problem: name,
      given: String(length),
      expected: `at most ${limit}`,
    });
  }
  return {
    ...text,
    markers: options.markers ?? said.markers,
    queryLength: queryLength === 0 ? limit : queryLength,
    expand: said.expand && queryLength > 0,
    attend: said.attend,
    documentLength,
    skip: options.skip ?? said.skip,
    dense,
    projection: stanford === undefined ? undefined : "linear.weight",
  };
}

type Said = Pick<MultiCard, "markers" | "queryLength" | "expand" | "attend" | "documentLength" | "skip">;

/** What checkpoints of the original ColBERT say of themselves. */
const ARTIFACT = "artifact.metadata";

/** A checkpoint of the original ColBERT; undefined for another folder. */
function stanfordIn(folder: string, config: Fields): Said | undefined {
  const artifact = readFields(folder, ARTIFACT);
  const classes = Array.isArray(config.architectures) ? config.architectures : [];
  if (artifact === undefined && !classes.includes("HF_ColBERT")) return undefined;
  const fields = artifact ?? {};
  return {
    markers: {
      query: textAt(fields, "query_token_id", ARTIFACT) ?? "[unused0]",
      document: textAt(fields, "doc_token_id", ARTIFACT) ?? "[unused1]",
    },
    queryLength: countAt(fields, "query_maxlen", ARTIFACT) ?? 32,
    expand: true,
    attend: flagAt(fields, "attend_to_mask_tokens", ARTIFACT) ?? false,
    documentLength: countAt(fields, "doc_maxlen", ARTIFACT) ?? 220,
    skip: (flagAt(fields, "mask_punctuation", ARTIFACT) ?? true) ? PUNCTUATION : [],
  };
}

/** The files of PyLate and of sentence-transformers. */
function saidIn(
  folder: string,
  transformer: string,
  modules: NonNullable<ReturnType<typeof modulesOf>>,
  sentence: Fields,
): Said {
  const own = readFields(transformer, "sentence_bert_config.json") ?? {};
  const mask = modules.find(({ kind }) => kind === "MultiVectorMask");
  const masks = mask === undefined ? {} : (readFields(mask.folder, "config.json") ?? {});
  const prompts = isFields(sentence.prompts) ? sentence.prompts : {};
  const marker = (role: "query" | "document"): string =>
    textAt(sentence, `${role}_prefix`, SENTENCE) ?? textAt(prompts, role, SENTENCE) ?? "";
  const isPylate = ["query_prefix", "query_length", "skiplist_words", "do_query_expansion"].some(
    (key) => key in sentence,
  );
  const expansion = own.query_expansion ?? sentence.query_expansion;
  if (isFields(expansion) && expansion.strategy !== "fixed") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "queries are filled up in a way that is not known",
      given: String(expansion.strategy).slice(0, 80),
      expected: "fixed",
    });
  }
  const words = masks.skiplist_words ?? sentence.skiplist_words ?? (mask === undefined ? PUNCTUATION : []);
  if (!Array.isArray(words) || !words.every((word) => typeof word === "string"))
    throw new TenonError("FILE_INVALID", { problem: '"skiplist_words" is no list of words', given: folder });
  const length = (from: Fields, key: string, file: string): number | undefined => countAt(from, key, file);
  return {
    markers: { query: marker("query"), document: marker("document") },
    queryLength:
      (isFields(expansion) ? length(expansion, "length", "query_expansion") : undefined) ??
      length(sentence, "query_length", SENTENCE) ??
      length(own, "query_length", "sentence_bert_config.json") ??
      32,
    expand: isFields(expansion) || (isPylate && sentence.do_query_expansion !== false),
    attend: isFields(expansion) ? expansion.attend === true : sentence.attend_to_expansion_tokens === true,
    documentLength:
      length(sentence, "document_length", SENTENCE) ??
      length(own, "document_length", "sentence_bert_config.json") ??
      Number.MAX_SAFE_INTEGER,
    skip: words,
  };
}

/** A layer on tokens says so in names that a layer on pooled vectors does not have. */
function tokenDense(module: Parameters<typeof denseOf>[0]): DenseModule {
  return denseOf(module, ["token_embeddings"]);
}
