/** `tenon sweep`: the same results in one process, on workers, and stopped and gone on with; failed trials stay apart. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runCli, startCli } from "../support/cli.js";
import { until } from "../support/processes.js";

/** A trial trains a line on four points; the kind "broken" throws. `slow` waits, so that a sweep can be stopped. */
const MODULE = `
import { appendFileSync } from "node:fs";
import { adamw, define, defineSweep, float32, linear, logBetween, mse, oneOf, sgd } from "${import.meta.resolve("tenon/train")}";
import { STEPS } from "./steps.mjs";

export const sweep = defineSweep({
  space: { lr: logBetween(1e-3, 1), kind: oneOf("sgd", "adamw", "broken") },
  metrics: { loss: "lower", steps: "higher" },
  trial: async ({ number, parameters: { lr, kind }, seed, signal }) => {
    if (process.env.SWEEP_LOG !== undefined) appendFileSync(process.env.SWEEP_LOG, number + "\\n");
    if (process.env.SWEEP_SLOW !== undefined) await new Promise((resolve) => setTimeout(resolve, 300));
    signal.throwIfAborted();
    if (kind === "broken") throw new Error("this kind breaks");
    const model = define({ x: float32(["batch", 1]), y: float32(["batch", 1]) }, (_, { x }) => linear(x, 1), { seed });
    const step = await model.compile({
      loss: (_, out, { y }) => mse(out.output, y),
      optimizer: kind === "sgd" ? sgd({ lr }) : adamw({ lr }),
      threads: 1,
    });
    let loss = 0;
    for (let i = 0; i < STEPS; i++)
      loss = (await step.run({ x: Float32Array.of(0, 1, 2, 3), y: Float32Array.of(1, 3, 5, 7) })).loss;
    await step.dispose();
    return { loss, steps: 20 };
  },
});
`;

describe("tenon sweep", () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-sweep-"));
    writeFileSync(at("sweep.mjs"), MODULE);
    writeFileSync(at("steps.mjs"), "export const STEPS = 20;\n");
  });
  after(() => rmSync(folder, { recursive: true }));

  const args = (output: string, ...more: string[]): string[] => [
    ...["sweep", "sweep.mjs", "--output", output, "--trials", "8", "--seed", "3", "--best", "8", "--json"],
    ...more,
  ];
  const parts = (name: string): string[] =>
    readdirSync(at(name))
      .filter((file) => file.startsWith("part-"))
      .map((file) => readFileSync(join(at(name), file), "base64"));

  test("orders its trials, sets failed ones aside, and gives the same on workers", async () => {
    const one = await runCli(args("one"), { cwd: folder, env: { SWEEP_LOG: at("log") } });
    assert.equal(one.code, 0, one.stderr);
    const { trials, failed, best } = JSON.parse(one.stdout) as {
      trials: number;
      failed: number;
      best: { trial: number; kind: string; loss?: number }[];
    };
    assert.equal(trials, 8);
    const broken = best.filter(({ kind }) => kind === "broken");
    assert.ok(failed === broken.length && failed > 0 && failed < 8, String(failed));
    const losses = best.flatMap(({ loss }) => loss ?? []);
    assert.equal(losses.length, 8 - failed);
    assert.deepEqual(
      losses,
      [...losses].sort((a, b) => a - b),
    );
    assert.ok(best.slice(-failed).every(({ loss }) => loss === undefined));
    // Every trial ran once, also those that failed.
    assert.deepEqual(
      readFileSync(at("log"), "utf8").trim().split("\n").map(Number),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    assert.match(
      readFileSync(join(at("one"), `errors-0000${broken[0]!.trial}.jsonl`), "utf8"),
      /this kind breaks/,
    );
    const two = await runCli(args("two", "--workers", "2"), { cwd: folder });
    assert.equal(two.code, 0, two.stderr);
    assert.equal(two.stdout.replace('"two"', '"one"'), one.stdout);
    assert.deepEqual(parts("two"), parts("one"));
  });

  test("goes on where it was stopped, and refuses a sweep of another seed or module", async () => {
    const stopped = startCli(args("stopped"), { cwd: folder, env: { SWEEP_SLOW: "1" } });
    const closed = once(stopped, "close");
    assert.ok(await until(() => existsSync(join(at("stopped"), "part-00001.parquet"))));
    stopped.kill("SIGINT");
    assert.deepEqual(await closed, [5, null]);
    assert.ok(parts("stopped").length < 8);
    assert.equal((await runCli(args("stopped"), { cwd: folder })).code, 2);
    const resumed = await runCli(args("stopped", "--resume"), {
      cwd: folder,
      env: { SWEEP_LOG: at("rest") },
    });
    assert.equal(resumed.code, 0, resumed.stderr);
    assert.ok(readFileSync(at("rest"), "utf8").trim().split("\n").length < 8);
    assert.deepEqual(parts("stopped"), parts("one"));
    const other = await runCli([...args("stopped", "--resume"), "--seed", "4"], { cwd: folder });
    assert.match(other.stderr, /another plan/);
    writeFileSync(at("steps.mjs"), "export const STEPS = 21;\n");
    assert.match((await runCli(args("stopped", "--resume"), { cwd: folder })).stderr, /another plan/);
    writeFileSync(at("steps.mjs"), "export const STEPS = 20;\n");
    assert.equal((await runCli(args("stopped", "--resume"), { cwd: folder })).code, 0);
    writeFileSync(at("sweep.mjs"), `${MODULE}\n// changed`);
    assert.match((await runCli(args("stopped", "--resume"), { cwd: folder })).stderr, /another plan/);
    writeFileSync(at("none.mjs"), "export const other = 1;\n");
    const none = await runCli(["sweep", "none.mjs", "--output", "none"], { cwd: folder });
    assert.equal(none.code, 2);
    assert.match(none.stderr, /exports no sweep/);
  });
});
