/** Static models: one vector a token and their mean a text, as model2vec and sentence-transformers' StaticEmbedding have it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { cast, type Tensor } from "../../tensor/index.js";
import { materialize, openWeights, type TensorRef } from "../../torch/index.js";
import {
  type CardOptions,
  type ModelCard,
  type Module,
  modulesOf,
  NONE,
  promptsOf,
  type Sourced,
  similarityOf,
  tokenizerFile,
} from "../card/card.js";
import { countAt, type Fields, flagAt, isFields, isFile, readFields } from "../card/files.js";
import { assertModelFolder } from "../card/model-files.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";

/** The vectors of a vocabulary, and how a text becomes tokens of it. */
export interface StaticModel {
  readonly card: ModelCard;
  readonly tokenizer: Tokenizer;
  /** Row-major, `dims` a row. */
  readonly table: Float32Array | Int8Array;
  readonly dims: number;
  /** The row of each token; undefined where the id is the row. */
  readonly mapping: Int32Array | undefined;
  /** What each token's vector is multiplied by. */
  readonly weights: Float32Array | undefined;
  /** Tokens that are passed over. */
  readonly unknown: number | undefined;
  /** Most characters (code points) of a text that are looked at. */
  readonly maxCharacters: number;
  readonly truncate: "left" | "right";
  /** The file that the vectors came from. */
  readonly from: string;
}

/** Of texts without an end of their own. */
const UNLIMITED = 1_000_000;

/** Reads a folder. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID, TOKENIZER_UNSUPPORTED, CONFIG_INVALID. */
export async function readStatic(folder: string, options: CardOptions = {}): Promise<StaticModel> {
  assertModelFolder(folder);
  refusePooling(options);
  const modules = modulesOf(folder);
  if (modules !== undefined) refuseModules(modules);
  const home = modules?.[0]?.folder ?? folder;
  const config = readFields(folder, "config.json") ?? {};
  const file = isFile(join(home, "model.safetensors")) ? "model.safetensors" : "pytorch_model.bin";
  const { tensors } = await openWeights(join(home, file));
  const isModel2vec = tensors.has("embeddings");
  const ref = tensors.get(isModel2vec ? "embeddings" : "embedding.weight");
  if (ref === undefined || ref.shape.length !== 2 || ref.shape[0] === 0 || ref.shape[1] === 0) {
    throw new TenonError("FILE_INVALID", {
      problem: `${file} holds no vectors of tokens`,
      given: ref === undefined ? [...tensors.keys()].slice(0, 8).join(", ") : `[${ref.shape.join(", ")}]`,
      expected: '"embeddings" or "embedding.weight", [tokens, size]',
    });
  }
  const json = readFileSync(tokenizerFile({ folder, transformer: home }), "utf8");
  const tokenizer = Tokenizer.parse(json);
  const parts = JSON.parse(json) as Fields;
  const mapping = isModel2vec ? mappingOf(tensors.get("mapping"), ref.shape[0]!, tokenizer) : undefined;
  if (mapping === undefined && ref.shape[0]! < tokenizer.vocabularySize) {
    throw new TenonError("FILE_INVALID", {
      problem: `${file} has fewer vectors than there are tokens`,
      given: String(ref.shape[0]),
      expected: String(tokenizer.vocabularySize),
    });
  }
  const cut = isFields(parts.truncation) ? parts.truncation : {};
  const maxTokens = isModel2vec
    ? model2vecLength(config, options)
    : lengthOf(options, countAt(cut, "max_length", "tokenizer.json"), "tokenizer.json");
  const sentence = readFields(folder, "config_sentence_transformers.json") ?? {};
  return {
    card: {
      folder,
      transformer: home,
      config,
      maxTokens,
      lowerCase: false,
      pooling: { value: ["mean"], from: file },
      includePrompt: true,
      dense: [],
      normalize: normalizeOf(modules, isModel2vec, config, options),
      prompts: promptsOf(sentence, options),
      defaultPrompt:
        typeof sentence.default_prompt_name === "string" ? sentence.default_prompt_name : undefined,
      similarity: similarityOf(sentence),
      truncateDim: countAt(sentence, "truncate_dim", "config_sentence_transformers.json"),
    },
    tokenizer,
    table: tableOf(ref),
    dims: ref.shape[1]!,
    mapping,
    weights: isModel2vec ? weightsOf(tensors.get("weights"), tokenizer) : undefined,
    unknown: isModel2vec ? unknownOf(parts, tokenizer) : undefined,
    maxCharacters: isModel2vec ? maxTokens.value * medianLength(tokenizer) : Number.POSITIVE_INFINITY,
    truncate: !isModel2vec && cut.direction === "Left" ? "left" : "right",
    from: file,
  };
}

function refusePooling({ pooling }: CardOptions): void {
  if (pooling === undefined || pooling === "mean") return;
  throw new TenonError("CONFIG_INVALID", {
    problem: "pooling",
    given: JSON.stringify(pooling),
    expected: '"mean": a static model has no other',
  });
}

