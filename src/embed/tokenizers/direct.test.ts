/** DirectScan: the tokens that the long way gives, on random texts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Tokenizer } from "./tokenizer.js";

const tokens = [
  "[UNK]",
  "[CLS]",
  "a",
  "b",
  "ab",
  "##a",
  "##b",
  "##bc",
  "e",
  "##e",
  ".",
  "-",
  "\u4e00",
  "[",
  "]",
];
const words = {
  type: "WordPiece",
  unk_token: "[UNK]",
  vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
};
const pieces: [string, number][] = [
  ["<unk>", 0],
  ["\u2581", -2],
  ["\u2581a", -2.5],
  ["a", -3],
  ["b", -3],
  ["ab", -4],
  ["\u2581ab", -4.25],
  ["bb", -6],
  [".", -3],
  ["..", -6],
  ["-", -3.5],
  ["a-", -5.75],
  ["e", -4],
];
const likely = { type: "Unigram", unk_id: 0, vocab: pieces };
const added = (content: string, normalized: boolean) => ({ id: 99, content, special: true, normalized });
const metaspace = (more: object) => ({ type: "Metaspace", replacement: "\u2581", ...more });

/** Pipelines that look at one unit at a time. */
const FILES: Readonly<Record<string, object>> = {
  bert: {
    added_tokens: [added("[CLS]", false)],
    normalizer: { type: "BertNormalizer" },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: words,
  },
  spaces: { pre_tokenizer: { type: "WhitespaceSplit" }, model: words },
  "spaces and marks": {
    added_tokens: [added("<x>", true)],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "WhitespaceSplit" }, metaspace({ prepend_scheme: "always" })],
    },
    model: likely,
  },
  marks: { pre_tokenizer: metaspace({ prepend_scheme: "always" }), model: likely },
  "marks in one word": { pre_tokenizer: metaspace({ prepend_scheme: "first", split: false }), model: likely },
  "no marks before": { pre_tokenizer: metaspace({ prepend_scheme: "never" }), model: likely },
  "bytes for the unknown": {
    pre_tokenizer: metaspace({}),
    model: {
      ...likely,
      byte_fallback: true,
      vocab: [
        ...pieces,
        ...Array.from({ length: 256 }, (_, byte) => [
          `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
          -30,
        ]),
      ],
    },
  },
};

const unit = fc.constantFrom(
  ..."aabbABe\u00e9.-[]? \t\n\u2581\u4e00\u0000\u0301\u00df\u200b{`",
  "[CLS]",
  "<x>",
  "\u{1f600}",
  "\ud800",
);

for (const [name, file] of Object.entries(FILES)) {
  test(`tokens of a text are the same whether places are asked for or not: ${name}`, () => {
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 24 }), fc.boolean(), (units, special) => {
        const text = units.join("");
        const tokenizer = new Tokenizer(file);
        const options = { specialTokens: special ? "text" : "parse" } as const;
        const { ids } = tokenizer.encode(text, { ...options, offsets: true });
        assert.deepEqual(tokenizer.encode(text, options).ids, ids, JSON.stringify(text));
        assert.deepEqual(tokenizer.encode(text, options).ids, ids, `again ${JSON.stringify(text)}`);
      }),
      { numRuns: 150 },
    );
  });
}
