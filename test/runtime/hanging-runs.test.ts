/** Runs that hang: a model is served beside those of others, and no run whose length a request decides blocks the event loop. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { Engine, type Tensor } from "tenon";
import { isTenonError } from "tenon/base";
import { tensorFromStorage, zeros } from "tenon/tensor";
import { until } from "../support/processes.js";
import { addModel, longLoopModel } from "../support/small-models.js";

const FOR_EVER = 2n ** 40n;
/** Turns that take some seconds, after which a run that was not stopped ends well. */
const SECONDS = 300_000n;

suite("runs that hang", () => {
  const cache = mkdtempSync(join(tmpdir(), "tenon-hanging-"));
  after(() => rmSync(cache, { recursive: true, force: true }));
  const rounds = (n: bigint): Tensor => tensorFromStorage("int64", [], BigInt64Array.of(n));
  const x = zeros("float32", [64, 64]);
  const row = zeros("float32", [1, 4]);
  const isCancelled = (error: unknown): boolean => isTenonError(error) && error.code === "CANCELLED";

  test("hold all lanes of the engine, and others' requests still run, in processes of their own", {
    skip: process.platform === "linux" ? false : "models run in this process",
  }, async () => {
    await using engine = await Engine.open({ cache, isolation: "process", lanes: 1 });
    await using loop = await engine.load(longLoopModel(), { name: "loop", calibrate: false });
    await using add = await engine.load(addModel(), { name: "add", calibrate: false });
    const controller = new AbortController();
    const hanging = Array.from({ length: 4 }, () =>
      loop.run({ rounds: rounds(FOR_EVER), x }, { signal: controller.signal }),
    );
    let ended = 0;
    for (const run of hanging) run.catch(() => undefined).finally(() => ended++);
    try {
      for (let i = 0; i < 5; i++) {
        const { sum } = await add.run({ a: row, b: row }, { deadlineMs: 10_000 });
        assert.deepEqual(sum!.shape, [1, 4]);
      }
      assert.equal(ended, 0);
    } finally {
      controller.abort();
    }
    for (const run of hanging) await assert.rejects(run, isCancelled);
  });

  test("leave the event loop free, however short those were that it was measured with", async () => {
    await using engine = await Engine.open({ cache, isolation: "inline" });
    await using loop = await engine.load(longLoopModel(), { name: "loop" });
    assert.ok(await until(() => loop.profile.cost.some(({ points }) => points.length > 0)));
    await loop.run({ rounds: rounds(1n), x });
    const stop = AbortSignal.timeout(50);
    await assert.rejects(loop.run({ rounds: rounds(SECONDS), x }, { signal: stop }), isCancelled);
  });
});
