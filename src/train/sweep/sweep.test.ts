/** Search spaces: seeded draws within their ranges, each parameter by itself. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { between, drawTrial, logBetween, oneOf, trialSeed, wholeBetween } from "./space.js";
import { defineSweep } from "./sweep.js";

const space = {
  lr: logBetween(1e-4, 1e-1),
  rate: between(0, 0.5),
  layers: wholeBetween(1, 3),
  kind: oneOf("adam", "lion"),
};

describe("a search space", () => {
  test("draws within its ranges, evenly, and the same again", () => {
    const trials = Array.from({ length: 2000 }, (_, i) => drawTrial(space, 7, i));
    assert.deepEqual(trials[5], drawTrial(space, 7, 5));
    assert.notDeepEqual(trials[5], drawTrial(space, 8, 5));
    const share = (is: (each: (typeof trials)[number]) => boolean): number =>
      trials.filter(is).length / trials.length;
    assert.ok(trials.every(({ lr, rate }) => lr >= 1e-4 && lr < 0.1 && rate >= 0 && rate < 0.5));
    for (const [found, wanted] of [
      [share(({ lr }) => lr < 1e-3), 1 / 3],
      [share(({ rate }) => rate < 0.1), 0.2],
      [share(({ layers }) => layers === 3), 1 / 3],
      [share(({ kind }) => kind === "adam"), 1 / 2],
    ] as const)
      assert.ok(Math.abs(found - wanted) < 0.04, `${found}, not ${wanted}`);
    assert.equal(new Set(trials.map(({ layers }) => layers)).size, 3);
    assert.notEqual(trialSeed(7, 0), trialSeed(7, 1));
  });

  test("draws a parameter alike whatever others there are", () => {
    const { lr } = drawTrial({ lr: space.lr, other: between(0, 1) }, 7, 3);
    assert.equal(lr, drawTrial(space, 7, 3).lr);
  });

  test("is refused where a range or a name is none", () => {
    for (const wrong of [
      () => between(1, 0),
      () => logBetween(0, 1),
      () => wholeBetween(0.5, 2),
      () => oneOf(),
    ])
      assert.throws(wrong, { code: "USAGE" });
    const trial = (): { loss: number } => ({ loss: 0 });
    const metrics = { loss: "lower" } as const;
    assert.equal(defineSweep({ space, metrics, trial }).space, space);
    for (const names of [{ seed: between(0, 1) }, { loss: between(0, 1) }, { "a b": between(0, 1) }, {}])
      assert.throws(() => defineSweep({ space: names, metrics, trial }), { code: "USAGE" });
  });
});
