/** The tokenizers of real models, and one put together as XLM-R's is, against the reference package's answers. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { runPython } from "../python/onnx-cases.js";
import { mixedTexts, ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { assertAnswers } from "../support/tokenizer-answers.js";

const root = resolve(import.meta.dirname, "../../..");
const shared = resolve(root, "../shared/models");
const FILES = [
  ...["minilm", "gpt2", "roberta", "t5"].map((name) => `tokenizers/${name}_tokenizer.json`),
  "embed/model2vec-float32/tokenizer.json",
];

const skip = process.env.TENON_PYTHON ? false : "TENON_PYTHON is not set; use npm run test:python";

describe("tokenizers of real models", { skip }, () => {
  const count = Number(process.env.TENON_TOKENIZER_TEXTS ?? 300);
  const texts = [...ODD_TEXTS, ...proseLines(100, count), ...mixedTexts(count, 7 + count)].map((text) =>
    text.toWellFormed(),
  );
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-tokenizers-"));
    const file = JSON.parse(readFileSync(join(shared, "tokenizers/t5_tokenizer.json"), "utf8"));
    file.pre_tokenizer = {
      type: "Sequence",
      pretokenizers: [
        { type: "WhitespaceSplit" },
        { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always", split: true },
      ],
    };
    const other = join(folder, "xlmr-like.json");
    writeFileSync(other, JSON.stringify(file));
    writeFileSync(join(folder, "given.json"), JSON.stringify({ corpus: [], texts }));
    const paths = [...FILES.map((name) => join(shared, name)), other];
    const script = resolve(root, "test/python/tokenizer_files.py");
    const names = JSON.parse(runPython([script, folder, join(folder, "given.json"), ...paths]));
    assert.equal(names.length, paths.length);
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const path of [...FILES, "xlmr-like.json"]) {
    const name = basename(path, ".json");
    test(name, () => assertAnswers(folder, name, texts));
  }
});
