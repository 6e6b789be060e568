/** `npm run chaos`: processes of models killed at random under load, or attacks beside a model that serves. */
import { parseArgs } from "node:util";
import { percentile } from "../bench/harness/statistics.js";
import { beside, slowdown } from "../test/chaos/beside.js";
import { type ChaosReport, chaos } from "../test/chaos/kills.js";
import { turns } from "../test/chaos/turns.js";

const USAGE = `usage: npm run chaos -- [--what kills|beside|keys] [--minutes 5] [--seed 1] [--clients 8] [--every 3000]
  --what     kills (default): model processes are killed at random, every so many milliseconds, under load;
             beside: the latency of a model beside hostile ones, and beside healthy ones;
             keys: what one key waits while another asks as much, and ten times as much`;

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "kills" },
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    clients: { type: "string", default: "8" },
    every: { type: "string", default: "3000" },
  },
});
const [minutes, seed, clients, everyMs] = [values.minutes, values.seed, values.clients, values.every].map(
  Number,
) as [number, number, number, number];

/** Each tells whether nothing happened that must not. */
const RUNS: Readonly<Record<string, () => Promise<boolean>>> = { kills, beside: attacks, keys };
const run = Object.hasOwn(RUNS, values.what) ? RUNS[values.what] : undefined;
if (
  run === undefined ||
  !(minutes > 0) ||
  !Number.isSafeInteger(seed) ||
  !(clients >= 1) ||
  !(everyMs >= 1)
) {
  console.error(USAGE);
  process.exit(2);
}
process.exitCode = (await run()) ? 0 : 1;

function printKills({ kills: count, outcomes, defects }: ChaosReport): void {
  const counts = [...outcomes].sort().map(([outcome, times]) => `${outcome} ${times}`);
  console.log(`${count} kills: ${counts.join(", ")}; ${defects.length} defects`);
}

async function kills(): Promise<boolean> {
  const report = await chaos({ minutes, seed, clients, everyMs, onProgress: printKills });
  for (const defect of report.defects) console.log(defect);
  printKills(report);
  for (const [when, held] of Object.entries({ before: report.before, after: report.after })) {
    if (held === undefined) continue;
    console.log(
      `${when}: ${held.modelRss.size} processes, ${held.descriptors} descriptors, ${held.mappings} mappings, server ${(held.serverRss / 1e6).toFixed(1)} MB`,
    );
  }
  return report.defects.length === 0;
}

/** Rounds of two seconds for each of two loads. */
async function keys(): Promise<boolean> {
  const seconds = 2;
  const rows = await turns(Math.max(1, Math.round((minutes * 60) / (2 * seconds))), seconds);
  for (const { others, milliseconds, answered } of rows) {
    const [p50, p99] = [0.5, 0.99].map((part) => percentile(milliseconds, part).toFixed(1));
    console.log(
      `beside ${others} clients of another key (${answered} answers): ${milliseconds.length} answers, p50 ${p50} ms, p99 ${p99} ms`,
    );
  }
  return true;
}

/** Rounds of two seconds for each of six neighbours. */
async function attacks(): Promise<boolean> {
  const seconds = 2;
  const report = await beside({ rounds: Math.max(1, Math.round((minutes * 60) / (6 * seconds))), seconds });
  for (const row of report.rows) {
    const { name, statuses, milliseconds } = row;
    const counts = [...statuses].map(([status, count]) => `${status}: ${count}`).join(", ");
    const [p50, p99] = [0.5, 0.99].map((part) => percentile(milliseconds, part).toFixed(1));
    console.log(
      `beside ${name} (${counts}): ${milliseconds.length} answers, p50 ${p50} ms, p99 ${p99} ms, ${slowdown(row, report).toFixed(2)} of healthy`,
    );
  }
  for (const defect of report.defects.slice(0, 20)) console.log(defect);
  return report.defects.length === 0;
}
