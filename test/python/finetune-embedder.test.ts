/** The real all-MiniLM-L6-v2 trained by contrast: loss, step and saved folder are those of sentence-transformers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { trainableEmbedder } from "tenon/embed";
import { sgd } from "tenon/train";
import { proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/finetune_embedder.py");
const LINES = proseLines(12, 4);
const ROWS = Array.from({ length: 6 }, (_, i) => ({ anchor: LINES[i]!, positive: LINES[i + 6]! }));

interface Answer {
  readonly source: string;
  readonly loss: number;
  readonly vectors: readonly (readonly number[])[];
}

const ask = (given: object): Answer => JSON.parse(runPython([script], JSON.stringify(given))) as Answer;

test("a step by contrast and its saved folder agree with sentence-transformers", async () => {
  const lr = 0.02;
  const theirs = ask({ rows: ROWS, texts: LINES, lr });
  const student = await trainableEmbedder(theirs.source);
  const task = student.contrast(ROWS, { batch: ROWS.length });
  await using step = await student.model.compile({
    loss: task.loss,
    optimizer: sgd({ lr }),
    groups: "pytorch",
    threads: 1,
  });
  for await (const batch of task.data(0)) {
    const { loss } = await step.run(batch);
    assert.ok(Math.abs(loss - theirs.loss) < 1e-4, `${loss}, sentence-transformers ${theirs.loss}`);
  }
  const root = mkdtempSync(join(tmpdir(), "tenon-tuned-"));
  try {
    const saved = join(root, "tuned");
    await student.save(saved);
    const ours = ask({ saved, texts: LINES });
    ours.vectors.forEach((vector, row) => {
      vector.forEach((value, j) => {
        const other = theirs.vectors[row]![j]!;
        assert.ok(Math.abs(value - other) < 2e-4, `text ${row}: ${value}, sentence-transformers ${other}`);
      });
    });
  } finally {
    rmSync(root, { recursive: true });
  }
});
