/** The shared models: each is read, checked, described, written and read again to the same. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import {
  check,
  describe,
  dropZipMap,
  print,
  readModel,
  removeDead,
  run,
  stripEmpties,
  writeModel,
} from "tenon/onnx";

const folder = resolve(import.meta.dirname, "../../../../shared/models");
const models = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".onnx"))
  .sort();

test("there are models to read", () => assert.ok(models.length > 0));

for (const file of models) {
  test(`${file} round-trips`, async () => {
    const model = await readModel(join(folder, file));
    check(model);
    const written = writeModel(model);
    const again = await readModel(written);
    assert.equal(print(again), print(run(model, [stripEmpties])));
    assert.deepEqual(describe(again), describe(model));
    assert.deepEqual(writeModel(again), written);
    run(model, [stripEmpties, removeDead]);
  });
}

test("classifiers give scores and labels instead of maps", async () => {
  for (const file of models.filter((name) => name.startsWith("tabular"))) {
    const { model, labels } = dropZipMap(await readModel(join(folder, file)));
    assert.ok(labels.size > 0, file);
    for (const [name, classes] of labels) {
      const output = model.graph.outputs.find((value) => value.name === name);
      assert.ok(output?.type?.kind === "tensor" && output.type.dtype === "float32", file);
      assert.equal(output.type.shape?.[1], classes.length);
    }
  }
});
