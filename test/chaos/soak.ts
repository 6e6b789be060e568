/** The soak: mixed traffic for as long as wanted, and whether the server's memory grows meanwhile. */
import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Dice } from "../fuzz/request-kinds.js";
import { GrpcClient } from "../support/grpc-client.js";
import { seededRandom } from "../support/random.js";
import { type Holdings, holdings, startSystem } from "./system.js";
import { type Ask, GOOD, OTHERS, type Target } from "./traffic.js";

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly onSample?: (sample: Holdings, report: SoakReport) => void;
}

export interface SoakReport {
  /** How often what came of each kind of request: `json right`. */
  readonly outcomes: Map<string, number>;
  /** What must not happen. */
  readonly defects: string[];
  readonly samples: Holdings[];
  /** MB per minute of the server's process; of all model processes that lived from warm-up to the end. */
  serverSlope: number;
  modelSlope: number;
}

/** How often a client of each kind asks, in milliseconds of pause between two requests, and how many such clients. */
const PACE: Readonly<
  Record<keyof typeof GOOD | keyof typeof OTHERS, readonly [pauseMs: number, clients: number]>
> = {
  json: [20, 3],
  binary: [20, 3],
  divide: [30, 2],
  strings: [40, 1],
  rpc: [20, 3],
  stream: [100, 1],
  questions: [200, 1],
  mistakes: [100, 1],
  hostile: [50, 2],
  leaves: [200, 1],
  reload: [20_000, 1],
  poison: [30_000, 1],
};

/** Share of the time that counts as warm-up. */
const WARM_UP = 1 / 6;

/** Runs the soak on a server of its own. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  const report: SoakReport = { outcomes: new Map(), defects: [], samples: [], serverSlope: 0, modelSlope: 0 };
  await using system = await startSystem();
  using grpc = new GrpcClient(system.grpcPort);
  const target: Target = { url: system.url, port: system.port, grpc };
  const start = performance.now();
  const elapsed = (): number => (performance.now() - start) / 60_000;
  const going = (): boolean => elapsed() < options.minutes && system.alive() && report.defects.length < 20;
  const ended = new AbortController();
  setMaxListeners(0, ended.signal);
  const client = async (kind: keyof typeof PACE, ask: Ask, number: number): Promise<void> => {
    const dice = new Dice(seededRandom(options.seed * 1009 + number));
    while (going()) {
      try {
        count(report.outcomes, `${kind} ${await ask(target, dice)}`);
      } catch (error) {
        report.defects.push(
          `${elapsed().toFixed(2)} min, ${kind}: ${error instanceof Error ? error.message : error}`,
        );
      }
      await sleep(PACE[kind][0], undefined, { signal: ended.signal }).catch(() => undefined);
    }
  };
  const clients = Object.entries<Ask>({ ...GOOD, ...OTHERS }).flatMap(([kind, ask], row) => {
    const name = kind as keyof typeof PACE; // the two tables have its keys
    return Array.from({ length: PACE[name][1] }, (_, i) => client(name, ask, 10 * row + i));
  });
  const between = Math.max(100, Math.min(5000, (options.minutes * 60_000) / 60));
  while (going()) {
    await sleep(between);
    if (!system.alive()) break;
    const sample = holdings(system.pid, elapsed());
    report.samples.push(sample);
    options.onSample?.(sample, report);
  }
  ended.abort();
  await Promise.all(clients);
  if (!system.alive()) report.defects.push(`the server ended: ${system.log()}`);
  else {
    const code = await system.stop();
    if (code !== 0) report.defects.push(`the server ended with ${code}: ${system.log().slice(-2000)}`);
  }
  const warm = report.samples.filter(({ minutes }) => minutes >= WARM_UP * options.minutes);
  report.serverSlope = slope(warm.map(({ minutes, serverRss }) => [minutes, serverRss / 1e6]));
  report.modelSlope = slope(warm.map((sample) => [sample.minutes, steadyRss(sample, warm) / 1e6]));
  return report;
}

/** Resident bytes of the processes that all samples have. */
function steadyRss({ modelRss }: Holdings, samples: readonly Holdings[]): number {
  const steady = [...modelRss].filter(([pid]) => samples.every((sample) => sample.modelRss.has(pid)));
  return steady.reduce((sum, [, bytes]) => sum + bytes, 0);
}

/** Slope of the straight line through points by least squares; NaN for fewer than two. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point[0]), mean((point) => point[1])];
  const spread = mean((point) => (point[0] - x) ** 2);
  return spread === 0 ? Number.NaN : mean((point) => (point[0] - x) * (point[1] - y)) / spread;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
