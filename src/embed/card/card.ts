/** ModelCard: what a model's own files say of how texts become vectors, and which file said it. */
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import {
  countAt,
  type Fields,
  flagAt,
  insideFolder,
  invalidFile,
  isFields,
  isFile,
  readFields,
  readJson,
  textAt,
} from "./files.js";
import { assertModelFolder, modelFile } from "./model-files.js";
import { checkedPooling, type PoolingMode, poolingOf, unknownPooling } from "./pooling.js";

/** A value with the file or option that it came from. */
export interface Sourced<T> {
  readonly value: T;
  readonly from: string;
}

/** A Dense module: `activation(x W^T + b)` on the pooled vector. */
export interface DenseModule {
  readonly folder: string;
  readonly from: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  readonly activation: DenseActivation;
}

export const DENSE_ACTIVATIONS = ["Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU"] as const;
export type DenseActivation = (typeof DENSE_ACTIVATIONS)[number];

/** Which side of a text that is too long is cut; `error` refuses it. */
export type TruncateSide = "right" | "left" | "error";

/** What stands in a card by the caller's word rather than by a file's. */
export interface CardOptions {
  /** How tokens become one vector; several are put behind each other. */
  readonly pooling?: PoolingMode | readonly PoolingMode[];
  /** Whether vectors get length 1. */
  readonly normalize?: boolean;
  /** Texts that are put in front, by name. */
  readonly prompts?: Readonly<Record<string, string>>;
  /** Most tokens of a text, special ones included. */
  readonly maxTokens?: number;
}

export type Similarity = "cosine" | "dot" | "euclidean" | "manhattan";

/** What every model of texts says. */
export interface TextCard {
  readonly folder: string;
  /** Where config, tokenizer and weights of the transformer are. */
  readonly transformer: string;
  /** `config.json` of the transformer. */
  readonly config: Fields;
  readonly maxTokens: Sourced<number>;
  /** Texts are lower-cased before the tokenizer has them. */
  readonly lowerCase: boolean;
}

export interface ModelCard extends TextCard {
  readonly pooling: Sourced<readonly PoolingMode[]>;
  /** False: prompt tokens are seen and not pooled. */
  readonly includePrompt: boolean;
  readonly dense: readonly DenseModule[];
  readonly normalize: Sourced<boolean>;
  readonly prompts: Sourced<Readonly<Record<string, string>>>;
  readonly defaultPrompt: string | undefined;
  readonly similarity: Sourced<Similarity>;
  /** Sizes that the model was trained to be cut to (matryoshka), where a file says so. */
  readonly truncateDim: number | undefined;
}

export interface Module {
  readonly kind: string;
  readonly folder: string;
  readonly path: string;
}

export const NONE = "not said by the model";

/** Reads a folder. Throws MODEL_INCOMPLETE, UNKNOWN_POOLING, FILE_INVALID, MODEL_UNSUPPORTED. */
export function readCard(folder: string, options: CardOptions = {}): ModelCard {
  assertModelFolder(folder);
  const modules = modulesOf(folder);
  if (modules !== undefined) refuseUnknown(modules);
  const text = textCardOf(folder, modules, options);
  const pooled = poolingIn(text, modules, options);
  const sentence = readFields(folder, "config_sentence_transformers.json") ?? {};
  return {
    ...text,
    ...pooled,
    dense: (modules ?? []).filter(({ kind }) => kind === "Dense").map((module) => denseOf(module)),
    normalize: normalizeOf(modules, options),
    prompts: promptsOf(sentence, options),
    defaultPrompt: textAt(sentence, "default_prompt_name", "config_sentence_transformers.json"),
    similarity: similarityOf(sentence),
    truncateDim: countAt(sentence, "truncate_dim", "config_sentence_transformers.json"),
  };
}

