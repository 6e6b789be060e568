/** Claim: requests of mixed lengths to a served encoder gain from runs in which the shorter ones are filled up. */
import { type Bench, type Finding, perSecond, type Team, value, withSides } from "../harness/bench.js";
import { httpRounds, withClient } from "../harness/http-rounds.js";
import { tenonServer } from "../harness/our-server.js";
import { short, times } from "../harness/report.js";
import type { Sample } from "../harness/side.js";

const perRequest = (sample: Sample): number => value(sample, "cpuMs") / value(sample, "items");

/** What each server has run so far. */
async function batchesOf(servers: Team<"padded" | "single">): Promise<string> {
  const { rows, padding } = await servers.padded.measure();
  return `batches of ${short(rows!)} rows, lengths ${times(padding!)}`;
}

export const bench: Bench = {
  name: "padded-server",
  async run(effort) {
    const model = "encoder";
    return withSides(
      import.meta.url,
      { padded: tenonServer(model, 2), single: tenonServer(model, 2, { maxBatch: 1 }) },
      (servers) =>
        withClient(async (client): Promise<Finding[]> => {
          const findings: Finding[] = [];
          for (const clients of [8, 32]) {
            const load = { model, format: "binary", clients, mixed: true } as const;
            const { padded, single } = await httpRounds(client, servers, load, effort);
            const rate = perSecond(padded) / perSecond(single);
            const cpu = perRequest(padded) / perRequest(single);
            const p99 = value(padded, "p99Ms") / value(single, "p99Ms");
            findings.push({
              claim: `6×384 encoder over HTTP, lengths 6 to 256, ${clients} clients, against runs of one row`,
              target: "reported",
              measured: `${times(rate)} (${short(perSecond(padded))} against ${short(perSecond(single))} requests/s; CPU ${times(cpu)}, p99 ${times(p99)}; ${await batchesOf(servers)})`,
              met: null,
            });
          }
          return findings;
        }),
    );
  },
};
