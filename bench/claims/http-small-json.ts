/** Claim: a small model over HTTP with JSON, against fastify around the official binding. */
import { type Bench, type Finding, perSecond, value, withSides } from "../harness/bench.js";
import { checkAnswers, httpRounds, withClient } from "../harness/http-rounds.js";
import { modelFile } from "../harness/model-files.js";
import { tenonServer } from "../harness/our-server.js";
import { short, times } from "../harness/report.js";
import type { Sample } from "../harness/side.js";
import { SERVERS } from "../peers/servers.js";

const perRequest = (sample: Sample): number => value(sample, "cpuMs") / value(sample, "items");

export const bench: Bench = {
  name: "http-small-json",
  async run(effort) {
    const model = "mlp";
    const file = await modelFile(model);
    return withSides(
      import.meta.url,
      {
        ours: tenonServer(model, 2),
        single: { module: SERVERS, side: "single", settings: { model, file, threads: 1 } },
        cluster: { module: SERVERS, side: "clustered", settings: { model, file, processes: 2 } },
      },
      async ({ ours, single, cluster }) => {
        await checkAnswers({ single, cluster, ours }, model, "json");
        return withClient(async (client): Promise<Finding[]> => {
          const lone = await httpRounds(
            client,
            { ours, single, cluster },
            { model, format: "json", clients: 1 },
            effort,
          );
          const many = await httpRounds(
            client,
            { ours, cluster },
            { model, format: "json", clients: 32 },
            effort,
          );
          const p50 = value(lone.ours, "p50Ms") / value(lone.single, "p50Ms");
          const rate = perSecond(many.ours) / perSecond(many.cluster);
          const cpu = perRequest(many.ours) / perRequest(many.cluster);
          const p99 = value(many.ours, "p99Ms") / value(many.cluster, "p99Ms");
          const label = "small MLP, HTTP with JSON, against two fastify processes, 32 clients";
          return [
            {
              claim: "small MLP, HTTP with JSON, 1 client, p50 against one fastify process",
              target: "≤ 1.1×",
              measured: `${times(p50)} (${short(value(lone.ours, "p50Ms"))} against ${short(value(lone.single, "p50Ms"))} ms; CPU per request ${short(perRequest(lone.ours))} against ${short(perRequest(lone.single))} ms)`,
              met: p50 <= 1.1,
            },
            {
              claim: `${label}, requests/s`,
              target: "≥ 1.3×",
              measured: `${times(rate)} (${short(perSecond(many.ours))} against ${short(perSecond(many.cluster))})`,
              met: rate >= 1.3,
            },
            {
              claim: `${label}, CPU per request`,
              target: "≤ 0.6×",
              measured: `${times(cpu)} (${short(1000 * perRequest(many.ours))} against ${short(1000 * perRequest(many.cluster))} µs)`,
              met: cpu <= 0.6,
            },
            {
              claim: `${label}, p99`,
              target: "≤ 1.0×",
              measured: `${times(p99)} (${short(value(many.ours, "p99Ms"))} against ${short(value(many.cluster, "p99Ms"))} ms)`,
              met: p99 <= 1,
            },
          ];
        });
      },
    );
  },
};
