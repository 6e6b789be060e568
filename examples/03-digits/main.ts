/** Trains a network on digits, exports it, serves it, and has it read drawn digits (or the pictures named) over HTTP. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Engine } from "tenon/runtime";
import { serve } from "tenon/serve";
import { best, classify } from "./classify.js";
import { loadDigits } from "./digits.js";
import { drawDigit, readDigit } from "./drawing.js";
import { digitNetwork, trainDigits } from "./network.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    out: { type: "string" },
  },
});

const data = loadDigits();
console.log(`${data.train.digit.size} digits to train on, ${data.test.digit.size} to test with`);
const model = digitNetwork(Number(values.seed));
const accuracy = await trainDigits(model, data, { epochs: Number(values.epochs), seed: Number(values.seed) });
console.log(`accuracy ${accuracy.toFixed(4)}`);

const folder = await mkdtemp(join(tmpdir(), "tenon-digits-"));
try {
  const file = values.out ?? join(folder, "digits.onnx");
  await model.save(file);
  await using engine = await Engine.open({ cache: false });
  await engine.load(file, { name: "digits" });
  const server = await serve(engine, { port: 0 });
  try {
    const pictures =
      positionals.length > 0 ? positionals : await Promise.all([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(drawDigit));
    for (const [i, picture] of pictures.entries()) {
      const found = best(await classify(server.url, await readDigit(picture)));
      console.log(`${typeof picture === "string" ? picture : `a drawn ${i}`}: ${found}`);
    }
  } finally {
    await server.close();
  }
} finally {
  await rm(folder, { recursive: true });
}
