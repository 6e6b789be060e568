/** Tokenizers of every shape that is supported, made by the reference package, against its own answers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { mixedTexts, ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { assertAnswers } from "../support/tokenizer-answers.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/tokenizer_files.py");

const NAMES = [
  "wordpiece",
  "wordpiece-cased",
  "wordpiece-roberta",
  "wordpiece-lengths",
  "bpe",
  "bpe-prefix",
  "bpe-gpt4",
  "bpe-gpt4-possessive",
  "bpe-llama3",
  "bpe-qwen",
  "bpe-cased",
  "bpe-symbols",
  "bpe-stops",
  "bpe-digits",
  "bpe-bytes-first",
  "bpe-words-prefix",
  "bpe-normalized-bytes",
  "bpe-modernbert",
  "clip",
  "unigram-always",
  "unigram-first",
  "unigram-never",
  "unigram-stripped",
  "unigram-albert",
  "unigram-NFC",
  "unigram-NFD",
  "unigram-empty-matches",
  "gemma",
  "llama2",
  "llama2-metaspace",
  "bpe-unknown-true",
  "bpe-unknown-false",
  "words",
  "words-Removed",
  "words-Isolated",
  "words-MergedWithPrevious",
  "words-MergedWithNext",
  "words-Contiguous",
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

  for (const name of NAMES) test(name, () => assertAnswers(folder, name, texts));
});
