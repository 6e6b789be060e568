/** Labels of parts of texts against the pipeline of transformers: every strategy, two kinds of tokenizers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { type Aggregation, tagger } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/tagger.py");
const TEXTS = [
  "Wolfgang Müller lives in New York, U.S.A.",
  "micro-soft and Microsofts  companies (don't ask)",
  "[SEP] is written out; zebra 42.",
  ...proseLines(14, 5),
];

describe("token classification", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-tagger-"));
  after(() => rmSync(folder, { recursive: true }));

  test("spans are those of transformers", async () => {
    const answers = JSON.parse(runPython([script, folder], JSON.stringify({ texts: TEXTS }))) as Record<
      string,
      Record<Aggregation, [label: string, score: number, start: number, end: number][][]>
    >;
    await using engine = await Engine.open({ cache: false, lanes: 1 });
    for (const [name, strategies] of Object.entries(answers)) {
      await using model = await tagger(join(folder, name), { engine, name });
      for (const [aggregation, wanted] of Object.entries(strategies)) {
        const ours = await model.tag(TEXTS, { aggregation: aggregation as Aggregation });
        ours.forEach((spans, i) => {
          const where = `${name}, ${aggregation}, ${TEXTS[i]}`;
          assert.deepEqual(
            spans.map(({ label, start, end }) => [label, start, end]),
            wanted[i]!.map(([label, , start, end]) => [label, start, end]),
            where,
          );
          for (const [at, { score, text, start, end }] of spans.entries()) {
            assert.ok(Math.abs(score - wanted[i]![at]![1]) < 1e-5, where);
            assert.equal(text, TEXTS[i]!.slice(start, end));
          }
        });
      }
    }
  });
});
