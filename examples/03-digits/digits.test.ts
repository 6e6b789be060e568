/** The example at a reduced size: it learns, and the served export gives the scores of the trained model. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Engine } from "tenon/runtime";
import { serve } from "tenon/serve";
import { crossEntropy, sgd } from "tenon/train";
import { best, classify } from "./classify.js";
import { loadDigits } from "./digits.js";
import { drawDigit, readDigit } from "./drawing.js";
import { digitNetwork, trainDigits } from "./network.js";

test("a network learns digits, is exported, served, and reads drawn ones", async () => {
  const data = loadDigits(0.1);
  const model = digitNetwork(1);
  const accuracy = await trainDigits(model, data, { epochs: 3, seed: 1, quiet: true });
  assert.ok(accuracy > 0.75, String(accuracy));
  const folder = await mkdtemp(join(tmpdir(), "tenon-digits-"));
  try {
    const file = join(folder, "digits.onnx");
    await model.save(file);
    await using engine = await Engine.open({ cache: false });
    await engine.load(file, { name: "digits" });
    const server = await serve(engine, { port: 0 });
    try {
      await using step = await model.compile({
        loss: (_, out, batch) => crossEntropy(out.scores!, batch.digit!),
        optimizer: sgd(),
      });
      let right = 0;
      for (let digit = 0; digit < 10; digit++) {
        const image = await readDigit(await drawDigit(digit));
        const scores = await classify(server.url, image);
        const { outputs } = await step.evaluate({ image, digit: BigInt64Array.of(BigInt(digit)) });
        scores.forEach((score, i) => {
          assert.ok(Math.abs(score - Number(outputs.scores!.at(0, i))) < 1e-4);
        });
        right += Number(best(scores) === digit);
      }
      assert.ok(right >= 5, `${right} of 10 drawn digits are read`);
    } finally {
      await server.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
