/** Models with rules for batches: what runs together, what is refused, and in which order answers come. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Engine, type ExplicitBatching, type Model, type RunOptions } from "tenon/runtime";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import { addModel, longLoopModel } from "../support/small-models.js";

const RULES: ExplicitBatching = {
  preferred: [],
  maxDelayMs: 0,
  levels: 0,
  defaultLevel: 0,
  policy: { action: "reject", timeoutMs: 0, allowOverride: false, maxQueue: 0 },
  policies: new Map(),
  preserveOrdering: false,
};

const row = (value: number, rows = 1): Tensor =>
  tensorFromStorage("float32", [rows, 4], new Float32Array(4 * rows).fill(value));

suite("batches by rules", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 2 });
  });
  after(() => engine.close());

  const load = (name: string, rules: Partial<ExplicitBatching>, instances = 1): Promise<Model> =>
    engine.load(addModel(), {
      name,
      calibrate: false,
      batch: { max: 8, explicit: { ...RULES, ...rules } },
      instances,
    });
  const runAll = (model: Model, options: readonly RunOptions[]): Promise<unknown>[] =>
    options.map(async (each, i) => {
      using outputs = await model.run({ a: row(i), b: row(1) }, each);
      assert.deepEqual(outputs.sum!.toArray(), [[i + 1, i + 1, i + 1, i + 1]]);
    });
  const sizes = (model: Model): number[] => model.explain().map(({ n }) => n);

  test("what arrives in one turn is cut as the rules say, and each gets its own rows", async () => {
    await using plain = await load("plain", {});
    await Promise.all(runAll(plain, new Array<RunOptions>(10).fill({})));
    assert.deepEqual(sizes(plain), [8, 2]);
    assert.deepEqual(
      plain.explain().map(({ reason }) => reason),
      ["rules", "rules"],
    );
    await using preferred = await load("preferred", { preferred: [4] });
    await Promise.all(runAll(preferred, new Array<RunOptions>(10).fill({})));
    assert.deepEqual(sizes(preferred), [4, 4, 2]);
  });

  test("a level is full, and others are not", async () => {
    const policies = new Map([[2, { ...RULES.policy, maxQueue: 2 }]]);
    await using model = await load("full", { levels: 2, defaultLevel: 1, policies });
    const low = { queue: { level: 2 } };
    const settled = await Promise.allSettled(runAll(model, [low, low, low, {}, {}, {}]));
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled", "fulfilled"],
    );
    assert.equal((settled[2] as PromiseRejectedResult).reason.code, "QUEUE_FULL");
  });

  test("a request that waits too long behind a busy instance is refused while that runs", async () => {
    await using model = await engine.load(longLoopModel(), {
      name: "busy",
      calibrate: false,
      batch: { max: 1, explicit: { ...RULES, policy: { ...RULES.policy, timeoutMs: 20 } } },
      instances: 1,
    });
    const inputs = (rounds: bigint): Record<string, Tensor> => ({
      rounds: tensorFromStorage("int64", [], BigInt64Array.of(rounds)),
      x: tensorFromStorage("float32", [64, 64], new Float32Array(64 * 64)),
    });
    const stop = new AbortController();
    const first = model.run(inputs(1n << 40n), { signal: stop.signal });
    await assert.rejects(model.run(inputs(1n)), { code: "QUEUE_TIMEOUT" });
    stop.abort();
    await assert.rejects(first, { code: "CANCELLED" });
  });

  test("answers keep the order of their requests where the rules say so", async () => {
    await using model = await engine.load(longLoopModel(), {
      name: "ordered",
      calibrate: false,
      batch: { max: 1, explicit: { ...RULES, preserveOrdering: true } },
      instances: 2,
    });
    const order: number[] = [];
    await Promise.all(
      [3000n, 1n, 1n].map(async (rounds, i) => {
        using _ = await model.run({
          rounds: tensorFromStorage("int64", [], BigInt64Array.of(rounds)),
          x: tensorFromStorage("float32", [64, 64], new Float32Array(64 * 64)),
        });
        order.push(i);
      }),
    );
    assert.deepEqual(order, [0, 1, 2]);
  });

  test("what prepares a model can refuse it", async () => {
    const refused = engine.load(addModel(), {
      name: "unprepared",
      prepare: async (model) => {
        using _ = await model.run({ a: row(1), b: row(1) });
        throw new Error("not good");
      },
    });
    await assert.rejects(refused, /could not be loaded/);
    assert.throws(() => engine.get("unprepared"), { code: "MODEL_NOT_FOUND" });
  });
});