/** What every model of texts says: of its transformer and its tokens. Throws MODEL_INCOMPLETE, FILE_INVALID. */
export function readTextCard(folder: string, options: Pick<CardOptions, "maxTokens"> = {}): TextCard {
  assertModelFolder(folder);
  return textCardOf(folder, modulesOf(folder), options);
}

/** Modules that have a config and weights of a transformer. */
const TRANSFORMERS = ["Transformer", "MLMTransformer"];

function textCardOf(
  folder: string,
  modules: readonly Module[] | undefined,
  options: Pick<CardOptions, "maxTokens">,
): TextCard {
  const transformer = modules?.find(({ kind }) => TRANSFORMERS.includes(kind))?.folder ?? folder;
  const config = readFields(transformer, "config.json");
  if (config === undefined) throw incomplete(folder, ["config.json"]);
  const bert = sentenceBert(transformer);
  return {
    folder,
    transformer,
    config,
    maxTokens: maxTokensOf(transformer, config, bert, options),
    lowerCase: bert === undefined ? false : (flagAt(bert.fields, "do_lower_case", bert.file) ?? false),
  };
}

export function incomplete(folder: string, files: readonly string[]): TenonError {
  return new TenonError("MODEL_INCOMPLETE", {
    problem: "the model's folder lacks a file",
    given: folder,
    expected: files.join(" or "),
  });
}

/** Modules that are known here; an unknown one would change the vectors and is refused. */
const KINDS = ["Transformer", "Pooling", "Dense", "Normalize", "Dropout"];

/** Modules that are known to exist and make another kind of model. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  StaticEmbedding: "a static model",
  SparseStaticEmbedding: "a sparse static model",
  SpladePooling: "a sparse model",
  MLMTransformer: "a sparse model",
  Router: "a model of several routes",
  CLIPModel: "a model of texts and images",
};

/** The modules of `modules.json` in their order; undefined where there is no such file. */
export function modulesOf(folder: string): readonly Module[] | undefined {
  const list = readJson(folder, "modules.json");
  if (list === undefined) return undefined;
  if (!Array.isArray(list) || list.length === 0) throw invalidFile("modules.json", "no list of modules");
  return list.map((entry: unknown, at): Module => {
    const { type, path } = isFields(entry) ? entry : {};
    if (typeof type !== "string" || typeof path !== "string")
      throw invalidFile("modules.json", `module ${at} without type and path`);
    return {
      kind: type.slice(type.lastIndexOf(".") + 1),
      folder: insideFolder(folder, path, "modules.json"),
      path,
    };
  });
}

function refuseUnknown(modules: readonly Module[]): void {
  const order = modules.map(({ kind }) => KINDS.indexOf(kind));
  const unknown = modules.find((_, at) => order[at] === -1);
  if (unknown !== undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "modules.json names a module that is not known",
      given:
        unknown.kind.slice(0, 80) +
        (Object.hasOwn(OTHER_KINDS, unknown.kind) ? `, ${OTHER_KINDS[unknown.kind]}` : ""),
      expected: KINDS.join(", "),
      ...(unknown.kind === "CLIPModel"
        ? { do: "open it with imageEmbedder(folder), which has texts(…) too" }
        : {}),
    });
  }
  const kinds = modules.map(({ kind }) => kind).filter((kind) => kind !== "Dropout");
  const isOrdered =
    kinds[0] === "Transformer" &&
    kinds.every((kind, at) => at === 0 || KINDS.indexOf(kind) >= KINDS.indexOf(kinds[at - 1]!)) &&
    kinds.filter((kind) => kind !== "Dense").length === new Set(kinds.filter((k) => k !== "Dense")).size;
  if (isOrdered) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "modules.json has its modules in an order that is not known",
    given: kinds.join(", ").slice(0, 200),
    expected: "Transformer, Pooling, then Dense ones, then Normalize",
  });
}

