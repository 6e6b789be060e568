/** A real corpus, the paragraphs of Python's manual, ranked as sentence-transformers ranks it; and what integers change of that. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { type EmbedMatrix, embedder, searchIndex } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { materialize, openWeights } from "tenon/torch";
import { minilmOracle } from "./minilm-oracle.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/retrieval.py");

const QUESTIONS = [
  "how are exceptions caught and handled?",
  "what happens when a name is not defined?",
  "catching an error and running code afterwards in any case",
  "how does a generator give back values?",
  "define a function with default arguments",
  "operator precedence in expressions",
  "how do I slice a list?",
  "what does the with statement do?",
  "importing modules from packages",
  "make a class with attributes",
  "customise access to attributes of an object",
  "how are objects compared for equality?",
  "asynchronous functions and await",
  "formatting numbers in strings",
  "escape sequences in string literals",
  "pattern matching on the structure of a value",
  "delete an item from a dictionary",
  "global and nonlocal variables",
  "loop over the items of a sequence",
  "emulating numeric types with special methods",
  "when is an object destroyed by garbage collection?",
  "conversion of types in arithmetic",
  "debugging a program step by step",
  "set a breakpoint at a line",
  "what is truth testing of values?",
  "anonymous functions",
  "floating point literals",
  "complex numbers",
  "assignment with unpacking of a list",
  "metaclasses and how classes are created",
];

interface Ranking {
  readonly corpus: string[];
  /** Of each question: places in the corpus with their scores, best first. */
  readonly hits: (readonly [number, number])[][];
}

describe("a real corpus with all-MiniLM-L6-v2", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-retrieval-"));
  let engine: Engine;
  let source = "";
  let ranking: Ranking;
  let expected: Float32Array;
  let whole: EmbedMatrix;
  before(async () => {
    ({ source } = await minilmOracle());
    const path = join(folder, "vectors.safetensors");
    ranking = JSON.parse(runPython([script, path, JSON.stringify(QUESTIONS)]));
    const { tensors } = await openWeights(path);
    expected = materialize(tensors.get("corpus")!).clone().data as unknown as Float32Array;
    engine = await Engine.open({ cache: false, lanes: 2 });
    await using model = await embedder(source, { engine, name: "whole" });
    whole = await model.passages(ranking.corpus);
  });
  after(async () => {
    await engine.close();
    rmSync(folder, { recursive: true });
  });

  const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
    let dot = 0;
    for (let i = 0; i < a.length; i++) dot += a[i]! * b[i]!;
    return dot / Math.hypot(...Array.from(a)) / Math.hypot(...Array.from(b));
  };

  test("has the same ten best paragraphs for each question, in the same order", async () => {
    assert.ok(ranking.corpus.length >= 400);
    for (let row = 0; row < whole.rows; row++)
      assert.ok(cosine(whole.row(row), expected.subarray(row * 384, (row + 1) * 384)) >= 0.99999);
    await using model = await embedder(source, { engine, name: "questions" });
    const index = searchIndex(whole);
    for (const [i, question] of QUESTIONS.entries()) {
      const ours = index.search((await model.query(question)) as Float32Array, { topK: 10 });
      const theirs = new Map(ranking.hits[i]!);
      for (const [at, [row, score]] of ranking.hits[i]!.entries()) {
        const hit = ours[at]!;
        assert.ok(Math.abs(hit.score - score) < 1e-5, `${question}: ${hit.score} for ${score}`);
        // Only paragraphs of one score may change places.
        const other = theirs.get(hit.row) ?? ranking.hits[i]!.at(-1)![1];
        assert.ok(hit.row === row || Math.abs(other - score) < 1e-6, `${question}: ${hit.row} for ${row}`);
      }
    }
  });

  test("int8-row: cosines to float32, the ten nearest kept, and the same alone and in company", async (t) => {
    await using model = await embedder(source, { engine, name: "quantised", quant: "int8-row" });
    const { accuracy } = model.explain();
    assert.ok(accuracy!.mean >= 0.995 && accuracy!.least >= 0.985, JSON.stringify(accuracy));
    const quantised = await model.passages(ranking.corpus);
    const cosines = Array.from({ length: whole.rows }, (_, row) =>
      cosine(whole.row(row), quantised.row(row)),
    );
    const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
    const least = Math.min(...cosines);
    const nearest = (matrix: EmbedMatrix): Set<number>[] => {
      const index = searchIndex(matrix);
      return Array.from({ length: matrix.rows }, (_, row) => {
        const hits = index.search(matrix.row(row) as Float32Array, { topK: 11 });
        return new Set(
          hits
            .map((hit) => hit.row)
            .filter((other) => other !== row)
            .slice(0, 10),
        );
      });
    };
    const [before, now] = [nearest(whole), nearest(quantised)];
    const kept = before.reduce((sum, ten, row) => sum + [...ten].filter((at) => now[row]!.has(at)).length, 0);
    const overlap = kept / (10 * whole.rows);
    let apart = 0;
    for (let row = 0; row < whole.rows; row += 8) {
      const alone = await model.query(ranking.corpus[row]!);
      quantised.row(row).forEach((value, j) => {
        apart = Math.max(apart, Math.abs(value - alone[j]!));
      });
    }
    t.diagnostic(
      `${whole.rows} paragraphs: cosine mean ${mean.toFixed(5)}, least ${least.toFixed(5)}; overlap@10 ${overlap.toFixed(4)}; ` +
        `alone and in company ${apart.toExponential(1)}; at load mean ${accuracy!.mean.toFixed(5)}, least ${accuracy!.least.toFixed(5)}`,
    );
    assert.ok(mean >= 0.997, `mean ${mean}`);
    assert.ok(least >= 0.99, `least ${least}`);
    assert.ok(overlap >= 0.94, `overlap@10 ${overlap}`);
    assert.ok(apart <= 1e-6, `alone differs from company by ${apart}`);
  });
});
