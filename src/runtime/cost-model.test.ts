/** CostModel against the measured curves of real models. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { CostModel, CostModels, type CostPoint } from "./cost-model.js";

const sizes = [1, 2, 4, 8, 16, 32, 64];
const curve = (perRow: readonly number[]): CostPoint[] =>
  perRow.map((ms, i) => ({ n: sizes[i]!, ms: ms * sizes[i]! }));
/** Milliseconds per row, measured. */
const MLP = curve([0.0215, 0.0107, 0.006, 0.0041, 0.003, 0.0026, 0.0024]);
const MLP1K = curve([0.147, 0.094, 0.07, 0.055, 0.073, 0.07, 0.069]);
const SQUEEZENET = curve([7.61, 7.38, 8.31, 8.54, 9.01, 9.54]);
const ENCODER = curve([21.2, 19, 18.6, 18.6, 19.3, 21.5]);

suite("cost model", () => {
  test("the knee is the smallest size within 15 % of the best time per row", () => {
    assert.equal(new CostModel(64, 0.05, MLP).knee, 32);
    assert.equal(new CostModel(64, 0.05, MLP1K).knee, 8);
    assert.equal(new CostModel(64, 0.05, SQUEEZENET).knee, 1);
    assert.equal(new CostModel(64, 0.05, ENCODER).knee, 1);
  });

  test("under backlog a heavy model takes the larger batch only where it gains", () => {
    const encoder = new CostModel(64, 0.05, ENCODER);
    assert.equal(encoder.best, 4);
    assert.equal(encoder.choose(32, 1, 2).rows, 4);
    assert.equal(new CostModel(64, 0.05, SQUEEZENET).choose(32, 2, 2).rows, 1);
  });

  test("heavy models spread over lanes, tiny ones share a run", () => {
    const two = new CostModel(64, 0.05, SQUEEZENET).choose(2, 2, 2);
    assert.deepEqual([two.lanes, two.rows], [2, 1]);
    const tiny = new CostModel(64, 0.5, MLP).choose(4, 2, 2);
    assert.deepEqual([tiny.lanes, tiny.rows], [1, 4]);
  });

  test("a learned hop changes the choice", () => {
    const cheap = new CostModel(64, 0.01, MLP1K).choose(16, 2, 2);
    const dear = new CostModel(64, 5, MLP1K).choose(8, 2, 2);
    assert.equal(cheap.lanes, 2);
    assert.equal(dear.lanes, 1);
  });

  test("predictions interpolate and extrapolate", () => {
    const model = new CostModel(64, 0, [
      { n: 1, ms: 10 },
      { n: 4, ms: 16 },
    ]);
    assert.equal(model.predict(1), 10);
    assert.equal(model.predict(2), 12);
    assert.equal(model.predict(8), 32);
    assert.equal(new CostModel(64).predict(3), 0);
  });

  test("learning follows a heavy model and ignores single pauses", () => {
    const model = new CostModel(8, 0, [
      { n: 1, ms: 10 },
      { n: 2, ms: 20 },
    ]);
    model.learn(1, 200);
    assert.equal(model.predict(1), 10);
    for (let i = 0; i < 60; i++) model.learn(1, 20);
    assert.ok(Math.abs(model.predict(1) - 20) < 0.1);
  });

  test("runs of a light model teach the hop, not the run", () => {
    const model = new CostModel(64, 0.05, MLP);
    for (let i = 0; i < 200; i++) model.learn(1, 0.0215 + 0.15);
    assert.ok(Math.abs(model.hopMs - 0.15) < 0.01);
    assert.equal(model.predict(1), 0.0215);
  });

  test("a curve that was measured on a busy machine heals", () => {
    const slow = new CostModel(
      64,
      0.05,
      MLP.map(({ n, ms }) => ({ n, ms: ms * 20 })),
    );
    for (let i = 0; i < 10; i++) slow.learn(1, 0.06);
    assert.ok(slow.predict(1) <= 0.06);
  });

  test("sizes that were measured wrong heal, where runs tell their own time", () => {
    const truth = new CostModel(64, 0.05, MLP);
    const wrong = MLP.map(({ n, ms }) => ({ n, ms: n < 4 ? ms : 40 * ms }));
    const model = new CostModel(64, 0.05, wrong);
    assert.equal(model.best, 2);
    for (let i = 0; i < 2000; i++) {
      const { rows } = model.choose(64, 1, 1);
      model.learn(rows, truth.predict(rows) + 0.15, truth.predict(rows));
    }
    assert.ok(model.best >= 32, `best is ${model.best}`);
    assert.ok(model.predict(64) < 1.1 * truth.predict(64));
    assert.ok(Math.abs(model.hopMs - 0.15) < 0.01);
  });

  test("a size that the calibration got wrong is tried again without a backlog that would fill it", () => {
    const wrong = MLP.map(({ n, ms }) => ({ n, ms: n > 16 ? 8 * ms : ms }));
    const model = new CostModel(64, 0.05, wrong);
    assert.equal(model.choose(32, 1, 2).rows, 16);
    model.learn(16, 0.2, MLP[4]!.ms);
    assert.equal(model.choose(32, 1, 2).rows, 32);
  });

  test("where runs tell their own time, waiting for the process is no reason against two batches side by side", () => {
    const model = new CostModel(
      64,
      0.3,
      MLP.map(({ n, ms }) => ({ n, ms: ms + 0.06 })),
    );
    assert.deepEqual([model.choose(64, 2, 2).lanes, model.choose(64, 2, 2).rows], [1, 64]);
    model.learn(64, 0.6, 0.2136);
    assert.deepEqual([model.choose(64, 2, 2).lanes, model.choose(64, 2, 2).rows], [2, 32]);
    assert.equal(model.choose(8, 2, 2).lanes, 1);
  });

  test("a run's own time counts little when it is longer than before, and not at all when it is a pause", () => {
    const model = new CostModel(64, 0.05, MLP);
    const before = model.predict(64);
    model.learn(64, 100, 0.9);
    assert.equal(model.predict(64), before);
    model.learn(64, 1, 2 * before);
    assert.ok(model.predict(64) > before && model.predict(64) < 1.05 * before);
  });

  test("a calibration that was cut short is completed by assumption", () => {
    const model = new CostModel(64, 0.05);
    model.calibrate(1, 0.4);
    model.complete();
    assert.equal(model.points().length, 7);
    assert.equal(model.knee, 4);
  });

  test("the cold first run is forgotten", () => {
    const model = new CostModel(64, 0.05);
    model.learn(1, 300);
    model.learn(1, 12);
    assert.ok(model.predict(1) < 13);
  });

  test("a choice always starts something and never exceeds its bounds", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 64 }),
        (waiting, free, maxRows) => {
          const choice = new CostModel(maxRows, 0.05, MLP).choose(waiting, free, free);
          assert.ok(choice.lanes >= 1 && choice.lanes <= free);
          assert.ok(choice.rows >= 1 && choice.rows <= Math.min(maxRows, waiting));
        },
      ),
    );
  });

  test("shapes have costs of their own and are bounded in number", () => {
    const models = new CostModels(8, 0.05);
    models.of("8,;").learn(1, 3);
    assert.equal(models.of("64,;").known, false);
    for (let i = 0; i < 1000; i++) models.of(String(i));
    assert.ok([...models.entries()].length <= 64);
  });
});
