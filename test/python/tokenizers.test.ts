/** Tokenizers of every shape that is supported, made by the reference package: ids, offsets, pairs, windows, decoding. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { Tokenizer } from "tenon/embed";
import { mixedTexts, ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/tokenizer_files.py");

interface Answers {
  readonly texts: readonly {
    readonly ids: number[];
    readonly offsets: readonly (readonly [number, number])[];
    readonly decoded: string;
    readonly bare: number[];
  }[];
  readonly pairs: readonly {
    readonly limit: number;
    readonly left: boolean;
    readonly stride: number;
    readonly ids: number[];
    readonly types: number[];
    readonly windows: readonly number[][];
  }[];
}

const NAMES = [
  "wordpiece",
  "wordpiece-cased",
  "bpe",
  "bpe-prefix",
  "bpe-gpt4",
  "clip",
  "unigram",
  "unigram-first",
  "unigram-bytes",
  "gemma",
  "words",
  "words-removed",
  "words-isolated",
  "words-merged_with_previous",
  "words-merged_with_next",
  "words-contiguous",
];

describe("tokenizers against the reference", () => {
  // More texts, of another seed, on demand.
  const count = Number(process.env.TENON_TOKENIZER_TEXTS ?? 160);
  const texts = [...ODD_TEXTS, ...mixedTexts(count, 7 + count)].map((text) => text.toWellFormed());
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-tokenizers-"));
    const corpus = [...proseLines(600, 9), ...mixedTexts(300, 8)].map((text) => text.toWellFormed());
    writeFileSync(join(folder, "given.json"), JSON.stringify({ corpus, texts }));
    assert.deepEqual(JSON.parse(runPython([script, folder, join(folder, "given.json")])), NAMES);
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const name of NAMES) {
    test(name, () => {
      const tokenizer = Tokenizer.parse(readFileSync(join(folder, `${name}.json`), "utf8"));
      const answers = JSON.parse(readFileSync(join(folder, `${name}.answers.json`), "utf8")) as Answers;
      answers.texts.forEach((expected, i) => {
        const text = texts[i]!;
        const label = JSON.stringify(text);
        const made = tokenizer.encode(text, { offsets: true });
        assert.deepEqual([...made.ids], expected.ids, label);
        assert.deepEqual([...tokenizer.encode(text).ids], expected.ids, label);
        assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: false }).ids], expected.bare, label);
        assert.deepEqual(pairsOf(made.offsets!), inUnits(text, expected.offsets), label);
        assert.equal(tokenizer.decode(made.ids), expected.decoded, label);
      });
      answers.pairs.forEach((expected, i) => {
        const { limit, stride } = expected;
        const options = { maxTokens: limit, truncate: expected.left ? "left" : "right" } as const;
        const both = tokenizer.encode(texts[i]!, { ...options, pair: texts[i + 1]! });
        assert.deepEqual([...both.ids], expected.ids);
        assert.deepEqual([...both.typeIds], expected.types);
        const one = tokenizer.encode(texts[i]!, options);
        assert.deepEqual([...one.ids], expected.windows[0]);
        assert.equal(one.truncated, expected.windows.length > 1);
        if (expected.left) return;
        const windows = tokenizer.windows(texts[i]!, { maxTokens: limit, stride });
        assert.deepEqual(
          windows.map(({ ids }) => [...ids]),
          expected.windows,
        );
      });
    });
  }
});

test("what is not known is refused by name", () => {
  const refused = (file: object) => () => Tokenizer.parse(JSON.stringify(file));
  const model = { type: "WordLevel", vocab: { a: 0 }, unk_token: "a" };
  assert.throws(refused({ model: { ...model, type: "Morphemes" } }), {
    code: "TOKENIZER_UNSUPPORTED",
    message: /model Morphemes/,
  });
  assert.throws(refused({ model, normalizer: { type: "Upside" } }), {
    code: "TOKENIZER_UNSUPPORTED",
    message: /normalizer Upside/,
  });
  const split = { type: "Split", behavior: "Isolated", pattern: { Regex: "\\X" } };
  assert.throws(refused({ model, pre_tokenizer: split }), {
    code: "TOKENIZER_UNSUPPORTED",
    message: /regular expression/,
  });
});

function pairsOf(offsets: Int32Array): number[][] {
  return Array.from({ length: offsets.length / 2 }, (_, i) => [offsets[2 * i]!, offsets[2 * i + 1]!]);
}

/** Offsets in code points as offsets in UTF-16 units. */
function inUnits(text: string, offsets: readonly (readonly [number, number])[]): number[][] {
  const units = [0];
  for (const character of text) units.push(units.at(-1)! + character.length);
  return offsets.map(([start, end]) => [units[start]!, units[end]!]);
}
