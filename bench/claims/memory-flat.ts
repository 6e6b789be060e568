/** Claim: memory stays flat over many good runs and many refused requests. */
import { Engine } from "tenon/runtime";
import { serve } from "tenon/serve";
import { MODELS } from "../../test/support/models.js";
import { type Bench, type Finding, value, withSides } from "../harness/bench.js";
import { settledMegabytes } from "../harness/memory.js";
import { modelFile } from "../harness/model-files.js";
import { formatThousands, short } from "../harness/report.js";
import { type MakeSide, numberSetting, type Sample, type Sides } from "../harness/side.js";

const TARGET_MB = 5;
const CALLERS = 64;

/** Until the heap and ONNX Runtime's arena have their size; not scaled, since what they take does not depend on it. */
const WARM_UP_RUNS = 250_000;
const WARM_UP_REFUSED = 50_000;

/** `count` runs by 64 callers. */
const runs: MakeSide = async () => {
  const engine = await Engine.open();
  const model = await engine.load(await modelFile("mlp"));
  const inputs = MODELS.mlp.inputs(1);
  return {
    async measure(given): Promise<Sample> {
      let left = numberSetting(given, "count");
      const caller = async (): Promise<void> => {
        while (left-- > 0) await model.run(inputs);
      };
      await Promise.all(Array.from({ length: CALLERS }, caller));
      return { anonymousMb: await settledMegabytes() };
    },
    close: () => engine.close(),
  };
};

/** A server whose measurement gives its memory. */
const server: MakeSide = async () => {
  const engine = await Engine.open();
  await engine.load(await modelFile("mlp"));
  const listening = await serve(engine, { port: 0 });
  return {
    facts: { port: listening.port },
    measure: async (): Promise<Sample> => ({ anonymousMb: await settledMegabytes() }),
    async close() {
      await listening.close();
      await engine.close();
    },
  };
};

export const sides: Sides = { runs, server };

const CLIENT = new URL("../harness/http-client.js", import.meta.url).href;

export const bench: Bench = {
  name: "memory-flat",
  async run(effort): Promise<Finding[]> {
    const flags = ["--expose-gc"];
    const good = Math.round(1_000_000 * effort.share);
    const bad = Math.round(100_000 * effort.share);
    const grown = await withSides(import.meta.url, { runs: { side: "runs", flags } }, async (team) => {
      const before = await team.runs.measure({ count: WARM_UP_RUNS });
      const after = await team.runs.measure({ count: good });
      return value(after, "anonymousMb") - value(before, "anonymousMb");
    });
    const refused = await withSides(
      import.meta.url,
      { server: { side: "server", flags }, client: { module: CLIENT, side: "refused" } },
      async (team) => {
        const load = { port: value(team.server.facts, "port"), clients: 8 };
        await team.client.measure({ ...load, count: WARM_UP_REFUSED });
        const before = await team.server.measure();
        await team.client.measure({ ...load, count: bad });
        const after = await team.server.measure();
        return value(after, "anonymousMb") - value(before, "anonymousMb");
      },
    );
    return [
      {
        claim: `anonymous memory after ${formatThousands(good)} good runs, small MLP, and ${formatThousands(WARM_UP_RUNS)} to warm up`,
        target: `≤ ${TARGET_MB} MB more`,
        measured: `${short(grown)} MB`,
        met: grown <= TARGET_MB,
      },
      {
        claim: `anonymous memory after ${formatThousands(bad)} refused HTTP requests, and ${formatThousands(WARM_UP_REFUSED)} to warm up`,
        target: `≤ ${TARGET_MB} MB more`,
        measured: `${short(refused)} MB`,
        met: refused <= TARGET_MB,
      },
    ];
  },
};
