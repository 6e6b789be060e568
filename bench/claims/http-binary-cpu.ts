/** Claim: serving a model over HTTP with binary tensors costs hardly more CPU time than running it. */
import { alternate, type Bench, medians, perCpuSecond, value, withSides } from "../harness/bench.js";
import { httpRounds, withClient } from "../harness/http-rounds.js";
import { tenonServer } from "../harness/our-server.js";
import { short, times } from "../harness/report.js";
import type { Sample } from "../harness/side.js";
import { PEERS } from "../peers/in-process.js";

export const bench: Bench = {
  name: "http-binary-cpu",
  async run(effort) {
    const model = "squeezenet";
    const load = { model, format: "binary", clients: 2 } as const;
    const once = { ...effort, rounds: 1 };
    const rounds: Sample[] = [];
    await withSides(
      import.meta.url,
      {
        server: tenonServer(model, 1),
        raw: { module: PEERS, side: "raw", settings: { model, threads: 1 } },
      },
      ({ server, raw }) =>
        withClient(async (client) => {
          for (let round = 0; round < effort.rounds; round++) {
            const served = await httpRounds(client, { server }, load, once);
            const direct = await alternate({ raw }, once);
            rounds.push({
              servedMs: 1000 / perCpuSecond(served.server),
              rawMs: 1000 / perCpuSecond(direct.raw),
            });
          }
        }),
    );
    const sample = medians(rounds);
    const efficiency = value(sample, "rawMs") / value(sample, "servedMs");
    return [
      {
        claim: "HTTP with binary tensors, CPU per request against the raw run, squeezenet (7 ms)",
        target: "≥ 0.95 efficiency",
        measured: `${times(efficiency)} (${short(value(sample, "servedMs"))} against ${short(value(sample, "rawMs"))} ms of CPU)`,
        met: efficiency >= 0.95,
      },
    ];
  },
};
