/** The soak in short: every kind of traffic is answered as it must be; and what the slope of memory is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { slope, soak } from "./soak.js";
import { GOOD, OTHERS } from "./traffic.js";

describe("soak", () => {
  const skip = process.platform === "linux" ? false : "reads /proc";
  it("mixed traffic: every kind is answered, nothing else happens, and the server ends with 0", {
    skip,
  }, async () => {
    const { defects, outcomes } = await soak({ minutes: 0.05, seed: 2 });
    assert.deepEqual(defects, []);
    for (const kind of Object.keys({ ...GOOD, ...OTHERS })) {
      assert.ok(
        [...outcomes.keys()].some((outcome) => outcome.startsWith(`${kind} `)),
        kind,
      );
    }
    assert.ok(outcomes.has("json right"));
  });

  it("the slope is that of the straight line; memory that grows has one", () => {
    assert.equal(
      slope([
        [0, 5],
        [1, 5],
        [2, 5],
      ]),
      0,
    );
    assert.equal(
      slope([
        [0, 1],
        [2, 5],
        [4, 9],
      ]),
      2,
    );
    const noise = Array.from({ length: 100 }, (_, i) => [i, 3 * i + (i % 2 === 0 ? 40 : -40)] as const);
    assert.ok(Math.abs(slope(noise) - 3) < 0.1);
    assert.ok(Number.isNaN(slope([[1, 1]])));
  });
});
