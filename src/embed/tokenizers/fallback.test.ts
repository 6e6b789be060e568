/** openTokenizer: from a folder, a file or JSON, and the other package in place of ours. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openTokenizer } from "./fallback.js";

const FILE = {
  version: "1.0",
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: { "[UNK]": 0, "[CLS]": 1, "[SEP]": 2, un: 3, "##able": 4, able: 5, "!": 6 },
  },
  added_tokens: [],
  normalizer: { type: "BertNormalizer", lowercase: true, clean_text: true, handle_chinese_chars: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: { type: "BertProcessing", cls: ["[CLS]", 1], sep: ["[SEP]", 2] },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
};
const OTHER = {
  ...FILE,
  decoder: { type: "CTC", pad_token: "[UNK]", word_delimiter_token: "|", cleanup: false },
};

test("a folder, a file and JSON give the same tokenizer", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-tokenizer-"));
  try {
    const path = join(folder, "tokenizer.json");
    writeFileSync(path, JSON.stringify(FILE));
    for (const source of [folder, path, FILE]) {
      const tokenizer = await openTokenizer(source);
      assert.deepEqual([...tokenizer.encode("unable!").ids], [1, 3, 4, 6, 2]);
      assert.deepEqual(tokenizer.explain(), { engine: "tenon" });
    }
    await assert.rejects(openTokenizer(join(folder, "nothing")), { code: "MODEL_INCOMPLETE" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a part that ours do not have falls to the other package, which cuts and frames texts alike", async () => {
  const ours = await openTokenizer(FILE);
  const other = await openTokenizer(OTHER);
  assert.equal(other.explain().engine, "@huggingface/tokenizers");
  assert.match(other.explain().reason!, /decoder CTC/);
  assert.equal(other.vocabularySize, ours.vocabularySize);
  for (const options of [
    {},
    { maxTokens: 4 },
    { pair: "able able", maxTokens: 6 },
    { addSpecialTokens: false },
  ]) {
    const [a, b] = [ours.encode("Unable able!", options), other.encode("Unable able!", options)];
    assert.deepEqual({ ...b }, { ...a });
  }
  assert.equal(other.count("unable"), ours.count("unable"));
  assert.throws(() => other.encode("able", { offsets: true }), { code: "TOKENIZER_UNSUPPORTED" });
});

test("what neither has is refused with our reason", async () => {
  const file = { ...FILE, normalizer: { type: "Upside" } };
  await assert.rejects(openTokenizer(file), { code: "TOKENIZER_UNSUPPORTED", message: /normalizer Upside/ });
});
