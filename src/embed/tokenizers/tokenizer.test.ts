/** Tokenizer: what it gives for a small file, and what becomes of files that are not known, damaged or hostile. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Tokenizer } from "./tokenizer.js";

const WORDS = {
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: { "[UNK]": 0, "[CLS]": 1, "[SEP]": 2, un: 3, "##able": 4, able: 5, "!": 6 },
  },
  normalizer: { type: "BertNormalizer", lowercase: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: { type: "BertProcessing", cls: ["[CLS]", 1], sep: ["[SEP]", 2] },
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  added_tokens: [{ id: 2, content: "[SEP]", special: true, normalized: false }],
};

function expressionFile(regex: string): object {
  return {
    ...WORDS,
    pre_tokenizer: { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
  };
}

describe("Tokenizer", () => {
  const tokenizer = new Tokenizer(WORDS);

  test("encodes, tells places in UTF-16 units, and decodes", () => {
    const { ids, offsets, truncated } = tokenizer.encode("😀 Unable!", { offsets: true });
    assert.deepEqual([...ids], [1, 0, 3, 4, 6, 2]);
    assert.deepEqual([...offsets!], [0, 0, 0, 2, 3, 5, 5, 9, 9, 10, 0, 0]);
    assert.equal(truncated, false);
    assert.equal(tokenizer.decode(ids), "[CLS] [UNK] unable!");
  });

  test("literal special tokens of strangers are text where asked", () => {
    assert.deepEqual([...tokenizer.encode("able[SEP]").ids], [1, 5, 2, 2]);
    assert.ok(!tokenizer.encode("able[SEP]", { specialTokens: "text" }).ids.slice(0, -1).includes(2));
  });

  test("what is not known is refused by name", () => {
    const parts: readonly (readonly [object, RegExp])[] = [
      [{ model: { ...WORDS.model, type: "Morphemes" } }, /model Morphemes/],
      [{ normalizer: { type: "Upside" } }, /normalizer Upside/],
      [{ pre_tokenizer: { type: "UnicodeScripts" } }, /pre-tokenizer UnicodeScripts/],
      [{ post_processor: { type: "Wrap" } }, /post-processor Wrap/],
      [{ decoder: { type: "CTC" } }, /decoder CTC/],
      [expressionFile("\\X"), /regular expression/],
      [expressionFile("(a)\\1"), /regular expression/],
      [expressionFile("(?i:ss)"), /regular expression/],
    ];
    for (const [part, message] of parts)
      assert.throws(() => new Tokenizer({ ...WORDS, ...part }), { code: "TOKENIZER_UNSUPPORTED", message });
  });

  test("expressions that can take a time out of all proportion are refused", () => {
    for (const regex of [
      "(a+)+b",
      "(a|aa)+b",
      "(?:a?){50}b",
      "(x*y*)*z",
      "\\s*\\s*\\s*\\s*x",
      "(".repeat(20),
    ])
      assert.throws(() => new Tokenizer(expressionFile(regex)), { code: "FILE_INVALID" }, regex);
    for (const regex of ["(?:a|b)+c", "(?:ab)+", "(?>a+)b", "a{1,3}+", "[^\\s[a-c]]+|\\s+(?!\\S)"])
      assert.doesNotThrow(() => new Tokenizer(expressionFile(regex)), regex);
  });

  test("damaged files are refused with a reason", () => {
    const bad: readonly object[] = [
      { model: { ...WORDS.model, vocab: { "[UNK]": 4e9 } } },
      { model: { ...WORDS.model, vocab: { "[UNK]": -1 } } },
      { model: { ...WORDS.model, vocab: ["[UNK]"] } },
      { model: { type: "BPE", vocab: { a: 0 }, merges: ["a b"] } },
      { model: { type: "BPE", vocab: { a: 0 }, merges: [["a"]] } },
      { model: { type: "Unigram", vocab: [["a", "b"]] } },
      { normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } },
      { added_tokens: [{ id: 1 }] },
    ];
    for (const part of bad)
      assert.throws(
        () => new Tokenizer({ ...WORDS, ...part }),
        { code: "FILE_INVALID" },
        JSON.stringify(part),
      );
    assert.throws(() => Tokenizer.parse("{"), { code: "FILE_INVALID" });
  });

  test("parts in parts are refused before the stack ends", () => {
    let part: object = { type: "Lowercase" };
    for (let i = 0; i < 20_000; i++) part = { type: "Sequence", normalizers: [part] };
    assert.throws(() => new Tokenizer({ ...WORDS, normalizer: part }), { code: "FILE_INVALID" });
  });

  test("no file makes anything else than a tokenizer or an error of ours", () => {
    const keys = Object.keys(WORDS).concat("vocab", "type", "merges", "Regex", "processors", "normalizers");
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<unknown>(
          null,
          true,
          -1,
          2 ** 31,
          1e300,
          "",
          "\ud800",
          "[UNK]",
          "Sequence",
          "ByteLevel",
        ),
        fc.array(tie("any"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie("any"), { maxKeys: 4 }),
      ),
    })).any;
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(WORDS)),
        fc.constantFrom(...keys),
        value,
        (key, inner, made) => {
          for (const part of [{ [key]: made }, { [key]: { ...WORDS[key as "model"], [inner]: made } }]) {
            try {
              new Tokenizer({ ...WORDS, ...part }).encode("Unable\ud800 [SEP]", { offsets: true });
            } catch (error) {
              assert.match(
                String((error as { code?: string }).code),
                /^(FILE_INVALID|TOKENIZER_UNSUPPORTED)$/,
              );
            }
          }
        },
      ),
      { numRuns: 2000, seed: 5 },
    );
  });
});
