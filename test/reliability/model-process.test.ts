/** Models in processes of their own: crashes, endless runs, memory, SIGKILL from outside; who pays and what is left. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Engine, type EngineOptions, type Model, type Outputs, type Tensor } from "tenon";
import { isTenonError, on } from "tenon/base";
import { tensorFromStorage } from "tenon/tensor";
import { childrenOf, isAlive, openDescriptors, sharedMappings, until } from "../support/processes.js";
import {
  addModel,
  crashingLoadModel,
  intDivideModel,
  longLoopModel,
  zerosModel,
} from "../support/small-models.js";

const linux = process.platform === "linux";
const skip = linux ? false : "reads /proc";

suite("model processes", { skip }, () => {
  const cache = mkdtempSync(join(tmpdir(), "tenon-processes-"));
  after(() => rmSync(cache, { recursive: true, force: true }));
  const open = (options: EngineOptions = {}): Promise<Engine> =>
    Engine.open({ cache, isolation: "process", ...options });
  const smallest = -(2 ** 31);
  const ints = (...values: number[]): Tensor =>
    tensorFromStorage(
      "int32",
      [1, 4],
      Int32Array.from({ length: 4 }, (_, i) => values[i] ?? values[0]!),
    );
  const codeOf = (error: unknown): string => (isTenonError(error) ? error.code : String(error));
  const settled = async (run: Promise<Outputs>): Promise<string> =>
    run.then(
      (outputs) => String(outputs.y!.at(0, 0)),
      (error: unknown) => codeOf(error),
    );
  suite("crashes", () => {
    let engine: Engine;
    let model: Model;
    before(async () => {
      engine = await open();
      model = await engine.load(intDivideModel(), { name: "divide", calibrate: false });
    });
    after(() => engine.close());

    test("a lone poison fails alone, and is refused afterwards", async () => {
      assert.equal(await settled(model.run({ x: ints(5) })), "-5");
      assert.equal(await settled(model.run({ x: ints(smallest) })), "MODEL_CRASHED");
      assert.equal(await settled(model.run({ x: ints(smallest) })), "INPUT_QUARANTINED");
      assert.equal(await settled(model.run({ x: ints(7) })), "-7");
    });

    test("one poison among sixteen fails, fifteen succeed", async () => {
      const answers = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          settled(model.run({ x: i === 5 ? ints(1, smallest) : ints(i) })),
        ),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: 16 }, (_, i) => (i === 5 ? "MODEL_CRASHED" : String(i === 0 ? 0 : -i))),
      );
    });

    test("several poisons among many fail alone", async () => {
      const poisoned = (i: number): boolean => i % 20 === 3;
      const answers = await Promise.all(
        Array.from({ length: 80 }, (_, i) =>
          settled(model.run({ x: poisoned(i) ? ints(i, 2, smallest) : ints(i) })),
        ),
      );
      answers.forEach((answer, i) => {
        assert.equal(answer, poisoned(i) ? "MODEL_CRASHED" : String(i === 0 ? 0 : -i), `request ${i}`);
      });
    });

    test("another model is not disturbed", async () => {
      const other = await engine.load(addModel(), { name: "other", calibrate: false });
      const x = tensorFromStorage("float32", [1, 4], new Float32Array(4).fill(1));
      const poison = settled(model.run({ x: ints(9, smallest) }));
      for (let i = 0; i < 50; i++) assert.equal((await other.run({ a: x, b: x })).sum!.at(0, 0), 2);
      assert.equal(await poison, "MODEL_CRASHED");
      await other.unload();
    });

    test("the signals of a terminal do not reach a model", async () => {
      for (const pid of childrenOf()) process.kill(pid, "SIGINT");
      for (const pid of childrenOf()) process.kill(pid, "SIGTERM");
      await sleep(30);
      assert.equal(await settled(model.run({ x: ints(3) })), "-3");
    });
  });

  test("a crash while a model is loaded is told, and the engine serves on", async () => {
    await using engine = await open();
    await assert.rejects(
      engine.load(crashingLoadModel(), { name: "bad" }),
      (error) => codeOf(error) === "MODEL_CRASHED",
    );
    const model = await engine.load(intDivideModel(), { name: "good", calibrate: false });
    assert.equal(await settled(model.run({ x: ints(5) })), "-5");
  });

  test("a group shares a process; a crash in one model leaves the others right", async () => {
    await using engine = await open({ isolation: "group" });
    const divide = await engine.load(intDivideModel(), { name: "divide", calibrate: false });
    const add = await engine.load(addModel(), { name: "add", calibrate: false });
    assert.ok(await until(() => childrenOf().length === 2), "one process and a spare");
    const x = tensorFromStorage("float32", [1, 4], new Float32Array(4).fill(1));
    const poison = settled(divide.run({ x: ints(smallest) }));
    const sums = await Promise.all(Array.from({ length: 20 }, () => add.run({ a: x, b: x })));
    for (const { sum } of sums) assert.equal(sum!.at(0, 0), 2);
    assert.equal(await poison, "MODEL_CRASHED");
  });

  suite("time", () => {
    const eye = tensorFromStorage("float32", [64, 64], new Float32Array(4096));
    const rounds = (n: number): Tensor => tensorFromStorage("int64", [], BigInt64Array.of(BigInt(n)));

    test("an endless run ends at its limit, the next one is answered", async () => {
      await using engine = await open({ process: { runLimitMs: 200 } });
      const model = await engine.load(longLoopModel(), { name: "loop", calibrate: false });
      assert.equal(await settled(model.run({ rounds: rounds(2 ** 40), x: eye })), "DEADLINE");
      assert.equal(await settled(model.run({ rounds: rounds(1), x: eye })), "0");
    });

    test("a process that does not stop is killed", async () => {
      await using engine = await open({ process: { runLimitMs: 200 } });
      const model = await engine.load(longLoopModel(), { name: "stuck", calibrate: false });
      const pid = model.profile.pid!;
      process.kill(pid, "SIGSTOP");
      assert.equal(await settled(model.run({ rounds: rounds(1), x: eye })), "DEADLINE");
      assert.ok(!isAlive(pid));
      assert.equal(await settled(model.run({ rounds: rounds(1), x: eye })), "0");
    });

    test("a load that takes too long is given up", async () => {
      await using engine = await open({ process: { loadTimeoutMs: 200 } });
      for (const pid of childrenOf()) process.kill(pid, "SIGSTOP");
      await assert.rejects(
        engine.load(addModel(), { name: "late" }),
        (error) => codeOf(error) === "MODEL_UNAVAILABLE",
      );
    });
  });

  test("memory beyond the limit is refused, within it large results come whole", async () => {
    await using engine = await open({ process: { memoryLimit: 512 << 20 } });
    const model = await engine.load(zerosModel(), { name: "zeros", calibrate: false });
    const shape = (...dims: number[]): Tensor =>
      tensorFromStorage("int64", [dims.length], BigInt64Array.from(dims, BigInt));
    const { y } = await model.run({ shape: shape(5, 1_000_000) });
    assert.deepEqual(y!.shape, [5, 1_000_000]);
    assert.ok((y!.data as Float32Array).every((value) => value === 0));
    await assert.rejects(
      model.run({ shape: shape(300_000_000) }),
      (error) => codeOf(error) === "ENGINE_FAILED",
    );
    assert.deepEqual((await model.run({ shape: shape(2, 3) })).y!.shape, [2, 3]);
  });

  suite("killed from outside", () => {
    test("an idle model is started again; after three times it is closed, others live on", async () => {
      await using engine = await open();
      const other = await engine.load(addModel(), { name: "other", calibrate: false });
      const model = await engine.load(intDivideModel(), { name: "killed", calibrate: false });
      const crashes: number[] = [];
      const warned: string[] = [];
      const stops = [
        on("model:crashed", ({ pid }) => void crashes.push(pid)),
        on("model:warning", ({ code }) => void warned.push(code)),
      ];
      const killed: number[] = [];
      for (let kill = 1; kill <= 3; kill++) {
        killed.push(model.profile.pid!);
        process.kill(model.profile.pid!, "SIGKILL");
        assert.ok(await until(() => crashes.length === kill));
        assert.equal(
          await settled(model.run({ x: ints(kill) })),
          kill < 3 ? String(-kill) : "MODEL_UNAVAILABLE",
        );
      }
      assert.deepEqual(crashes, killed);
      for (const stop of stops) stop();
      assert.deepEqual(warned, ["MODEL_UNAVAILABLE"]);
      const x = tensorFromStorage("float32", [1, 4], new Float32Array(4).fill(1));
      assert.equal((await other.run({ a: x, b: x })).sum!.at(0, 0), 2);
    });

    test("under load every request is answered, rightly or with an error that allows a retry", async () => {
      await using engine = await open({ process: { spare: "model" } });
      const model = await engine.load(intDivideModel(), { name: "chaos", calibrate: false });
      const seen = new Map<string, number>();
      let going = true;
      const client = async (start: number): Promise<void> => {
        for (let i = start; going; i = (i + 64) % 1_000_000) {
          const answer = await settled(model.run({ x: ints(i + 1) }));
          const kind = answer === String(-(i + 1)) ? "right" : answer;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
          if (kind !== "right") await sleep(5);
        }
      };
      const clients = Array.from({ length: 64 }, (_, i) => client(i));
      for (let kill = 0; kill < 2; kill++) {
        await sleep(150);
        for (const pid of childrenOf()) process.kill(pid, "SIGKILL");
      }
      const enough = await until(() => (seen.get("right") ?? 0) > 100);
      going = false;
      await Promise.all(clients);
      assert.ok(enough, JSON.stringify([...seen]));
      for (const kind of seen.keys()) assert.ok(kind === "right" || kind === "MODEL_UNAVAILABLE", kind);
    });
  });

  test("nothing is left behind", async () => {
    const round = async (): Promise<void> => {
      await using engine = await open();
      const model = await engine.load(intDivideModel(), { name: "round", calibrate: false });
      using lease = await model.lease(2);
      await lease.run();
      await settled(model.run({ x: ints(smallest) }));
      await settled(model.run({ x: ints(2) }));
    };
    await round();
    assert.ok(await until(() => childrenOf().length === 0));
    const [descriptors, mappings] = [openDescriptors(), sharedMappings()];
    for (let i = 0; i < 3; i++) await round();
    assert.ok(await until(() => childrenOf().length === 0 && openDescriptors() <= descriptors));
    assert.equal(sharedMappings(), mappings);
    assert.equal(mappings, 0);
  });

  test("no process outlives its parent", async () => {
    const script = `
      import { Engine } from "tenon";
      import { readdirSync, readFileSync } from "node:fs";
      const engine = await Engine.open({ isolation: "process", cache: false });
      const pids = readdirSync("/proc/self/task").flatMap((thread) =>
        readFileSync("/proc/self/task/" + thread + "/children", "latin1").split(" ").filter(Boolean));
      console.log(pids.join(" "));
      setInterval(() => engine, 1000);
    `;
    const parent = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const text = await new Promise<string>((resolve) =>
      parent.stdout!.once("data", (data) => resolve(String(data))),
    );
    const pids = text.trim().split(" ").map(Number);
    assert.ok(pids.length > 0 && pids.every(isAlive));
    parent.kill("SIGKILL");
    assert.ok(await until(() => !pids.some(isAlive)));
  });
});
