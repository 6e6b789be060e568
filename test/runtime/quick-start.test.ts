/** A model that answers as it is while its compiled form is made: the change over, leases, unloading and closing in between. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Engine, type Model } from "tenon";
import { isTenonError } from "tenon/base";
import { graph } from "tenon/onnx";
import { type Tensor, tensor } from "tenon/tensor";
import { addModel, identityModel } from "../support/small-models.js";

for (const isolation of ["inline", "process"] as const)
  describe(`quick start, ${isolation}`, () => {
    let cache: string;
    let engine: Engine;
    before(async () => {
      cache = mkdtempSync(join(tmpdir(), "tenon-quick-"));
      engine = await Engine.open({ cache, isolation });
    });
    after(async () => {
      await engine.close();
      rmSync(cache, { recursive: true });
    });

    /** Batches are what the first form does not make. */
    async function takenOver(model: Model): Promise<void> {
      while (model.maxBatch === 0) await sleep(20);
    }

    it("answers at once, then from the compiled model, through the same handle", async () => {
      const model = await engine.load(identityModel("float32"), { name: "twice", quickStart: true });
      assert.equal(model.maxBatch, 0);
      const run = async (): Promise<unknown> =>
        (await model.run({ x: tensor([[1, 2, 3]]) }, { outputs: ["y"] })).y!.toArray();
      assert.deepEqual(await run(), [[1, 2, 3]]);
      const held = await model.lease(1);
      (held.inputs.x as Tensor<"float32">).data.set([4, 5, 6]);
      while (model.maxBatch === 0) assert.deepEqual(await run(), [[1, 2, 3]]);
      assert.deepEqual(await run(), [[1, 2, 3]]);
      assert.notEqual(engine.get("twice"), model);
      await held.run();
      assert.deepEqual(held.outputs.y!.toArray(), [[4, 5, 6]]);
      held.release();
      if (isolation === "inline")
        assert.deepEqual(model.runSync({ x: tensor([[7, 8, 9]]) }).y!.toArray(), [[7, 8, 9]]);
      await model.unload();
      assert.deepEqual(engine.models(), []);
      await assert.rejects(run(), (error) => isTenonError(error, "ENGINE_CLOSED"));

      await using again = await engine.load(identityModel("float32"), { name: "twice", quickStart: true });
      assert.ok(again.maxBatch > 0 && again.profile.cacheHit);
    });

    it("multiplies by transposed weights as they lie", async () => {
      const g = graph();
      const x = g.input("x", "float32", ["batch", 2, 3]);
      const w = g.initializer(
        "w",
        tensor(
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
          { dtype: "float32" },
        ),
      );
      g.output(g.add("MatMul", [x, g.add("Transpose", [w])]), "y");
      const model = await engine.load(g.model(), { name: "transposed", quickStart: true });
      const run = async (): Promise<unknown> =>
        (
          await model.run({
            x: tensor([
              [
                [1, 0, 0],
                [1, 1, 2],
              ],
            ]),
          })
        ).y!.toArray();
      assert.deepEqual(await run(), [
        [
          [1, 4],
          [9, 21],
        ],
      ]);
      await takenOver(model);
      assert.deepEqual(await run(), [
        [
          [1, 4],
          [9, 21],
        ],
      ]);
      await model.unload();
    });

    it("can be unloaded or replaced before the compiled model is ready", async () => {
      const gone = await engine.load(addModel(), { name: "gone", quickStart: true });
      await gone.unload();
      assert.deepEqual(engine.models(), []);
      const first = await engine.load(identityModel("int32"), { name: "changed", quickStart: true });
      await using other = await engine.load(identityModel("int64"), { name: "changed", replace: true });
      assert.ok(first.unloaded);
      assert.equal(engine.get("changed"), other);
    });

    it("ends with its engine", async () => {
      const brief = await Engine.open({ cache, isolation });
      const model = await brief.load(identityModel("uint8"), { name: "brief", quickStart: true });
      await brief.close();
      assert.ok(model.unloaded);
      const later = await Engine.open({ cache, isolation });
      await takenOver(await later.load(identityModel("int8"), { name: "later", quickStart: true }));
      await later.close();
    });
  });
