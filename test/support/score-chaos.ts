/** A queued scoring job on three hosts, whose workers and server are killed at random times, again and again. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { columnValue, parquet } from "tenon/data";
import { collect, runCli } from "./cli.js";
import { makeHosts } from "./hosts.js";
import { type QueueKind, startQueueServer } from "./queue-servers.js";
import { seededRandom } from "./random.js";
import { assertSameResult, jobArgs, writeJob } from "./score-job.js";

export interface ChaosOptions {
  readonly queue: QueueKind;
  readonly workerKills: number;
  readonly serverKills: number;
  readonly seed: number;
}

export interface ChaosResult {
  readonly hosts: string;
  readonly workerKills: number;
  readonly serverKills: number;
  /** Jobs that were run until the kills were done, each compared with the calm one. */
  readonly jobs: number;
  readonly seconds: number;
}

const HOSTS = 3;
const SHARDS = 12;
const ROWS = 400;
const MAIN = resolve(import.meta.dirname, "../../../dist/cli/main.cjs");

/** Runs jobs until so many kills are done. Throws where a result differs in a byte from the one of a calm run. */
export async function chaos(options: ChaosOptions): Promise<ChaosResult> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-chaos-"));
  using hosts = makeHosts(HOSTS);
  const start = performance.now();
  try {
    await using server = await startQueueServer(options.queue, hosts.address);
    await writeJob(folder, SHARDS * ROWS, ROWS);
    const began = performance.now();
    const calm = await runCli(jobArgs("calm", ROWS), { cwd: folder });
    assert.equal(calm.code, 0, calm.stderr);
    // Long enough for a worker to start and to score some shards between its deaths, on a machine of any speed.
    const pace = (performance.now() - began) / HOSTS;
    await assertEveryRow(join(folder, "calm"), SHARDS * ROWS);
    const random = seededRandom(options.seed);
    let [workerKills, serverKills, jobs] = [0, 0, 0];
    while (workerKills < options.workerKills || serverKills < options.serverKills) {
      const name = `job-${jobs++}`;
      const planned = await runCli([...jobArgs(name, ROWS), "--plan-only", "--queue", server.url], {
        cwd: folder,
      });
      assert.equal(planned.code, 0, planned.stderr);
      const crew = new Crew(hosts.start, server.url, folder, name);
      while (crew.running && (workerKills < options.workerKills || serverKills < options.serverKills)) {
        await Promise.race([sleep(2 * pace * random()), crew.ended]);
        if (!crew.running) break;
        // The server's kills are spread over those of the workers.
        const due = (options.serverKills * (workerKills + 1)) / (options.workerKills + 1);
        if (
          serverKills < options.serverKills &&
          (serverKills + 1 <= due || workerKills >= options.workerKills)
        ) {
          await server.crash();
          serverKills++;
        } else if (crew.kill(Math.floor(HOSTS * random()))) workerKills++;
      }
      await crew.ended;
      assertSameResult(join(folder, name), join(folder, "calm"));
      rmSync(join(folder, name), { recursive: true });
    }
    return { hosts: hosts.kind, workerKills, serverKills, jobs, seconds: (performance.now() - start) / 1000 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A worker on each host; one that was killed is started again, until one ends by itself. */
class Crew {
  readonly #workers: (ChildProcess | undefined)[] = [];
  #running = HOSTS;
  /** When every worker has ended by itself. Rejects when one fails. */
  readonly ended: Promise<void>;

  constructor(
    start: (index: number, program: string, args: readonly string[], cwd: string) => ChildProcess,
    url: string,
    cwd: string,
    output: string,
  ) {
    const args = [MAIN, "score", "worker", output, "--queue", url, "--queue-lock", "3s"];
    const engine = ["--isolation", "inline", "--cache", "off", "--lanes", "1"];
    mkdirSync(join(cwd, output), { recursive: true });
    const host = async (index: number): Promise<void> => {
      for (;;) {
        const worker = start(index, process.execPath, [...args, ...engine], cwd);
        this.#workers[index] = worker;
        const stderr = collect(worker.stderr!);
        const [code, signal] = (await once(worker, "exit")) as [number | null, string | null];
        this.#workers[index] = undefined;
        // A killed worker shows as its signal, or as 137 through what stands around it.
        if (signal === "SIGKILL" || code === 137) continue;
        this.#running--;
        assert.equal(code, 0, stderr());
        return;
      }
    };
    this.ended = Promise.all(Array.from({ length: HOSTS }, (_, index) => host(index))).then(() => undefined);
    this.ended.catch(() => undefined);
  }

  get running(): boolean {
    return this.#running === HOSTS;
  }

  kill(index: number): boolean {
    return this.#workers[index]?.kill("SIGKILL") ?? false;
  }
}

/** Every id once, in order. */
async function assertEveryRow(folder: string, rows: number): Promise<void> {
  let next = 0n;
  for await (const { data, rows: count } of parquet(join(folder, "part-*.parquet")))
    for (let i = 0; i < count; i++) assert.equal(columnValue(data.id!, i), next++);
  assert.equal(next, BigInt(rows));
}
