/** The example at a reduced size: it learns more than the frequencies of characters, and writes known ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { languageModel, trainLanguage, written } from "./language-model.js";
import { CHARACTERS, loadText } from "./text.js";

/** Nats a character of a model that knows how frequent each is. */
function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const each of text) counts.set(each, (counts.get(each) ?? 0) + 1);
  return [...counts.values()].reduce((sum, n) => sum - (n / text.length) * Math.log(n / text.length), 0);
}

test("a transformer learns from characters, and its export writes the same again", async () => {
  const text = loadText(40_000);
  const model = languageModel(1);
  const loss = await trainLanguage(model, text, { steps: 40, seed: 1, quiet: true });
  assert.ok(loss < entropy(text) - 0.2, `${loss} nats, frequencies alone ${entropy(text)}`);
  await using engine = await Engine.open({ cache: false });
  const loaded = await engine.load(writeModel(model.toOnnx()), { name: "writer" });
  const options = { length: 40, seed: 3, temperature: 0.8 };
  const [one, two] = [await written(loaded, "The ", options), await written(loaded, "The ", options)];
  assert.equal(one, two);
  assert.equal(one.length, 44);
  assert.ok([...one].every((character) => CHARACTERS.includes(character)));
});
