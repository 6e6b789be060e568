/** A sentence-transformers folder of a few kilobytes: a tiny BERT, a WordPiece tokenizer of twenty tokens, pooling. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomWeights, saveTinyBert } from "./tiny-bert.js";

const VOCABULARY =
  "[PAD] [UNK] [CLS] [SEP] [MASK] a b c d e f one two three red green blue ##s ##ing .".split(" ");

export const TINY_TOKENIZER = {
  version: "1.0",
  // A trap: lengths are told by other files.
  truncation: { direction: "Right", max_length: 4, strategy: "LongestFirst", stride: 0 },
  padding: { strategy: { Fixed: 4 }, direction: "Right", pad_id: 0, pad_type_id: 0, pad_token: "[PAD]" },
  added_tokens: VOCABULARY.slice(0, 5).map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: {
    type: "TemplateProcessing",
    single: [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
    pair: [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)],
    special_tokens: {
      "[CLS]": { id: "[CLS]", ids: [2], tokens: ["[CLS]"] },
      "[SEP]": { id: "[SEP]", ids: [3], tokens: ["[SEP]"] },
    },
  },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(VOCABULARY.map((token, id) => [token, id])),
  },
};

function special(id: string, typeId: number): object {
  return { SpecialToken: { id, type_id: typeId } };
}

function sequence(id: string, typeId: number): object {
  return { Sequence: { id, type_id: typeId } };
}

/** Files by path: JSON values. */
export type JsonFiles = Readonly<Record<string, unknown>>;

const FILES: JsonFiles = {
  "tokenizer.json": TINY_TOKENIZER,
  "tokenizer_config.json": { model_max_length: 12 },
  "sentence_bert_config.json": { max_seq_length: 10, do_lower_case: false },
  "modules.json": [
    module(0, "", "Transformer"),
    module(1, "1_Pooling", "Pooling"),
    module(2, "2_Normalize", "Normalize"),
  ],
  "1_Pooling/config.json": { word_embedding_dimension: 8, pooling_mode_mean_tokens: true },
};

/** One entry of modules.json. */
export function module(idx: number, path: string, kind: string): object {
  return { idx, name: String(idx), path, type: `sentence_transformers.models.${kind}` };
}

/** Writes the folder. `files` replaces or adds; undefined leaves one out. */
export async function saveTinyEmbedder(folder: string, files: JsonFiles = {}): Promise<string> {
  await saveTinyBert(folder, files["config.json"] as Record<string, unknown> | undefined);
  for (const [path, value] of Object.entries({ ...FILES, ...files })) {
    if (value === undefined || path === "config.json") continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), JSON.stringify(value));
  }
  return folder;
}

/** The same BERT as a cross-encoder: one number a pair, or one for each of `labels`. */
export async function saveTinyCrossEncoder(
  folder: string,
  labels: readonly string[] = ["score"],
): Promise<string> {
  const head = randomWeights(
    {
      "pooler.dense.weight": [8, 8],
      "pooler.dense.bias": [8],
      "classifier.weight": [labels.length, 8],
      "classifier.bias": [labels.length],
    },
    7,
  );
  const config = {
    architectures: ["BertForSequenceClassification"],
    id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
  };
  await saveTinyBert(folder, config, head);
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(TINY_TOKENIZER));
  return folder;
}
