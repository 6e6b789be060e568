/** `tenon doctor` on a sound model, on hostile ones, and on this machine. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ATTACKS } from "../attacks/corpus.js";
import { runCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

describe("tenon doctor", { concurrency: 2 }, () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-doctor-"));
  after(() => rmSync(cwd, { recursive: true }));
  saveMatMul(join(cwd, "net.onnx"));
  writeFileSync(join(cwd, "loop.onnx"), ATTACKS["while-true"].make());
  writeFileSync(join(cwd, "broken.onnx"), "no model");

  test("a sound model may be loaded", async () => {
    const { code, stdout } = await runCli(["doctor", "net.onnx"], { cwd });
    assert.equal(stdout, "net.onnx  may be loaded (author untrusted, no findings)\n");
    assert.equal(code, 0);
  });

  test("findings say where, what is allowed and what to do; trust decides", async () => {
    const untrusted = await runCli(["doctor", "loop.onnx"], { cwd });
    assert.equal(untrusted.code, 4);
    assert.equal(untrusted.stderr, "");
    assert.match(untrusted.stdout, /^error LOOP_UNBOUNDED: a Loop never ends/);
    assert.match(untrusted.stdout, /^ {2}where: {3}Loop → y$/m);
    assert.match(untrusted.stdout, /^ {2}allowed: at most 1000000 turns$/m);
    assert.match(untrusted.stdout, /^ {2}do: {6}give the Loop a trip count/m);
    assert.match(untrusted.stdout, /^loop\.onnx {2}refused \(author untrusted, 1 error\)$/m);
    const pinned = await runCli(["doctor", "loop.onnx", "--trust", "pinned"], { cwd });
    assert.equal(pinned.code, 0);
    assert.match(pinned.stdout, /^warning LOOP_UNBOUNDED/);
  });

  test("the same as JSON, also for a file that cannot be read", async () => {
    const { code, stdout } = await runCli(["doctor", "broken.onnx", "--json"], { cwd });
    assert.equal(code, 4);
    const report = JSON.parse(stdout);
    assert.equal(report.schema, "tenon.doctor/1");
    assert.equal(report.refused, true);
    assert.deepEqual(
      report.findings.map((finding: { code: string }) => finding.code),
      ["FILE_FORMAT"],
    );
    assert.equal((await runCli(["doctor", "absent.onnx"], { cwd })).code, 2);
    assert.equal((await runCli(["doctor"], { cwd })).code, 2);
  });

  test("--env prints what a bug report needs, with the advice of the process", async () => {
    const env = { TENON_CACHE: "off", UV_THREADPOOL_SIZE: "1", TENON_LANES: "3" };
    const { code, stdout } = await runCli(["doctor", "--env", "--json"], { cwd, env });
    assert.equal(code, 0);
    const { schema, facts, advice } = JSON.parse(stdout);
    assert.equal(schema, "tenon.doctor-env/1");
    for (const name of ["tenon", "node", "onnxruntime", "flags", "cgroup memory", "pool threads"]) {
      assert.ok(facts[name], name);
    }
    assert.equal(facts.cache, "off");
    assert.deepEqual(
      advice.map((each: { code: string }) => each.code),
      ["POOL_TOO_SMALL"],
    );
  });
});
