/** Trains a small transformer on the characters of mails and has it write. Usage: main.js [--steps 1500] [--seed 1] [--characters 400000] */
import { parseArgs } from "node:util";
import { writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { languageModel, trainLanguage, written } from "./language-model.js";
import { loadText } from "./text.js";

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "1500" },
    seed: { type: "string", default: "1" },
    characters: { type: "string", default: "400000" },
  },
});
const seed = Number(values.seed);
const text = loadText(Number(values.characters));
const model = languageModel(seed);
console.log(`${text.length} characters, ${model.parameterCount} weights`);
const loss = await trainLanguage(model, text, { steps: Number(values.steps), seed });
console.log(`on text that was kept apart: ${loss.toFixed(3)} nats a character`);

await using engine = await Engine.open({ cache: false });
const loaded = await engine.load(writeModel(model.toOnnx()), { name: "writer" });
console.log(await written(loaded, "I think that ", { length: 400, seed, temperature: 0.7 }));
