/** Scoring jobs over BullMQ on real servers: shared by workers, killed at random, and refused with a reason. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "../support/cli.js";
import {
  missingServer,
  type QueueKind,
  type QueueServer,
  startQueueServer,
} from "../support/queue-servers.js";
import { chaos } from "../support/score-chaos.js";
import { assertSameResult, jobArgs, resultFiles, writeJob } from "../support/score-job.js";

const KINDS: readonly QueueKind[] = ["redis", "postgres"];

for (const kind of KINDS)
  describe(`tenon score --queue on ${kind}`, { skip: missingServer(kind) ?? false }, () => {
    let folder: string;
    let server: QueueServer;
    const worker = (output: string, ...args: readonly string[]) =>
      runCli(["score", "worker", output, "--isolation", "inline", "--cache", "off", ...args], {
        cwd: folder,
      });
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "tenon-queue-"));
      server = await startQueueServer(kind);
      await writeJob(folder, 600, 100);
      assert.equal((await runCli(jobArgs("calm", 100), { cwd: folder })).code, 0);
    });
    after(async () => {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    it("shares the shards between the planner and a worker", async () => {
      const args = [...jobArgs("shared", 100), "--queue", server.url];
      const planned = await runCli([...args, "--plan-only"], { cwd: folder });
      assert.equal(planned.code, 0, planned.stderr);
      const [first, second] = await Promise.all([
        runCli([...args, "--json"], { cwd: folder }),
        worker("shared", "--queue", server.url, "--json"),
      ]);
      assert.deepEqual([first.code, second.code], [0, 0], first.stderr + second.stderr);
      const rows = [first, second].map(({ stdout }) => (JSON.parse(stdout) as { rows: number }).rows);
      assert.equal(rows[0]! + rows[1]!, 600);
      assertSameResult(join(folder, "shared"), join(folder, "calm"));
    });

    it("puts shards into a queue that lost them", async () => {
      await runCli([...jobArgs("lost", 100), "--plan-only"], { cwd: folder });
      const { code, stderr } = await worker("lost", "--queue", server.url);
      assert.equal(code, 0, stderr);
      assertSameResult(join(folder, "lost"), join(folder, "calm"));
    });

    it("waits for a server that is about to start", async () => {
      await runCli([...jobArgs("early", 100), "--plan-only"], { cwd: folder });
      const [{ code, stderr }] = await Promise.all([
        worker("early", "--queue", server.url),
        server.refuse(2),
      ]);
      assert.equal(code, 0, stderr);
      assertSameResult(join(folder, "early"), join(folder, "calm"));
    });

    it("ends with the code of a failure that no other try would mend", async () => {
      await runCli([...jobArgs("bad", 100), "--plan-only", "--queue", server.url], { cwd: folder });
      const input = readFileSync(join(folder, "in.parquet"));
      try {
        writeFileSync(join(folder, "in.parquet"), input.subarray(0, -1));
        const { code, stderr } = await worker("bad", "--queue", server.url);
        assert.ok(code === 3 || code === 4, stderr);
        assert.deepEqual(resultFiles(join(folder, "bad")), []);
      } finally {
        writeFileSync(join(folder, "in.parquet"), input);
      }
    });

    it("gives the same bytes while workers and server are killed", async () => {
      const result = await chaos({ queue: kind, workerKills: 10, serverKills: 1, seed: 6 });
      assert.deepEqual([result.workerKills, result.serverKills], [10, 1]);
    });
  });
