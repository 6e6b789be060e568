/** `tenon serve` as a real process: ready line, curl line, log, refusals, and an end that loses no request. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { collect, firstLine, runCli, startCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

const REQUEST = JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 1] }] });

describe("tenon serve", { concurrency: 2 }, () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-serve-"));
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0" };
  after(() => rmSync(cwd, { recursive: true }));
  saveMatMul(join(cwd, "net.onnx"));
  writeFileSync(join(cwd, "broken.onnx"), "no model");
  mkdirSync(join(cwd, "repo/first/1"), { recursive: true });
  mkdirSync(join(cwd, "repo/first/2"), { recursive: true });
  saveMatMul(join(cwd, "repo/first/1/model.onnx"));
  saveMatMul(join(cwd, "repo/first/2/model.onnx"));
  writeFileSync(join(cwd, "repo/first/config.pbtxt"), "max_batch_size: 8");

  test("prints a ready line and a curl line, serves, logs each request, ends with 0", async () => {
    const child = startCli(["serve", "net.onnx", "--log", "info"], { cwd, env });
    const stderr = collect(child.stderr);
    const stdout = collect(child.stdout);
    while (!stdout().includes("curl")) await once(child.stdout, "data");
    const url = /^ready (http:\/\/127\.0\.0\.1:\d+) serves net$/m.exec(stdout())?.[1];
    const curl = /^curl -s (\S+) -d '(.*)'$/m.exec(stdout())!;
    assert.equal(curl[1], `${url}/v2/models/net/infer`);
    const answer = await fetch(curl[1]!, { method: "POST", body: curl[2]! });
    const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
    assert.deepEqual(outputs[0]!.data, [5, 7, 9]);
    assert.equal((await fetch(`${url}/v2/health/ready`)).status, 200);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
    const line = stderr()
      .split("\n")
      .find((text) => text.includes("/infer"));
    const record = JSON.parse(line!);
    assert.equal(record.status, 200);
    assert.ok(record.id);
  });

  test("a request under way at SIGTERM is answered before the process ends", async () => {
    const child = startCli(["serve", "net.onnx", "--json"], { cwd, env });
    const ready = JSON.parse(await firstLine(child));
    assert.equal(ready.schema, "tenon.serve/1");
    assert.deepEqual(ready.models, [{ name: "net", version: "1" }]);
    const socket = connect(Number(new URL(ready.url).port), "127.0.0.1");
    const answer = collect(socket);
    socket.write(
      `POST /v2/models/net/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${REQUEST.length}\r\n\r\n${REQUEST.slice(0, 20)}`,
    );
    // The server has taken the connection once a second one is answered.
    await fetch(`${ready.url}/v2/health/live`);
    child.kill("SIGTERM");
    const stderr = collect(child.stderr);
    while (!stderr().includes("draining")) await once(child.stderr, "data");
    socket.write(REQUEST.slice(20));
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.match(answer(), /^HTTP\/1\.1 200[\s\S]*\[5\.0,7\.0,9\.0\]/);
  });

  test("a repository serves the newest version", async () => {
    const child = startCli(["serve", "repo", "other=net.onnx", "--json"], { cwd, env });
    const ready = JSON.parse(await firstLine(child));
    assert.deepEqual(ready.models, [
      { name: "first", version: "2" },
      { name: "other", version: "1" },
    ]);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "close"), [0, null]);
  });

  test("a model that does not load leaves the others serving; if none loads the command fails", async () => {
    const child = startCli(["serve", ".", "--json", "--warmup", "off"], { cwd, env });
    const ready = JSON.parse(await firstLine(child));
    assert.deepEqual(ready.models, [{ name: "net", version: "1" }]);
    assert.deepEqual(
      ready.failed.map((failure: { name: string; code: string }) => [failure.name, failure.code]),
      [["broken", "MODEL_INVALID"]],
    );
    child.kill("SIGTERM");
    await once(child, "close");
    const none = await runCli(["serve", "broken.onnx"], { cwd, env });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /error MODEL_UNAVAILABLE[\s\S]*broken: MODEL_INVALID/);
  });

  test("wrong paths and a taken port are usage errors", async () => {
    const absent = await runCli(["serve", "absent.onnx"], { cwd, env });
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /FILE_NOT_FOUND/);
    const nothing = await runCli(["serve"], { cwd, env });
    assert.equal(nothing.code, 2);
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const refused = await runCli(["serve", "net.onnx", "--http-port", String(port)], { cwd, env });
    taken.close();
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /ADDRESS_IN_USE[\s\S]*--http-port/);
  });

  test("readable logs and a warning when the network can reach the server", async () => {
    const args = ["serve", "net.onnx", "--host", "0.0.0.0", "--log", "info", "--log-format", "pretty"];
    const child = startCli(args, { cwd, env });
    const stderr = collect(child.stderr);
    await firstLine(child);
    assert.match(stderr(), /warning 0\.0\.0\.0 opens the server to the network/);
    assert.match(stderr(), /^\d\d:\d\d:\d\d\.\d{3} info {2}model loaded {2}model=net/m);
    child.kill("SIGTERM");
    await once(child, "close");
  });
});
