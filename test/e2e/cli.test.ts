/** The command line as its users meet it: verbs, options, settings, exit codes, machine output. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { runCli } from "../support/cli.js";

describe("tenon", { concurrency: 2 }, () => {
  test("help names every command and exit code, without colour in a pipe", async () => {
    const { code, stdout } = await runCli(["--help"]);
    assert.equal(code, 0);
    for (const word of ["env", "Exit codes:", "130"]) assert.ok(stdout.includes(word), word);
    assert.ok(!stdout.includes("\u001b["));
  });

  test("no command is a usage error that prints the help", async () => {
    const { code, stderr } = await runCli([]);
    assert.equal(code, 2);
    assert.match(stderr, /Usage: tenon/);
  });

  test("slips in a command or option get a suggestion", async () => {
    const command = await runCli(["evn"]);
    assert.equal(command.code, 2);
    assert.match(command.stderr, /error USAGE: unknown command 'evn'[\s\S]*env/);
    const option = await runCli(["env", "--http-prt", "1"]);
    assert.equal(option.code, 2);
    assert.match(option.stderr, /--http-port/);
  });

  test("a failure under --json is one JSON line on stderr", async () => {
    const { code, stdout, stderr } = await runCli(["env", "--json", "--http-port", "99999"]);
    assert.equal(code, 2);
    assert.equal(stdout, "");
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, "CONFIG_INVALID");
    assert.equal(error.given, '"99999"');
  });

  test("stacks are printed with --log debug only", async () => {
    const quiet = await runCli(["env", "--queue", "x"]);
    assert.doesNotMatch(quiet.stderr, /\n\s+at /);
    const loud = await runCli(["env", "--queue", "x", "--log", "debug"]);
    assert.match(loud.stderr, /\n\s+at /);
  });

  test("FORCE_COLOR colours failures, NO_COLOR does not", async () => {
    const forced = await runCli(["evn"], { env: { FORCE_COLOR: "1" } });
    assert.ok(forced.stderr.includes("\u001b[31m"));
    const plain = await runCli(["evn"], { env: { NO_COLOR: "1" } });
    assert.ok(!plain.stderr.includes("\u001b["));
  });
});

describe("tenon env", () => {
  test("tells each value and where it came from", async (context) => {
    const cwd = await mkdtemp(join(tmpdir(), "tenon-env-"));
    context.after(() => rm(cwd, { recursive: true }));
    await writeFile(join(cwd, "tenon.config.json"), '{ "drain": "5s", "queue": 7 }');
    const env = { TENON_QUEUE: "8", TENON_HTTP_PROT: "1" };
    const { code, stdout, stderr } = await runCli(["env", "--http-port", "0", "--json"], { cwd, env });
    assert.equal(code, 0);
    assert.match(stderr, /TENON_HTTP_PROT; did you mean TENON_HTTP_PORT/);
    const report = JSON.parse(stdout);
    assert.equal(report.schema, "tenon.env/1");
    assert.equal(report.versions.node, process.versions.node);
    const byName = new Map<string, { value: unknown; source: string; from?: string }>(
      report.settings.map((setting: { name: string }) => [setting.name, setting]),
    );
    const seen = (name: string): unknown[] => [byName.get(name)!.value, byName.get(name)!.source];
    assert.deepEqual(seen("httpPort"), [0, "flag"]);
    assert.deepEqual(seen("queue"), [8, "env"]);
    assert.deepEqual(seen("drain"), [5000, "file"]);
    assert.deepEqual(seen("host"), ["127.0.0.1", "default"]);
    assert.equal(byName.get("queue")!.from, "TENON_QUEUE");
  });

  test("tells the native library's version, or why it cannot be used", async () => {
    const { versions } = JSON.parse((await runCli(["env", "--json"])).stdout);
    assert.match(versions.onnxruntime, /^\d+\.\d+/);
    const broken = await runCli(["env", "--json", "--ort-lib", "/absent.so"]);
    assert.equal(broken.code, 0);
    assert.match(JSON.parse(broken.stdout).versions.onnxruntime, /^not usable \(ENGINE_LIBRARY/);
  });

  test("prints aligned lines for people", async () => {
    const { stdout } = await runCli(["env"], { env: { TENON_LANES: "3" } });
    assert.match(stdout, /^lanes +3 +env TENON_LANES$/m);
    assert.match(stdout, /^http-port +8000 +default$/m);
  });
});
