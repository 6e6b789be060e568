/** A run that others end: trains a small model with dropout into a folder, and says each step and checkpoint on stdout. */
import { tensorFromStorage } from "tenon/tensor";
import { adamw, crossEntropy, define, dropout, fit, float32, int64, linear, relu } from "tenon/train";

const dir = process.argv[2]!;
const [ROWS, WIDTH] = [48, 6];

const values = (count: number, factor: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * factor));

const model = define(
  { x: float32(["batch", WIDTH]), y: int64(["batch"]) },
  (_, { x }) => linear(dropout(relu(linear(x, 16)), 0.3), 3),
  { seed: 4 },
);
await using step = await model.compile({
  loss: (_, out, { y }) => crossEntropy(out.output!, y!),
  optimizer: adamw({ lr: 0.01 }),
  clipNorm: 1,
  average: 0.9,
  seed: 5,
  threads: 1,
});
const data = {
  x: tensorFromStorage("float32", [ROWS, WIDTH], values(ROWS * WIDTH, 1.7)),
  y: tensorFromStorage(
    "int64",
    [ROWS],
    BigInt64Array.from({ length: ROWS }, (_, i) => BigInt((i * 7) % 3)),
  ),
};
const run = fit(step, data, {
  epochs: 5,
  batch: 10,
  resume: true,
  evaluate: { data, every: 7 },
  checkpoint: { dir, every: 3, keep: 2 },
});
for await (const event of run) process.stdout.write(`${event.type} ${event.step}\n`);
