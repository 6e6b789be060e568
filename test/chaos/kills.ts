/** Chaos: model processes are killed at random while clients ask; what every request got, and what is left behind. */
import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../fuzz/request-kinds.js";
import { GrpcClient } from "../support/grpc-client.js";
import { childrenOf, isAlive } from "../support/processes.js";
import { seededRandom } from "../support/random.js";
import { type Holdings, holdings, startSystem } from "./system.js";
import { type Ask, GOOD, type Target } from "./traffic.js";

export interface ChaosOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Clients of each kind of good request. */
  readonly clients: number;
  /** Milliseconds between two kills, on average. */
  readonly everyMs: number;
  readonly onProgress?: (report: ChaosReport) => void;
}

export interface ChaosReport {
  kills: number;
  /** How many requests of all kinds were answered with their right values, or got a code that allows to ask again. */
  readonly outcomes: Map<string, number>;
  /** What must not happen: a wrong value, a request without an answer, something left behind. */
  readonly defects: string[];
  /** What the server held before the first kill, and when everything answered again. */
  before: Holdings | undefined;
  after: Holdings | undefined;
}

/** How long models may take to come back: the breaker's pauses double. */
const COME_BACK_MS = 300_000;
/** A client that was told to ask again waits so long. */
const AGAIN_MS = 5;

/** Runs it on a server of its own. Needs /proc. */
export async function chaos(options: ChaosOptions): Promise<ChaosReport> {
  const report: ChaosReport = {
    kills: 0,
    outcomes: new Map(),
    defects: [],
    before: undefined,
    after: undefined,
  };
  await using system = await startSystem();
  using grpc = new GrpcClient(system.grpcPort);
  const target: Target = { url: system.url, port: system.port, grpc };
  const kinds = Object.entries<Ask>(GOOD);
  const killed = new Set<number>();
  const defect = (what: string): void => void report.defects.push(what);
  const ask = async (kind: string, request: Ask, dice: Dice): Promise<boolean> => {
    try {
      const outcome = await request(target, dice);
      report.outcomes.set(outcome, (report.outcomes.get(outcome) ?? 0) + 1);
      return outcome === "right";
    } catch (error) {
      defect(`${kind} after ${report.kills} kills: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  };
  const everybody = async (): Promise<void> => {
    const dice = new Dice(seededRandom(options.seed));
    const patience = performance.now() + COME_BACK_MS;
    for (const [kind, request] of kinds) {
      while (!(await ask(kind, request, dice))) {
        if (performance.now() > patience || report.defects.length > 20)
          return defect(`${kind} did not come back`);
        await sleep(100);
      }
    }
  };
  await everybody();
  await settled(system.pid);
  report.before = holdings(system.pid, 0);

  const end = performance.now() + options.minutes * 60_000;
  const going = (): boolean => performance.now() < end && system.alive() && report.defects.length < 20;
  const client = async (kind: string, request: Ask, number: number): Promise<void> => {
    const dice = new Dice(seededRandom(options.seed * 7919 + number));
    while (going()) if (!(await ask(kind, request, dice))) await sleep(AGAIN_MS);
  };
  const killer = async (): Promise<void> => {
    const dice = new Dice(seededRandom(options.seed));
    while (going()) {
      await sleep(dice.upTo(2 * options.everyMs));
      const processes = childrenOf(system.pid);
      if (processes.length === 0) continue;
      const pid = dice.pick(processes);
      killed.add(pid);
      process.kill(pid, "SIGKILL");
      report.kills++;
      if (report.kills % 20 === 0) options.onProgress?.(report);
    }
  };
  const clients = kinds.flatMap(([kind, request], row) =>
    Array.from({ length: options.clients }, (_, i) => client(kind, request, 1000 * row + i)),
  );
  await Promise.all([killer(), ...clients]);

  await everybody();
  await settled(system.pid);
  const after = holdings(system.pid, options.minutes);
  report.after = after;
  const { before } = report;
  if (after.modelRss.size !== before.modelRss.size)
    defect(`${after.modelRss.size} processes instead of ${before.modelRss.size}`);
  // Threads of the system's resolver and the like may hold one or two.
  if (after.descriptors > before.descriptors + 4)
    defect(`${after.descriptors} descriptors instead of ${before.descriptors}`);
  if (after.mappings !== before.mappings) defect(`${after.mappings} mappings instead of ${before.mappings}`);
  const code = system.alive() ? await system.stop() : "nothing: it had ended";
  if (code !== 0) defect(`the server ended with ${code}: ${system.log().slice(-500)}`);
  for (const pid of [...killed, ...after.modelRss.keys()]) if (isAlive(pid)) defect(`process ${pid} is left`);
  return report;
}

/** Waits until the number of processes stands still: spares are started behind what serves. */
async function settled(pid: number): Promise<void> {
  for (let still = 0, last = -1; still < 10; ) {
    await sleep(200);
    const { size } = holdings(pid, 0).modelRss;
    still = size === last ? still + 1 : 0;
    last = size;
  }
}
