/** Beginnings of long texts: the first tokens are those of the whole text, and most of it is not read. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { beginningOf } from "./beginning.js";
import { Tokenizer } from "./tokenizers/tokenizer.js";

const WORDS = "a b ##b ab ba aab . , é e ##e [UNK] [CLS] [SEP]".split(" ");
const tokenizer = new Tokenizer({
  added_tokens: [{ id: 12, content: "[CLS]", special: true, lstrip: true }],
  normalizer: { type: "BertNormalizer", lowercase: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
});

test("the first tokens of a beginning are those of the whole text", () => {
  const part = fc.constantFrom(
    "a",
    "ab",
    "ba ",
    " ",
    "  ",
    "e\u0301",
    " \u0301",
    "[CLS]",
    ".",
    "\n",
    "aab, ",
    `${"z".repeat(20)} `,
    "aab ",
  );
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 100, maxLength: 1500 }),
      fc.integer({ min: 1, max: 12 }),
      (parts, most) => {
        const text = parts.join("");
        let read = 0;
        const beginning = beginningOf(text, most, (one) => {
          read += one.length;
          return tokenizer.count(one);
        });
        if (beginning === undefined) return;
        assert.ok(text.startsWith(beginning) && 2 * beginning.length < text.length && read < text.length);
        const options = { maxTokens: most };
        const [cut, whole] = [beginning, text].map((one) => tokenizer.encode(one, options));
        assert.deepEqual(cut!.ids, whole!.ids);
        assert.ok(cut!.truncated && whole!.truncated);
      },
    ),
  );
});

test("words that do not end, and short texts, are read whole", () => {
  const never = (): number => assert.fail("nothing is counted");
  assert.equal(beginningOf("a".repeat(100_000), 4, never), undefined);
  assert.equal(beginningOf("a b c", 4, never), undefined);
  assert.equal(beginningOf("", 4, never), undefined);
});
