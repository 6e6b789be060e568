/** Many steps in one run: the bits of single runs, masks and rates included; what does not fit is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tensor } from "../../tensor/index.js";
import { dense, dropout } from "../layers/dense.js";
import { batchNorm } from "../layers/norm.js";
import { crossEntropy, mse } from "../losses.js";
import { define, float32, int64 } from "../model/definition.js";
import { relu } from "../model/ops.js";
import type { TrainableModel } from "../model/trainable.js";
import type { Optimizer } from "../optimizers/optimizer.js";
import { adam, adamw, lamb, lion, sgd } from "../optimizers/rows.js";
import { fillUniform } from "../random.js";
import type { Batch } from "./batch.js";
import type { LossFunction } from "./options.js";

const make = (): TrainableModel =>
  define(
    { x: float32(["batch", 5]), y: int64(["batch"]) },
    (_, { x }) => dense(dropout(relu(dense(x, 7)), 0.3), 3),
    { seed: 4 },
  );
const loss: LossFunction = (_, out, { y }) => crossEntropy(out.output!, y!);

function batchOf(key: number, rows = 6): { readonly x: Float32Array; readonly y: BigInt64Array } {
  const x = new Float32Array(rows * 5);
  fillUniform(x, key, -1, 1);
  return { x, y: BigInt64Array.from({ length: rows }, (_, i) => BigInt((i + key) % 3)) };
}

describe("many steps in one run", () => {
  const cases: readonly { readonly optimizer: Optimizer; readonly clipNorm?: number }[] = [
    { optimizer: adamw({ lr: 0.02 }) },
    { optimizer: lion() },
    { optimizer: sgd({ lr: 0.1 }) },
    { optimizer: adam({ lr: 0.01 }), clipNorm: 0.4 },
  ];
  for (const { optimizer, clipNorm } of cases) {
    test(`${optimizer.name}${clipNorm === undefined ? " gives the bits" : ", clipped, gives the numbers"} of single runs`, async () => {
      const options = {
        loss,
        optimizer,
        seed: 5,
        threads: 1,
        ...(clipNorm === undefined ? {} : { clipNorm }),
      };
      const [one, many] = [make(), make()];
      await using single = await one.compile(options);
      await using together = await many.compile(options);
      for (const from of [0, 4]) {
        const batches = [0, 1, 2, 3].map((i) => batchOf(from + i));
        const rates = [0, 1, 2, 3].map((i) => 1 / (from + i + 1));
        const found = await together.runMany(batches, { rates });
        for (const [i, batch] of batches.entries()) {
          const expected = await single.run(batch, { rate: rates[i]! });
          const { gradNorm: _, ...rest } = expected;
          const { gradNorm, ...other } = found[i]!;
          assert.ok(Number.isNaN(gradNorm));
          if (clipNorm === undefined) assert.deepEqual(other, rest);
          else assert.ok(Math.abs(other.loss - rest.loss) < 1e-6);
        }
        // The two ways may follow each other.
        await Promise.all([single.run(batchOf(99)), together.run(batchOf(99))]);
      }
      assert.deepEqual(together.counters, single.counters);
      for (const section of ["p", ...optimizer.state]) {
        const [a, b] = [single.memory.section(section), together.memory.section(section)];
        if (clipNorm === undefined) assert.deepEqual(a, b, section);
        else a.forEach((value, i) => void assert.ok(Math.abs(value - b[i]!) < 1e-5, section));
      }
    });
  }

  test("leaves out an update that is not finite, as single runs do", async () => {
    const options = {
      loss: ((_, out, { y }) => mse(out.output!, y!)) as LossFunction,
      optimizer: sgd({ lr: 0.1 }),
    };
    const linear = (): TrainableModel =>
      define({ x: float32(["batch", 2]), y: float32(["batch", 1]) }, (_, { x }) => dense(x, 1));
    const [one, many] = [linear(), linear()];
    await using single = await one.compile(options);
    await using together = await many.compile(options);
    const given = [1, Number.NaN, 3].map((y) => ({ x: Float32Array.of(1, 2), y: tensor([[y]]) }));
    const found = await together.runMany(given);
    assert.deepEqual(
      found.map(({ applied, step }) => [applied, step]),
      [
        [true, 1],
        [false, 1],
        [true, 2],
      ],
    );
    for (const batch of given) await single.run(batch);
    assert.deepEqual(together.memory.section("p"), single.memory.section("p"));
    assert.deepEqual(await together.runMany([]), []);
  });

  test("refuses what does not fit one run", async () => {
    const refused = async (
      options: object,
      batches: readonly Batch[],
      code: string,
      model = make(),
    ): Promise<void> => {
      await using step = await model.compile({ loss, optimizer: adamw(), ...options });
      await assert.rejects(step.runMany(batches), { code });
    };
    await refused({}, [batchOf(1), batchOf(2, 4)], "USAGE");
    await refused({ accumulate: 2 }, [batchOf(1), batchOf(2)], "USAGE");
    await refused({ average: 0.9 }, [batchOf(1)], "USAGE");
    await refused({ optimizer: lamb() }, [batchOf(1)], "MODEL_UNSUPPORTED");
    const normed = define({ x: float32(["batch", 5]), y: int64(["batch"]) }, (_, { x }) =>
      batchNorm(dense(x, 3)),
    );
    await refused({}, [batchOf(1)], "MODEL_UNSUPPORTED", normed);
  });
});
