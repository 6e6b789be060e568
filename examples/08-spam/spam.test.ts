/** The example at a tenth of its size: it learns, and knows headers from bodies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { spamClassifier, trainSpam } from "./classifier.js";
import { encoded, LENGTH, loadMails, tokensOf, vocabularyOf } from "./mails.js";

test("a classifier learns to tell spam from the bodies of mails", async () => {
  const { train, test: held } = loadMails(0.1);
  assert.ok(train.length > 450 && held.length > 110, `${train.length} ${held.length}`);
  assert.ok(!train.some(({ body }) => body.startsWith("Return-Path:") || body.startsWith("Received:")));
  assert.deepEqual(tokensOf("FREE offers: 100% off! a Ab\n$5"), [
    "free",
    "offers",
    "%",
    "off",
    "!",
    "ab",
    "$",
  ]);
  const vocabulary = vocabularyOf(train);
  const data = { train: encoded(train, vocabulary), test: encoded(held, vocabulary) };
  assert.deepEqual(data.train.ids.shape, [train.length, LENGTH]);
  const accuracy = await trainSpam(spamClassifier(1), data, { epochs: 6, seed: 1, quiet: true });
  const share = held.filter(({ isSpam }) => !isSpam).length / held.length;
  assert.ok(accuracy > share + 0.12, `accuracy ${accuracy}, of which ${share} is no spam`);
});
