/** Every official test model: read, checked, written, read again; Python's onnx sees the same model in both files. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { check, describe, print, readModel, removeDead, run, stripEmpties, writeModel } from "tenon/onnx";
import { modelsOf, runPython, SUITES } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/onnx_same.py");

for (const [suite, count] of Object.entries(SUITES) as [keyof typeof SUITES, number][]) {
  test(`${suite}: all ${count} models keep their meaning`, async () => {
    const models = modelsOf(suite);
    assert.equal(models.length, count);
    const folder = mkdtempSync(join(tmpdir(), "tenon-onnx-"));
    try {
      const pairs: string[] = [];
      for (const [i, path] of models.entries()) {
        const model = await readModel(path);
        const written = writeModel(model);
        const again = await readModel(written);
        assert.deepEqual(writeModel(again), written, `${path}: a second writing differs`);
        assert.equal(print(again), print(run(model, [stripEmpties])), `${path}: the printed graphs differ`);
        assert.deepEqual(describe(again), describe(model), `${path}: the descriptions differ`);
        const fromBytes = await readModel(new Uint8Array(readFileSync(path)));
        assert.deepEqual(writeModel(fromBytes), written, `${path}: bytes and file differ`);
        const target = join(folder, `${i}.onnx`);
        writeFileSync(target, written);
        pairs.push(`${path}\t${target}\n`);
      }
      assert.equal(runPython([script], pairs.join("")), `compared ${count}\n`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test(`${suite}: the check finds nothing wrong, nor behind the passes`, async () => {
    const complaints: string[] = [];
    for (const path of modelsOf(suite)) {
      try {
        const model = await readModel(path);
        check(model);
        run(model, [stripEmpties, removeDead]);
      } catch (error) {
        complaints.push(`${path.slice(path.indexOf(suite))}: ${(error as Error).message}`);
      }
    }
    assert.deepEqual(complaints, []);
  });
}
