/** Trains a classifier of mails, exports it, and judges mails with the export. Usage: main.js [--epochs 8] [--seed 1] [--share 1] */
import { parseArgs } from "node:util";
import { writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { softmax } from "tenon/tensor";
import { spamClassifier, trainSpam } from "./classifier.js";
import { encoded, loadMails, vocabularyOf } from "./mails.js";

const { values } = parseArgs({
  options: {
    epochs: { type: "string", default: "8" },
    seed: { type: "string", default: "1" },
    share: { type: "string", default: "1" },
  },
});

const mails = loadMails(Number(values.share));
const vocabulary = vocabularyOf(mails.train);
const data = { train: encoded(mails.train, vocabulary), test: encoded(mails.test, vocabulary) };
console.log(
  `${mails.train.length} mails to train on, ${mails.test.length} to test with, ${vocabulary.size} words`,
);
const model = spamClassifier(Number(values.seed));
const accuracy = await trainSpam(model, data, { epochs: Number(values.epochs), seed: Number(values.seed) });
console.log(`accuracy ${accuracy.toFixed(4)}`);

await using engine = await Engine.open({ cache: false });
const classifier = await engine.load(writeModel(model.toOnnx()), { name: "spam" });
const texts = [
  "Congratulations! You have been selected for a free offer. Click here now, 100% guaranteed, no risk!",
  "The patch for the parser is attached; could someone review the test before I commit it on Monday?",
];
const { ids } = encoded(
  texts.map((body) => ({ body, isSpam: false })),
  vocabulary,
);
const { scores } = await classifier.run({ ids });
const chances = softmax(scores!, { axis: 1 });
texts.forEach(
  (text, row) => void console.log(`${Number(chances.at(row, 1)).toFixed(3)}  ${text.slice(0, 60)}…`),
);
