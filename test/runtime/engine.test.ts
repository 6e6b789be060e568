/** Engine and Model on real models: values, dtypes, batching, cancellation, deadlines, sharing, closing. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Engine, type Outputs, TenonError, type Tensor } from "tenon";
import { graph, saveModel, writeModel } from "tenon/onnx";
import { DTYPES, type DType, tensor, tensorFromStorage, zeros } from "tenon/tensor";
import {
  addModel,
  droppingModel,
  identityModel,
  longLoopModel,
  nonZeroModel,
  rowMixingModel,
  twoOutputsModel,
} from "../support/small-models.js";

for (const isolation of ["inline", "process"] as const)
  suite(`engine, ${isolation}`, () => {
    const inline = isolation === "inline";
    const cache = mkdtempSync(join(tmpdir(), "tenon-test-"));
    let engine: Engine;
    before(async () => {
      engine = await Engine.open({ cache, isolation });
    });
    after(async () => {
      await engine.close();
      rmSync(cache, { recursive: true, force: true });
    });

    const code =
      (expected: string) =>
      (error: unknown): boolean => {
        assert.ok(error instanceof TenonError, String(error));
        assert.equal(error.code, expected, error.message);
        return true;
      };
    const floats = (...values: number[]): Tensor =>
      tensorFromStorage("float32", [1, values.length], Float32Array.from(values));
    const eye = (): Tensor =>
      tensorFromStorage(
        "float32",
        [64, 64],
        Float32Array.from({ length: 4096 }, (_, i) => (i % 65 === 0 ? 1 : 0)),
      );
    const rounds = (n: number): Tensor => tensorFromStorage("int64", [], BigInt64Array.of(BigInt(n)));
    const row = (outputs: Outputs, name: string): unknown => outputs[name]!.toArray();

    suite("running", () => {
      const notOnTheCpu: ReadonlySet<DType> = new Set([
        "float8e8m0",
        "float6e2m3",
        "float6e3m2",
        "float4e2m1",
        "int2",
        "int4",
        "uint4",
        "uint2",
        "complex64",
        "complex128",
      ]);
      // A process for each of them would cost seconds.
      let shared: Engine;
      before(async () => {
        shared = inline ? engine : await Engine.open({ cache, isolation: "group" });
      });
      after(() => (inline ? undefined : shared.close()));
      for (const dtype of Object.keys(DTYPES).filter((name) => !notOnTheCpu.has(name as DType)) as DType[]) {
        test(`${dtype} goes in and comes out unchanged`, async () => {
          await using model = await shared.load(identityModel(dtype, [2, 4]), { name: `identity-${dtype}` });
          let x: Tensor = zeros(dtype, [2, 4]);
          if (dtype === "string")
            x = tensor([
              ["a", "", "é", "\0"],
              ["zwölf", "z", "日本", "b"],
            ]);
          else
            x.bytes.forEach(
              (_, i, bytes) => void (bytes[i] = dtype === "bool" ? i & 1 : (i * 37 + 1) & 0x7f),
            );
          const runs = [await model.run({ x }), await model.run({ x })];
          if (inline) runs.push(model.runSync({ x }));
          for (const { y } of runs as unknown as { y: Tensor }[]) {
            assert.equal(y.dtype, dtype);
            assert.deepEqual(y.shape, [2, 4]);
            if (dtype === "string") assert.deepEqual(y.toArray(), x.toArray());
            else assert.deepEqual(y.bytes, x.bytes);
          }
        });
      }

      test("strided views are gathered", async () => {
        await using model = await engine.load(identityModel("float32", [3, 2]), { name: "strided" });
        const x = tensorFromStorage("float32", [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)).transpose();
        assert.deepEqual(row(await model.run({ x }), "y"), [
          [1, 4],
          [2, 5],
          [3, 6],
        ]);
      });

      test("outputs can be selected, and their sizes may depend on values", async () => {
        await using two = await engine.load(twoOutputsModel(), { name: "two" });
        const only = await two.run({ x: floats(1, 9, 2, 3) }, { outputs: ["largest"] });
        assert.deepEqual(Object.keys(only), ["largest"]);
        assert.deepEqual(row(only, "largest"), [[1n]]);
        await using nonZero = await engine.load(nonZeroModel(), { name: "nonzero" });
        for (const values of [
          [1, 0, 2],
          [0, 0, 5],
          [1, 1, 1],
          [0, 0, 0],
        ]) {
          const { places } = await nonZero.run({
            x: tensorFromStorage("float32", [3], Float32Array.from(values)),
          });
          assert.deepEqual(places!.toArray(), [
            values.flatMap((value, i) => (value === 0 ? [] : [BigInt(i)])),
          ]);
        }
      });

      test("outputs may be called anything", async () => {
        for (const name of ["constructor", "__proto__", "toString"]) {
          const g = graph({ opset: 17, name: "names" });
          g.output(g.add("Identity", [g.input("x", "float32", [1, 2])]), name);
          await using model = await shared.load(g.model(), { name: "names" });
          using outputs = await model.run({ x: floats(1, 2) });
          assert.deepEqual(Object.keys(outputs), [name]);
          assert.deepEqual(outputs[name]!.toArray(), [[1, 2]]);
        }
      });

      test("into is written in place, alone and in a batch, and a wrong size is refused", async () => {
        await using model = await engine.load(addModel(), { name: "into" });
        const target = new Float32Array(4);
        const inputs = { a: floats(1, 2, 3, 4), b: floats(1, 1, 1, 1) };
        for (let i = 0; i < 3; i++) {
          target.fill(0);
          const into = { sum: tensorFromStorage("float32", [1, 4], target) };
          const [mine] = await Promise.all([model.run(inputs, { into }), model.run(inputs)]);
          assert.deepEqual([...target], [2, 3, 4, 5]);
          assert.deepEqual(row(mine, "sum"), [[2, 3, 4, 5]]);
        }
        await assert.rejects(model.run(inputs, { into: { sum: new Float32Array(5) } }), code("TENSOR_SHAPE"));
        await assert.rejects(model.run(inputs, { into: { summ: target } }), code("OUTPUT_UNKNOWN"));
      });

      test("outputs stay valid after later runs unless they are disposed", async () => {
        await using model = await engine.load(identityModel("float32", ["N", 32768]), { name: "kept" });
        const of = (value: number): Tensor =>
          tensorFromStorage("float32", [1, 32768], new Float32Array(32768).fill(value));
        await model.run({ x: of(0) });
        const first = await model.run({ x: of(1) });
        const second = await model.run({ x: of(2) });
        assert.equal(first.y!.at(0, 0), 1);
        const memory = (second.y!.data as Float32Array).buffer;
        second[Symbol.dispose]();
        second[Symbol.dispose]();
        const third = await model.run({ x: of(3) });
        assert.equal((third.y!.data as Float32Array).buffer, memory, "disposed memory is used again");
        assert.equal(first.y!.at(0, 32767), 1);
      });
    });

    suite("batching", () => {
      test("requests of one turn share runs, each gets its own rows", async () => {
        await using model = await engine.load(addModel(), { name: "shared", calibrate: false });
        assert.equal(model.maxBatch, 64);
        const answers = await Promise.all(
          Array.from({ length: 40 }, (_, i) =>
            model.run({
              a: tensorFromStorage("float32", [1 + (i % 3), 4], new Float32Array(4 * (1 + (i % 3))).fill(i)),
              b: zeros("float32", [1 + (i % 3), 4]),
            }),
          ),
        );
        answers.forEach((answer, i) => {
          assert.deepEqual(answer.sum!.shape, [1 + (i % 3), 4]);
          assert.ok(
            (answer.sum!.toArray() as number[][]).flat().every((value) => value === i),
            `request ${i}`,
          );
        });
        assert.ok(
          model.explain().some((record) => record.members > 1),
          "no batch was formed",
        );
        assert.equal(
          model.explain().reduce((sum, record) => sum + record.members, 0),
          40,
        );
      });

      test("string rows are batched too", async () => {
        await using model = await engine.load(identityModel("string", ["N", 2]), {
          name: "strings",
          calibrate: false,
        });
        const answers = await Promise.all(
          Array.from({ length: 9 }, (_, i) => model.run({ x: tensor([[`a${i}`, "b"]]) })),
        );
        answers.forEach((answer, i) => void assert.deepEqual(row(answer, "y"), [[`a${i}`, "b"]]));
      });

      test("a model whose rows mix is never batched, and says why", async () => {
        await using model = await engine.load(rowMixingModel(), { name: "mixing" });
        assert.equal(model.maxBatch, 0);
        assert.match(model.profile.batch.reason ?? "", /rows influence each other in output "y"/);
        const answers = await Promise.all([1, 2, 3].map((n) => model.run({ x: floats(n, n, n, n) })));
        for (const answer of answers) assert.deepEqual(row(answer, "y"), [[0, 0, 0, 0]]);
        assert.ok(model.explain().every((record) => record.members === 1));
      });

      test("a model that passes the proof and still loses rows goes on unbatched", async () => {
        await using model = await engine.load(droppingModel(), { name: "dropping", calibrate: false });
        assert.equal(model.maxBatch, 64);
        const answers = await Promise.all([1, 1e7, 2, 3].map((n) => model.run({ x: floats(n, n, n, n) })));
        assert.deepEqual(
          answers.map((answer) => answer.y!.toArray()),
          [[[1, 1, 1, 1]], [], [[2, 2, 2, 2]], [[3, 3, 3, 3]]],
        );
      });

      test("runs of few shapes again and again, and one whose output has fewer rows than ever before", async () => {
        await using model = await engine.load(droppingModel(), {
          name: "repeats",
          calibrate: false,
          batch: { max: 1 },
        });
        const same = (n: number, rows: number) =>
          tensorFromStorage("float32", [rows, 4], new Float32Array(4 * rows).fill(n));
        for (const n of [1, 2, 3, 4, 5, 1e7, 6, 7, 8, 1e7, 9]) {
          for (const rows of [1, 1, 2, 2]) {
            const { y } = await model.run({ x: same(n, rows) });
            assert.deepEqual(y!.toArray(), n < 1e6 ? same(n, rows).toArray() : []);
          }
        }
      });

      test("different shapes do not share a run", async () => {
        await using model = await engine.load(identityModel("float32", ["N", "S", "T"]), {
          name: "lengths",
          calibrate: false,
        });
        const answers = await Promise.all(
          Array.from({ length: 12 }, (_, i) => model.run({ x: zeros("float32", [1, 1 + (i % 4), 2]) })),
        );
        answers.forEach((answer, i) => void assert.deepEqual(answer.y!.shape, [1, 1 + (i % 4), 2]));
        assert.ok(model.explain().every((record) => record.n <= 3));
      });

      test("a request larger than a batch is split and joined", async () => {
        await using model = await engine.load(addModel(), { name: "large", batch: { max: 8 } });
        const a = tensorFromStorage(
          "float32",
          [37, 4],
          Float32Array.from({ length: 148 }, (_, i) => i),
        );
        const { sum } = await model.run({ a, b: zeros("float32", [37, 4]) });
        assert.deepEqual(sum!.shape, [37, 4]);
        assert.deepEqual(sum!.data, a.data);
        assert.ok(model.explain().every((record) => record.n <= 8));
        const target = new Float32Array(148);
        await model.run(
          { a, b: zeros("float32", [37, 4]) },
          { into: { sum: tensorFromStorage("float32", [37, 4], target) } },
        );
        assert.deepEqual(target, a.data);
      });

      test("inputs of one request must agree in their rows", async () => {
        await using model = await engine.load(addModel(), { name: "rows" });
        await assert.rejects(
          model.run({ a: zeros("float32", [2, 4]), b: zeros("float32", [3, 4]) }),
          code("INPUT_BATCH"),
        );
      });

      test("batching can be switched off", async () => {
        await using model = await engine.load(addModel(), { name: "single", batch: { max: 1 } });
        assert.equal(model.maxBatch, 0);
        await assert.rejects(
          engine.load(addModel(), { name: "bad", batch: { max: 0 } }),
          code("CONFIG_INVALID"),
        );
      });

      test("maxDelayMs lets a batch fill", async () => {
        await using model = await engine.load(addModel(), {
          name: "delay",
          batch: { max: 4, maxDelayMs: 2000 },
          calibrate: false,
        });
        const one = (): Promise<Outputs> =>
          model.run({ a: zeros("float32", [1, 4]), b: zeros("float32", [1, 4]) });
        const first = one();
        await sleep(20);
        await Promise.all([first, one(), one(), one()]);
        assert.equal(model.explain()[0]?.n, 4);
      });

      test("profile tells the batch axis and the measured curve", async () => {
        await using model = await engine.load(addModel(), { name: "profile" });
        for (let i = 0; i < 400 && (model.profile.cost[0]?.points.length ?? 0) < 7; i++) await sleep(10);
        const { batch, cost } = model.profile;
        assert.equal(batch.batchable, true);
        assert.deepEqual(batch.invariance, { sum: { maxAbs: 0, maxUlp: 0 } });
        assert.deepEqual(
          cost[0]?.points.map((point) => point.n),
          [1, 2, 4, 8, 16, 32, 64],
        );
      });
    });

    suite("stopping", () => {
      const loop = longLoopModel();

      test("an endless run is stopped by its signal, and the lane serves on", async () => {
        await using model = await engine.load(loop, { name: "abort", calibrate: false });
        const controller = new AbortController();
        const running = model.run({ rounds: rounds(2 ** 40), x: eye() }, { signal: controller.signal });
        await sleep(30);
        const aborted = performance.now();
        controller.abort();
        await assert.rejects(running, code("CANCELLED"));
        assert.ok(performance.now() - aborted < 1000);
        assert.deepEqual((await model.run({ rounds: rounds(1), x: eye() })).y!.data, eye().data);
      });

      test("a deadline stops the run; one that has passed or cannot be met is refused", async () => {
        await using model = await engine.load(loop, { name: "deadline", calibrate: false });
        await assert.rejects(
          model.run({ rounds: rounds(2 ** 40), x: eye() }, { deadlineMs: 40 }),
          code("DEADLINE"),
        );
        await assert.rejects(model.run({ rounds: rounds(1), x: eye() }, { deadlineMs: 0 }), code("DEADLINE"));
      });

      test("queued requests are cancelled for free, in any order", async () => {
        await using model = await engine.load(loop, { name: "queued", calibrate: false });
        const blockers = new AbortController();
        const busy = Array.from({ length: engine.capacity.lanes }, () =>
          model.run({ rounds: rounds(2 ** 40), x: eye() }, { signal: blockers.signal }),
        );
        await sleep(20);
        const each = Array.from({ length: 20 }, () => new AbortController());
        const waiting = each.map(({ signal }) => model.run({ rounds: rounds(1), x: eye() }, { signal }));
        each.slice(0, 15).forEach((controller) => void controller.abort());
        const cancelled = await Promise.allSettled(waiting.slice(0, 15));
        for (const result of cancelled)
          assert.ok(result.status === "rejected" && code("CANCELLED")(result.reason));
        assert.equal(model.waiting, 5);
        blockers.abort();
        for (const run of busy) await assert.rejects(run, code("CANCELLED"));
        assert.equal((await Promise.all(waiting.slice(15))).length, 5);
      });

      test("the queue is bounded", async () => {
        await using small = await Engine.open({ cache, isolation, queueLimit: 2 });
        const model = await small.load(loop, { name: "bounded", calibrate: false });
        const controller = new AbortController();
        const { signal } = controller;
        const busy = Array.from({ length: small.capacity.lanes }, () =>
          model.run({ rounds: rounds(2 ** 40), x: eye() }, { signal }),
        );
        await sleep(20);
        const queued = [
          model.run({ rounds: rounds(1), x: eye() }, { signal }),
          model.run({ rounds: rounds(1), x: eye() }, { signal }),
        ];
        await assert.rejects(model.run({ rounds: rounds(1), x: eye() }), code("QUEUE_FULL"));
        controller.abort();
        await Promise.allSettled([...busy, ...queued]);
      });

      test("urgent requests overtake, and nobody waits for ever", async () => {
        await using one = await Engine.open({ cache, isolation, lanes: 1 });
        const model = await one.load(loop, { name: "priority", calibrate: false });
        const order: string[] = [];
        const run = (name: string, priority: number): Promise<unknown> =>
          model.run({ rounds: rounds(2000), x: eye() }, { priority }).then(() => order.push(name));
        const first = run("running", 0);
        await sleep(5);
        await Promise.all([first, run("low", 500), run("high", 0), run("higher", 0)]);
        assert.deepEqual(order, ["running", "high", "higher", "low"]);
      });

      test("closing the engine rejects what waits, stops what runs and refuses what comes", async () => {
        const closing = await Engine.open({ cache, isolation });
        const model = await closing.load(loop, { name: "closing", calibrate: false });
        const runs = Array.from({ length: 6 }, () => model.run({ rounds: rounds(2 ** 40), x: eye() }));
        const settled = Promise.allSettled(runs);
        await sleep(20);
        await closing.close();
        for (const result of await settled)
          assert.ok(result.status === "rejected" && code("ENGINE_CLOSED")(result.reason));
        await assert.rejects(model.run({ rounds: rounds(1), x: eye() }), code("ENGINE_CLOSED"));
        assert.throws(() => model.runSync({ rounds: rounds(1), x: eye() }), code("ENGINE_CLOSED"));
        await assert.rejects(closing.load(loop), code("ENGINE_CLOSED"));
        await closing.close();
      });

      test("unload lets accepted requests finish", async () => {
        const model = await engine.load(loop, { name: "unload", calibrate: false });
        const runs = Array.from({ length: 8 }, () => model.run({ rounds: rounds(200), x: eye() }));
        const unloading = model.unload();
        await assert.rejects(model.run({ rounds: rounds(1), x: eye() }), code("ENGINE_CLOSED"));
        assert.equal((await Promise.all(runs)).length, 8);
        await unloading;
        assert.throws(() => engine.get("unload"), code("MODEL_NOT_FOUND"));
      });
    });

    suite("map and lease", () => {
      test("map keeps order and answers a source of any kind", async () => {
        await using model = await engine.load(addModel(), { name: "map" });
        async function* source(): AsyncGenerator<Record<string, Tensor>> {
          for (let i = 0; i < 200; i++) yield { a: floats(i, i, i, i), b: floats(1, 1, 1, 1) };
        }
        let next = 0;
        for await (const outputs of model.map(source())) assert.equal(outputs.sum!.at(0, 0), next++ + 1);
        assert.equal(next, 200);
      });

      test("map ends with the first failure", async () => {
        await using model = await engine.load(addModel(), { name: "map-error" });
        const good = { a: floats(1, 2, 3, 4), b: floats(1, 2, 3, 4) };
        await assert.rejects(async () => {
          for await (const _ of model.map([good, { a: good.a }, good]));
        }, code("INPUT_MISSING"));
      });

      test("a lease is read and written in place, and nothing is copied", async () => {
        await using model = await engine.load(addModel(), { name: "lease" });
        using lease = await model.lease(3);
        const [a, b, sum] = [lease.inputs.a!, lease.inputs.b!, lease.outputs.sum!].map(
          (each) => each.data as Float32Array,
        );
        for (let round = 1; round <= 3; round++) {
          a!.fill(round);
          b!.fill(10);
          await lease.run();
          assert.ok(sum!.every((value) => value === round + 10));
        }
        const leased = model
          .explain()
          .filter((record) => record.gear === "lease")
          .slice(1);
        assert.deepEqual(
          leased.slice(1).map((record) => record.copiedBytes),
          [0, 0],
        );
      });

      test("a lease runs once at a time, is aborted by its signal and ends with release", async () => {
        await using model = await engine.load(longLoopModel(), { name: "lease-loop", calibrate: false });
        const lease = await model.lease(1);
        (lease.inputs.rounds!.data as BigInt64Array)[0] = 2n ** 40n;
        const controller = new AbortController();
        const running = lease.run({ signal: controller.signal });
        await assert.rejects(lease.run(), code("USAGE"));
        controller.abort();
        await assert.rejects(running, code("CANCELLED"));
        lease.release();
        await assert.rejects(lease.run(), code("ENGINE_CLOSED"));
      });

      test("a lease needs known sizes", async () => {
        await using model = await engine.load(identityModel("float32", ["N", "S"]), { name: "lease-free" });
        await assert.rejects(async () => await model.lease(2), code("INPUT_SHAPE"));
        using lease = await model.lease(2, { shapes: { x: [2, 5] } });
        assert.deepEqual(lease.outputs.y!.shape, [2, 5]);
        await assert.rejects(async () => await model.lease(0), code("INPUT_BATCH"));
      });
    });

    suite("loading", () => {
      const folder = mkdtempSync(join(tmpdir(), "tenon-load-"));
      after(() => rmSync(folder, { recursive: true, force: true }));
      const good = writeModel(addModel());
      const file = (name: string, bytes: Uint8Array): string => {
        const path = join(folder, name);
        writeFileSync(path, bytes);
        return path;
      };

      const unknownOp = (): Uint8Array => {
        const g = graph({ opset: 17, name: "unknown" });
        g.output(g.add("NoSuchOperator", [g.input("x", "float32", [1])], {}, { domain: "com.example" }), "y");
        return writeModel(g.model());
      };
      const bad: readonly (readonly [string, () => string | Uint8Array, string])[] = [
        ["a missing file", () => join(folder, "absent.onnx"), "FILE_NOT_FOUND"],
        ["an empty file", () => file("empty.onnx", new Uint8Array()), "MODEL_INVALID"],
        ["a truncated file", () => file("cut.onnx", good.subarray(0, good.length - 20)), "MODEL_INVALID"],
        [
          "a text file",
          () => file("text.onnx", new TextEncoder().encode("this is no model, it is a text")),
          "MODEL_INVALID",
        ],
        ["truncated bytes", () => good.subarray(0, 30), "MODEL_INVALID"],
        ["no bytes", () => new Uint8Array(), "MODEL_INVALID"],
        ["a folder", () => folder, "FILE_INVALID"],
        ["an unknown operator", unknownOp, "MODEL_UNSUPPORTED"],
      ];
      for (const [what, source, expected] of bad) {
        test(`${what} is refused with ${expected}`, async () => {
          await assert.rejects(
            async () => engine.load(source(), { name: "bad" }),
            (error: unknown) => {
              code(expected)(error);
              assert.doesNotMatch((error as Error).message, /\.cc:\d+|onnxruntime\/core/);
              return true;
            },
          );
          assert.ok(!engine.models().some((model) => model.name === "bad"));
        });
      }

      test("handles on the same content share a session; names are unique", async () => {
        const path = file("same.onnx", good);
        const [first, second] = await Promise.all([
          engine.load(path, { name: "first" }),
          engine.load(path, { name: "second" }),
        ]);
        await assert.rejects(engine.load(path, { name: "first" }), code("USAGE"));
        await first.unload();
        assert.deepEqual(row(await second.run({ a: floats(1, 2, 3, 4), b: floats(1, 1, 1, 1) }), "sum"), [
          [2, 3, 4, 5],
        ]);
        await second.unload();
      });

      test("the second load of a file comes from the cache, also in another engine; damage is repaired", async () => {
        const path = file("cached.onnx", writeModel(twoOutputsModel()));
        const own = join(folder, "cache");
        const load = async (): Promise<boolean> => {
          await using other = await Engine.open({ cache: own, isolation });
          const model = await other.load(path);
          assert.equal(row(await model.run({ x: floats(1, 2, 3, 4) }), "largest")?.toString(), "3");
          return model.profile.cacheHit;
        };
        assert.deepEqual([await load(), await load()], [false, true]);
        const [key] = readdirSync(join(own, "compiled"));
        writeFileSync(join(own, "compiled", key!, "model.onnx"), "damaged");
        assert.deepEqual([await load(), await load()], [false, true]);
        writeFileSync(path, writeModel(addModel()));
        await assert.rejects(load(), code("INPUT_UNKNOWN"));
      });

      test("without a cache, and with one that cannot be written, models load all the same", async () => {
        for (const option of [false, join(file("no-folder", good), "cache")] as const) {
          await using other = await Engine.open({ cache: option, isolation });
          const model = await other.load(addModel(), { name: "uncached" });
          assert.deepEqual(row(await model.run({ a: floats(1, 2, 3, 4), b: floats(1, 1, 1, 1) }), "sum"), [
            [2, 3, 4, 5],
          ]);
        }
      });

      test("external data beside the file is found, from bytes only with its folder", async () => {
        const g = graph({ opset: 17, name: "external" });
        const w = g.initializer(
          "w",
          tensorFromStorage("float32", [1024, 4], new Float32Array(4096).fill(0.5)),
        );
        g.output(g.add("MatMul", [g.input("x", "float32", ["N", 1024]), w]), "y");
        const path = join(folder, "outside.onnx");
        await saveModel(g.model(), path, { weights: "external" });
        const x = tensorFromStorage("float32", [1, 1024], new Float32Array(1024).fill(1));
        await using fromFile = await engine.load(relative(process.cwd(), path));
        assert.deepEqual(row(await fromFile.run({ x }), "y"), [[512, 512, 512, 512]]);
        const { readFileSync } = await import("node:fs");
        const bytes = readFileSync(path);
        await using fromBytes = await engine.load(bytes, { name: "bytes", baseDir: folder });
        assert.deepEqual(row(await fromBytes.run({ x }), "y"), [[512, 512, 512, 512]]);
        await assert.rejects(engine.load(bytes, { name: "homeless" }));
      });

      test("a lazy model loads once, at its first use", async () => {
        const path = file("lazy.onnx", good);
        const get = engine.lazy(path, { name: "lazy" });
        assert.throws(() => engine.get("lazy"), code("MODEL_NOT_FOUND"));
        const [a, b] = await Promise.all([get(), get()]);
        assert.equal(a, b);
        assert.equal(engine.get("lazy"), a);
        await a.unload();
      });

      test("versions are numbers, the highest is the default", async () => {
        const models = [
          await engine.load(addModel(), { name: "v", version: "2" }),
          await engine.load(addModel(), { name: "v", version: "10" }),
        ];
        assert.equal(engine.get("v").version, "10");
        assert.equal(engine.get("v", "2").version, "2");
        assert.throws(() => engine.get("v", "3"), code("MODEL_NOT_FOUND"));
        for (const model of models) await model.unload();
      });

      test("options out of range are refused", async () => {
        await assert.rejects(Engine.open({ lanes: 0 }), code("CONFIG_INVALID"));
        await assert.rejects(engine.load(addModel(), { name: "../up" }), code("USAGE"));
        await assert.rejects(engine.load(addModel(), { version: "one" }), code("USAGE"));
      });
    });
  });