function poolingIn(
  place: TextCard,
  modules: readonly Module[] | undefined,
  options: CardOptions,
): Pick<ModelCard, "pooling" | "includePrompt"> {
  const module = modules?.find(({ kind }) => kind === "Pooling");
  const path = module?.path ?? "1_Pooling";
  const file = `${path}/config.json`;
  const config =
    module === undefined && modules !== undefined
      ? undefined
      : readFields(join(place.folder, path), "config.json");
  const includePrompt = config === undefined ? true : (flagAt(config, "include_prompt", file) ?? true);
  if (options.pooling !== undefined)
    return {
      pooling: { value: checkedPooling(options.pooling, "the options"), from: "the options" },
      includePrompt,
    };
  if (config === undefined) {
    modelFile(place); // a folder without a model does not pool
    const [kind] = Array.isArray(place.config.architectures) ? place.config.architectures : [];
    throw unknownPooling(
      "no Pooling module",
      modules === undefined ? ["modules.json", file] : ["modules.json"],
      /ForSequenceClassification$/.test(String(kind))
        ? "the model scores texts and makes no vectors: reranker(folder) or classifier(folder), tenon rerank"
        : undefined,
    );
  }
  return { pooling: { value: poolingOf(config, file), from: file }, includePrompt };
}

function normalizeOf(modules: readonly Module[] | undefined, options: CardOptions): Sourced<boolean> {
  if (options.normalize !== undefined && typeof options.normalize !== "boolean") {
    throw new TenonError("CONFIG_INVALID", {
      problem: "normalize",
      given: typeof options.normalize,
      expected: "true or false",
    });
  }
  if (options.normalize !== undefined) return { value: options.normalize, from: "the options" };
  if (modules === undefined) return { value: false, from: NONE };
  return { value: modules.some(({ kind }) => kind === "Normalize"), from: "modules.json" };
}

/** `names` are those of the values that the layer may stand between. */
export function denseOf(
  { folder, path }: Module,
  names: readonly string[] = ["sentence_embedding"],
): DenseModule {
  const file = `${path}/config.json`;
  const config = readFields(folder, "config.json");
  if (config === undefined) throw incomplete(folder, [file]);
  const inFeatures = countAt(config, "in_features", file);
  const outFeatures = countAt(config, "out_features", file);
  if (inFeatures === undefined || outFeatures === undefined)
    throw invalidFile(file, "no in_features or out_features");
  const name = textAt(config, "activation_function", file) ?? "torch.nn.modules.activation.Tanh";
  const activation = DENSE_ACTIVATIONS.find((known) => name.slice(name.lastIndexOf(".") + 1) === known);
  if (activation === undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `${file} names an activation that is not known`,
      given: name.slice(0, 80),
      expected: DENSE_ACTIVATIONS.join(", "),
    });
  }
  for (const key of ["use_residual", "module_input_name", "module_output_name"]) {
    const value = config[key];
    if (value === undefined || value === null || value === false || names.includes(String(value))) continue;
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `${file} asks for what is not known`,
      given: `"${key}": ${JSON.stringify(value)?.slice(0, 80)}`,
    });
  }
  return {
    folder,
    from: file,
    inFeatures,
    outFeatures,
    bias: flagAt(config, "bias", file) ?? true,
    activation,
  };
}

export function promptsOf(sentence: Fields, options: CardOptions): ModelCard["prompts"] {
  if (options.prompts !== undefined) {
    const wrong = Object.entries(options.prompts).find(([, prompt]) => typeof prompt !== "string");
    if (wrong === undefined) return { value: options.prompts, from: "the options" };
    throw new TenonError("CONFIG_INVALID", {
      problem: "prompts",
      given: `"${wrong[0].slice(0, 80)}" of ${typeof wrong[1]}`,
      expected: "texts by name",
    });
  }
  const given = sentence.prompts;
  const file = "config_sentence_transformers.json";
  if (given === undefined || given === null) return { value: {}, from: NONE };
  if (!isFields(given)) throw invalidFile(file, '"prompts" is no object');
  const prompts: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const name of Object.keys(given)) prompts[name] = textAt(given, name, file) ?? "";
  return { value: prompts, from: file };
}

