/** The kills of score-queue.test.ts at full size. Usage: run-chaos.js [--queue redis|postgres] [--kills N] [--server-kills N] [--seed S] */
import { parseArgs } from "node:util";
import type { QueueKind } from "../support/queue-servers.js";
import { chaos } from "../support/score-chaos.js";

const { values } = parseArgs({
  options: {
    queue: { type: "string", default: "redis" },
    kills: { type: "string", default: "200" },
    "server-kills": { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});
const result = await chaos({
  queue: values.queue as QueueKind,
  workerKills: Number(values.kills),
  serverKills: Number(values["server-kills"]),
  seed: Number(values.seed),
});
console.log(JSON.stringify({ queue: values.queue, ...result }));
