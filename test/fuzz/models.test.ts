/** Mutated models through reader and preflight: read or refused with an error of ours, never anything else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTenonError } from "tenon/base";
import { preflight, readModel, refusal } from "tenon/onnx";
import { seededRandom } from "../support/random.js";
import { mutant } from "./mutate.js";
import { ownSeeds } from "./seeds.js";
import { encode, parseModel } from "./tree.js";

test("the fuzzer writes what it has read", () => {
  for (const model of ownSeeds().models) {
    const bytes = encode(model);
    assert.deepEqual(encode(parseModel(bytes)), bytes);
  }
});

test("mutated models are read or refused", { timeout: 60_000 }, async () => {
  const seeds = ownSeeds();
  const random = seededRandom(20);
  const counts = { passed: 0, refused: 0, unreadable: 0 };
  for (let round = 0; round < 3000; round++) {
    const bytes = mutant(seeds, random);
    try {
      const model = await readModel(bytes);
      counts[refusal(preflight(model, { trust: "untrusted" })) === undefined ? "passed" : "refused"]++;
    } catch (error) {
      assert.ok(isTenonError(error), `mutant ${round}: ${(error as Error).stack}`);
      assert.notEqual(error.code, "INTERNAL", `mutant ${round}: ${error.stack}`);
      counts.unreadable++;
    }
  }
  // A fuzzer whose mutants all end one way finds nothing.
  for (const [outcome, count] of Object.entries(counts)) assert.ok(count > 200, `${outcome}: ${count}`);
});