function refuseModules(modules: readonly Module[]): void {
  const kinds = modules.map(({ kind }) => kind);
  if (kinds[0] === "StaticEmbedding" && (kinds.length === 1 || kinds.slice(1).join() === "Normalize")) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "modules.json has modules behind a static model that are not known there",
    given: kinds.join(", ").slice(0, 200),
    expected: "StaticEmbedding, then Normalize or nothing",
  });
}

function normalizeOf(
  modules: readonly Module[] | undefined,
  isModel2vec: boolean,
  config: Fields,
  options: CardOptions,
): Sourced<boolean> {
  if (options.normalize !== undefined) return { value: options.normalize, from: "the options" };
  const said = isModel2vec ? flagAt(config, "normalize", "config.json") : undefined;
  if (said !== undefined) return { value: said, from: "config.json" };
  if (modules === undefined) return { value: false, from: NONE };
  return { value: modules.some(({ kind }) => kind === "Normalize"), from: "modules.json" };
}

/** model2vec's own limit is 512; `null` in the config takes it away. */
function model2vecLength(config: Fields, options: CardOptions): Sourced<number> {
  if (config.max_length === null) return lengthOf(options, undefined, "config.json");
  const length = countAt(config, "max_length", "config.json");
  return length === undefined
    ? lengthOf(options, 512, NONE)
    : lengthOf(options, Math.min(length, UNLIMITED), "config.json");
}

function lengthOf({ maxTokens }: CardOptions, said: number | undefined, from: string): Sourced<number> {
  if (maxTokens === undefined) return { value: said ?? UNLIMITED, from: said === undefined ? NONE : from };
  if (Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= UNLIMITED)
    return { value: maxTokens, from: "the options" };
  throw new TenonError("CONFIG_INVALID", {
    problem: "maxTokens",
    given: String(maxTokens),
    expected: `a whole number from 1 to ${UNLIMITED}`,
  });
}

function tableOf(ref: TensorRef): Float32Array | Int8Array {
  const values = materialize(ref);
  if (values.dtype === "int8") return values.data as unknown as Int8Array; // a tensor of this dtype
  return floats(values, ref.name);
}

function floats(values: Tensor, name: string): Float32Array {
  const { dtype } = values;
  if (dtype === "float32") return values.data as unknown as Float32Array; // a tensor of this dtype
  if (dtype === "float16" || dtype === "float64" || dtype === "bfloat16")
    return cast(values, "float32").data as unknown as Float32Array;
  throw new TenonError("FILE_INVALID", {
    problem: `"${name}" has a dtype that vectors of tokens do not have`,
    given: dtype,
    expected: "float32, float16, bfloat16, float64 or int8",
  });
}

function mappingOf(
  ref: TensorRef | undefined,
  rows: number,
  { vocabularySize }: Tokenizer,
): Int32Array | undefined {
  if (ref === undefined) return undefined;
  if (ref.shape.length !== 1 || ref.shape[0]! < vocabularySize || !/^u?int(8|16|32|64)$/.test(ref.dtype)) {
    throw new TenonError("FILE_INVALID", {
      problem: '"mapping" does not give each token a row',
      given: `${ref.dtype} [${ref.shape.join(", ")}]`,
      expected: `whole numbers [${vocabularySize}]`,
    });
  }
  const given = materialize(ref).data as ArrayLike<number | bigint>;
  const mapping = new Int32Array(given.length);
  for (let id = 0; id < given.length; id++) {
    const row = Number(given[id]);
    if (row < 0 || row >= rows) {
      throw new TenonError("FILE_INVALID", {
        problem: '"mapping" names a row that is not there',
        given: `${row} for the token ${id}`,
        expected: `0 to ${rows - 1}`,
      });
    }
    mapping[id] = row;
  }
  return mapping;
}

function weightsOf(ref: TensorRef | undefined, { vocabularySize }: Tokenizer): Float32Array | undefined {
  if (ref === undefined) return undefined;
  if (ref.shape.length === 1 && ref.shape[0]! >= vocabularySize) return floats(materialize(ref), "weights");
  throw new TenonError("FILE_INVALID", {
    problem: '"weights" does not give each token a number',
    given: `[${ref.shape.join(", ")}]`,
    expected: `[${vocabularySize}]`,
  });
}

function unknownOf(file: Fields, tokenizer: Tokenizer): number | undefined {
  const model = isFields(file.model) ? file.model : {};
  if (typeof model.unk_token === "string") return tokenizer.idOf(model.unk_token);
  return typeof model.unk_id === "number" ? model.unk_id : undefined;
}

/** The median of the tokens' lengths in code points, rounded down. */
function medianLength(tokenizer: Tokenizer): number {
  const lengths: number[] = [];
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    const token = tokenizer.tokenOf(id);
    if (token !== undefined) lengths.push([...token].length);
  }
  lengths.sort((a, b) => a - b);
  const middle = lengths.length >> 1;
  const upper = lengths[middle] ?? 0;
  return Math.floor(lengths.length % 2 === 1 ? upper : (lengths[middle - 1]! + upper) / 2);
}
