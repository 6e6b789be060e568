/** Claim: with fronts the server's own event loop has less to do for a request; what that costs all processes together. */
import { type Bench, type Finding, perSecond, value, withSides } from "../harness/bench.js";
import { checkAnswers, httpRounds, withClient } from "../harness/http-rounds.js";
import { modelFile } from "../harness/model-files.js";
import { tenonServer } from "../harness/our-server.js";
import { short, times } from "../harness/report.js";
import type { RequestFormat } from "../harness/requests.js";
import type { Sample } from "../harness/side.js";
import { SERVERS } from "../peers/servers.js";

const ownOf = (sample: Sample): number => value(sample, "ownMs") / value(sample, "items");
const allOf = (sample: Sample): number => value(sample, "cpuMs") / value(sample, "items");
const micro = (ms: number): string => short(1000 * ms);

export const bench: Bench = {
  name: "fronts",
  async run(effort) {
    const model = "mlp";
    const file = await modelFile(model);
    return withSides(
      import.meta.url,
      {
        alone: tenonServer(model, 2),
        fronted: tenonServer(model, 2, { fronts: 2 }),
        cluster: { module: SERVERS, side: "clustered", settings: { model, file, processes: 2 } },
      },
      async (servers) => {
        await checkAnswers(servers, model, "json");
        return withClient(async (client) => {
          const findings: Finding[] = [];
          for (const format of ["json", "binary"] as const satisfies readonly RequestFormat[]) {
            const { alone, fronted, cluster } = await httpRounds(
              client,
              servers,
              { model, format, clients: 32 },
              effort,
            );
            const label = `small MLP, HTTP with ${format}, 32 clients, two fronts`;
            const own = ownOf(fronted) / ownOf(alone);
            const all = allOf(fronted) / allOf(alone);
            const rate = perSecond(fronted) / perSecond(cluster);
            const cpu = allOf(fronted) / allOf(cluster);
            findings.push(
              {
                claim: `${label}: CPU per request of the server's own process, against no fronts`,
                target: "≤ 0.5×",
                measured: `${times(own)} (${micro(ownOf(fronted))} against ${micro(ownOf(alone))} µs)`,
                met: own <= 0.5,
              },
              {
                claim: `${label}: CPU per request of all processes, against no fronts`,
                target: "≤ 1.5×",
                measured: `${times(all)} (${micro(allOf(fronted))} against ${micro(allOf(alone))} µs)`,
                met: all <= 1.5,
              },
              {
                claim: `${label}: requests/s against two fastify processes`,
                target: "≥ 1.3×",
                measured: `${times(rate)} (${short(perSecond(fronted))} against ${short(perSecond(cluster))}; ${short(perSecond(alone))} without fronts)`,
                met: rate >= 1.3,
              },
              {
                claim: `${label}: CPU per request against two fastify processes`,
                target: "≤ 0.6×",
                measured: `${times(cpu)} (${micro(allOf(fronted))} against ${micro(allOf(cluster))} µs)`,
                met: cpu <= 0.6,
              },
            );
          }
          return findings;
        });
      },
    );
  },
};
