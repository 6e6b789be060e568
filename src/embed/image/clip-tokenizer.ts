/** CLIP's tokenizer of a folder, also of one from before there was a tokenizer.json: vocabulary, merges, and the rest as CLIP has it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { incomplete } from "../card/card.js";
import { invalidFile, isFile, readFields } from "../card/files.js";

const START = "<|startoftext|>";
const END = "<|endoftext|>";
const WORDS = String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`;

/** A path of a tokenizer.json, or what would stand in one. Throws MODEL_INCOMPLETE, FILE_INVALID. */
export function clipTokenizer(folder: string): string | object {
  const whole = join(folder, "tokenizer.json");
  if (isFile(whole)) return whole;
  const vocab = readFields(folder, "vocab.json");
  const path = join(folder, "merges.txt");
  if (vocab === undefined || !isFile(path))
    throw incomplete(folder, ["tokenizer.json", "vocab.json and merges.txt"]);
  const [start, end] = [START, END].map((content) => {
    const id = vocab[content];
    if (typeof id === "number") return { id, content };
    throw invalidFile("vocab.json", `no "${content}"`);
  }) as [Special, Special]; // two for two
  const added = ({ id, content }: Special): object => ({
    ...{ id, content, special: true, normalized: false },
    ...{ single_word: false, lstrip: false, rstrip: false },
  });
  return {
    version: "1.0",
    added_tokens: [added(start), added(end)],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
        { type: "Lowercase" },
      ],
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        { type: "Split", pattern: { Regex: WORDS }, behavior: "Removed", invert: true },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [END, end.id],
      cls: [START, start.id],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: END,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: readFileSync(path, "utf8")
        .split("\n")
        .map((line) => line.trimEnd())
        .filter((line) => line !== "" && !line.startsWith("#version")),
    },
  };
}

interface Special {
  readonly id: number;
  readonly content: string;
}