const SIMILARITIES: readonly Similarity[] = ["cosine", "dot", "euclidean", "manhattan"];

export function similarityOf(sentence: Fields): Sourced<Similarity> {
  const file = "config_sentence_transformers.json";
  const name = textAt(sentence, "similarity_fn_name", file);
  if (name === undefined) return { value: "cosine", from: NONE };
  const value = SIMILARITIES.find((known) => known === name || (known === "dot" && name === "dot_score"));
  if (value === undefined)
    throw invalidFile(file, `"similarity_fn_name": "${name.slice(0, 80)}"`, SIMILARITIES.join(", "));
  return { value, from: file };
}

/** The older names of the file are those of sentence-transformers' older wrappers. */
const SENTENCE_BERT = [
  "sentence_bert_config.json",
  "sentence_roberta_config.json",
  "sentence_distilbert_config.json",
  "sentence_camembert_config.json",
  "sentence_albert_config.json",
  "sentence_xlm-roberta_config.json",
  "sentence_xlnet_config.json",
];

function sentenceBert(folder: string): { readonly fields: Fields; readonly file: string } | undefined {
  for (const file of SENTENCE_BERT) {
    const fields = readFields(folder, file);
    if (fields !== undefined) return { fields, file };
  }
  return undefined;
}

/** Positions of these models are counted from the id of padding + 1. */
const SHIFTED = new Set(["roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet", "xlm-roberta-xl"]);

/** `model_max_length` of tokenizers without a limit is a very large number. */
const UNLIMITED = 1_000_000;

function maxTokensOf(
  folder: string,
  config: Fields,
  bert: { readonly fields: Fields; readonly file: string } | undefined,
  options: CardOptions,
): Sourced<number> {
  const positions = positionsOf(config);
  const { maxTokens } = options;
  if (maxTokens !== undefined) {
    if (!Number.isInteger(maxTokens) || maxTokens < 3 || maxTokens > (positions ?? UNLIMITED)) {
      throw new TenonError("CONFIG_INVALID", {
        problem: "maxTokens",
        given: String(maxTokens),
        expected: `a whole number from 3${positions === undefined ? "" : ` to ${positions}, the model's positions`}`,
      });
    }
    return { value: maxTokens, from: "the options" };
  }
  const own = bert === undefined ? undefined : countAt(bert.fields, "max_seq_length", bert.file);
  const limit = (value: number, from: string): Sourced<number> =>
    positions !== undefined && positions < value
      ? { value: positions, from: "config.json" }
      : { value, from };
  if (own !== undefined) return limit(own, bert!.file);
  const tokenizer = readFields(folder, "tokenizer_config.json") ?? {};
  const length = tokenizer.model_max_length;
  if (typeof length === "number" && length >= 1 && length <= UNLIMITED)
    return limit(Math.floor(length), "tokenizer_config.json");
  if (positions !== undefined) return { value: positions, from: "config.json" };
  return { value: 512, from: NONE };
}

function positionsOf(config: Fields): number | undefined {
  const positions = countAt(config, "max_position_embeddings", "config.json");
  if (positions === undefined) return undefined;
  const pad = typeof config.pad_token_id === "number" ? config.pad_token_id : 1;
  return SHIFTED.has(String(config.model_type)) ? positions - pad - 1 : positions;
}

/** The file of the tokenizer. Throws MODEL_INCOMPLETE. */
export function tokenizerFile(card: Pick<ModelCard, "folder" | "transformer">): string {
  for (const folder of [card.transformer, card.folder]) {
    const path = join(folder, "tokenizer.json");
    if (isFile(path)) return path;
  }
  throw incomplete(card.transformer, ["tokenizer.json"]);
}
