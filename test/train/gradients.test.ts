/** Every rule of the gradient table against central differences, first and second derivatives. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Engine } from "tenon/runtime";
import { buildCase, contractedGradients, differences } from "./gradcheck.js";
import { CASES } from "./gradient-cases.js";

describe("gradients against differences", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(() => engine.close());

  const ops = [...new Set(CASES.map(({ op }) => op))];
  for (const op of ops) {
    test(op, async () => {
      for (const [i, each] of CASES.entries()) {
        if (each.op !== op) continue;
        const { model, inputs, wrt } = buildCase(each, i + 1);
        const label = `${op} ${JSON.stringify(each.inputs)} ${JSON.stringify(each.attrs ?? {})}`;
        const [h, tolerance] = each.linear ? [0.5, 2e-5] : each.rough ? [0.01, 5e-3] : [1e-6, 1e-6];
        try {
          const first = await differences(engine, model, inputs, wrt, "loss", h, i);
          assert.ok(first < tolerance, `first derivative is off by ${first}`);
          if (each.once) continue;
          const second = contractedGradients(model, wrt, i + 7);
          const off = await differences(engine, second, inputs, wrt, "second", h, i);
          assert.ok(off < tolerance * 10, `second derivative is off by ${off}`);
        } catch (error) {
          throw new Error(`${label}: ${(error as Error).message} ${String((error as Error).cause ?? "")}`, {
            cause: error,
          });
        }
      }
    });
  }
});
