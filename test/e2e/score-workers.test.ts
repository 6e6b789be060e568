/** `tenon score` on local workers, some of which are killed, and as a pipe of JSON lines. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { collect, runCli, startCli } from "../support/cli.js";
import { childrenOf, until } from "../support/processes.js";
import { assertSameResult, jobArgs, resultFiles, writeJob } from "../support/score-job.js";

describe("tenon score in several processes", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-score-workers-"));
    await writeJob(folder, 1200, 75);
    const { code, stderr } = await runCli(jobArgs("calm", 150), { cwd: folder });
    assert.equal(code, 0, stderr);
  });
  after(() => rmSync(folder, { recursive: true }));

  const skip = process.platform === "linux" ? false : "finds the workers in /proc";

  it("gives the same bytes on workers of which one is killed", { skip }, async () => {
    const job = startCli([...jobArgs("workers", 150), "--workers", "2", "--json"], { cwd: folder });
    const [stdout, stderr] = [collect(job.stdout), collect(job.stderr)];
    const closed = once(job, "close");
    assert.ok(await until(() => childrenOf(job.pid!).length === 2));
    process.kill(childrenOf(job.pid!)[0]!, "SIGKILL");
    assert.deepEqual(await closed, [0, null], stderr());
    assertSameResult(join(folder, "workers"), join(folder, "calm"));
    const { rows, done, parts } = JSON.parse(stdout()) as Record<string, unknown>;
    assert.deepEqual([done, parts], [true, 8]);
    assert.ok(typeof rows === "number" && rows >= 1200);
  });

  it("stops its workers when it is told to, and goes on later", { skip }, async () => {
    const args = [...jobArgs("stopped", 150), "--workers", "2", "--resume"];
    const job = startCli(args, { cwd: folder });
    const closed = once(job, "close");
    assert.ok(await until(() => childrenOf(job.pid!).length === 2));
    const workers = childrenOf(job.pid!);
    job.kill("SIGTERM");
    assert.deepEqual(await closed, [5, null]);
    for (const pid of workers) assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
    assert.equal((await runCli(args, { cwd: folder })).code, 0);
    assertSameResult(join(folder, "stopped"), join(folder, "calm"));
  });

  it("tells the failure of a worker as its own", async () => {
    const args = [...jobArgs("wrong", 150), "--workers", "2"];
    args[args.indexOf("--batch")] = "--on-error=fail";
    args.splice(args.indexOf("--on-error=fail") + 1, 1);
    args[args.indexOf("x=f0..f1")] = "x=f0,t";
    const texts = join(folder, "texts.parquet");
    const { sink } = await import("tenon/data");
    await using out = sink.parquet(texts);
    await out.write({ f0: Float32Array.of(1, 2), t: ["3", "x"] });
    await out.commit();
    args[args.indexOf("in.parquet")] = texts;
    const { code, stderr } = await runCli(args, { cwd: folder });
    assert.equal(code, 4, stderr);
    assert.match(stderr, /^error ROWS_REFUSED: .*no number/);
    assert.deepEqual(resultFiles(join(folder, "wrong")), []);
  });

  it("refuses two ways at once, and a worker without a queue", async () => {
    const both = await runCli([...jobArgs("none", 150), "--workers", "2", "--shard", "0/2"], { cwd: folder });
    assert.deepEqual([both.code, /--workers and --shard/.test(both.stderr)], [2, true]);
    const alone = await runCli(["score", "worker", "calm"], { cwd: folder });
    assert.deepEqual([alone.code, /--queue/.test(alone.stderr)], [2, true]);
  });

  it("checks whole input files where it is asked to", async () => {
    const args = [...jobArgs("full", 150), "--verify", "full", "--plan-only"];
    assert.equal((await runCli(args, { cwd: folder })).code, 0);
    const plan = JSON.parse(readFileSync(join(folder, "full/plan.json"), "utf8")) as {
      input: { files: { sha256: string }[] };
    };
    assert.match(plan.input.files[0]!.sha256, /^[0-9a-f]{64}$/);
  });

  it("scores lines of stdin, with the model in a process of its own", async () => {
    const args = ["score", "m.onnx", "--stdin", "--stdout", "--cache", "off", "--json"];
    const pipe = startCli(args, { cwd: folder });
    const [stdout, stderr] = [collect(pipe.stdout), collect(pipe.stderr)];
    pipe.stdin.end('{"x":[1,2],"id":12345678901234567890}\n{"x":[1]}\n{"x":[0,1]}\n');
    assert.deepEqual(await once(pipe, "close"), [0, null], stderr());
    assert.equal(stdout(), '{"id":12345678901234567890,"y":[9,12,15]}\n{"y":[4,5,6]}\n');
    const [bad, summary] = stderr()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([bad!.file, bad!.row, bad!.code], ["stdin", 1, "TENSOR_VALUE"]);
    assert.deepEqual([summary!.rows, summary!.quarantined], [3, 1]);
    const refused = await runCli(["score", "m.onnx", "--stdin"], { cwd: folder });
    assert.equal(refused.code, 2);
  });
});
