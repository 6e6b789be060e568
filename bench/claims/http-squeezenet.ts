/** Claim: a compute-bound model over HTTP with binary tensors, against fastify around the official binding. */
import { type Bench, type Finding, perSecond, value, withSides } from "../harness/bench.js";
import { checkAnswers, httpRounds, withClient } from "../harness/http-rounds.js";
import { modelFile } from "../harness/model-files.js";
import { tenonServer } from "../harness/our-server.js";
import { short, times } from "../harness/report.js";
import type { Sample } from "../harness/side.js";
import { SERVERS } from "../peers/servers.js";

const perRequest = (sample: Sample): number => value(sample, "cpuMs") / value(sample, "items");

export const bench: Bench = {
  name: "http-squeezenet",
  async run(effort) {
    const model = "squeezenet";
    const file = await modelFile(model);
    return withSides(
      import.meta.url,
      {
        ours: tenonServer(model, 2),
        naive: { module: SERVERS, side: "single", settings: { model, file, threads: 0 } },
        cluster: { module: SERVERS, side: "clustered", settings: { model, file, processes: 2 } },
      },
      async ({ ours, naive, cluster }) => {
        await checkAnswers({ naive, cluster, ours }, model, "binary");
        return withClient(async (client): Promise<Finding[]> => {
          const some = await httpRounds(
            client,
            { ours, cluster },
            { model, format: "binary", clients: 8 },
            effort,
          );
          const many = await httpRounds(
            client,
            { ours, naive },
            { model, format: "binary", clients: 32 },
            effort,
          );
          const rate = perSecond(some.ours) / perSecond(some.cluster);
          const p99 = value(some.ours, "p99Ms") / value(some.cluster, "p99Ms");
          const cpu = perRequest(some.ours) / perRequest(some.cluster);
          const crowd = value(many.ours, "p99Ms") / value(many.naive, "p99Ms");
          const label = "squeezenet, HTTP binary, against two fastify processes, 8 clients";
          return [
            {
              claim: `${label}, requests/s`,
              target: "≥ 1.15×",
              measured: `${times(rate)} (${short(perSecond(some.ours))} against ${short(perSecond(some.cluster))})`,
              met: rate >= 1.15,
            },
            {
              claim: `${label}, p99`,
              target: "≤ 0.8×",
              measured: `${times(p99)} (${short(value(some.ours, "p99Ms"))} against ${short(value(some.cluster, "p99Ms"))} ms)`,
              met: p99 <= 0.8,
            },
            {
              claim: `${label}, CPU per request`,
              target: "≤ 0.9×",
              measured: `${times(cpu)} (${short(perRequest(some.ours))} against ${short(perRequest(some.cluster))} ms)`,
              met: cpu <= 0.9,
            },
            {
              claim: "squeezenet, HTTP binary, 32 clients, p99 against one naive fastify process",
              target: "≤ 0.2×",
              measured: `${times(crowd)} (${short(value(many.ours, "p99Ms"))} against ${short(value(many.naive, "p99Ms"))} ms; ${short(perSecond(many.ours))} against ${short(perSecond(many.naive))} requests/s)`,
              met: crowd <= 0.2,
            },
          ];
        });
      },
    );
  },
};
