/** A repository that the server follows: what changed is served once it has settled, what is broken leaves the old. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { collect, firstLine, startCli } from "../support/cli.js";
import { identityModel, simpleModel, simpleRequest } from "../support/served.js";

interface Row {
  readonly name: string;
  readonly version?: string;
  readonly state?: string;
  readonly reason?: string;
}

describe("--model-control poll", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-poll-"));
  const repository = join(folder, "models");
  after(() => rmSync(folder, { recursive: true }));
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(join(repository, path, ".."), { recursive: true });
    writeFileSync(join(repository, path), content);
  };
  put("simple/1/model.onnx", simpleModel());
  put("broken/1/model.onnx", "no model yet");

  let child: ReturnType<typeof startCli>;
  let log: () => string;
  let url: string;
  before(async () => {
    child = startCli(
      [
        "serve",
        repository,
        "--json",
        "--isolation",
        "inline",
        "--model-control",
        "poll",
        "--model-poll",
        "50ms",
      ],
      { env: { TENON_CACHE: "off", TENON_HTTP_PORT: "0" } },
    );
    log = collect(child.stderr);
    ({ url } = JSON.parse(await firstLine(child)) as { url: string });
  });
  after(async () => {
    child.kill("SIGTERM");
    await once(child, "close");
  });

  const index = async (): Promise<readonly Row[]> =>
    (await (await fetch(`${url}/v2/repository/index`, { method: "POST" })).json()) as Row[];
  const rowsOf = async (name: string): Promise<readonly Row[]> =>
    (await index()).filter((row) => row.name === name);
  const infer = async (
    model: string,
  ): Promise<{ status: number; model_version?: string; outputs?: unknown[] }> => {
    const answer = await fetch(`${url}/v2/models/${model}/infer`, { method: "POST", body: simpleRequest(1) });
    return { status: answer.status, ...((await answer.json()) as object) };
  };
  const eventually = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    const end = performance.now() + 60_000;
    while (!(await holds())) {
      if (performance.now() > end) throw new Error(`not within a minute: ${what}\n${log()}`);
      await sleep(20);
    }
  };

  it("tells why a model is not served, and refuses to be told what to load", async () => {
    const [row] = await rowsOf("broken");
    assert.equal(row!.state, "UNAVAILABLE");
    assert.match(row!.reason!, /^MODEL_INVALID/);
    const load = await fetch(`${url}/v2/repository/models/simple/load`, { method: "POST" });
    assert.equal(load.status, 503);
  });

  it("keeps what serves beside a broken new version, and says why", async () => {
    put("simple/2/model.onnx", "half a model");
    await eventually("the reason is told", async () =>
      (await rowsOf("simple")).some(({ reason }) => !!reason),
    );
    const rows = await rowsOf("simple");
    assert.deepEqual(
      rows.map(({ version, state }) => [version, state]),
      [
        ["1", "READY"],
        ["2", "UNAVAILABLE"],
      ],
    );
    assert.match(rows[1]!.reason!, /^MODEL_INVALID/);
    assert.equal((await infer("simple")).model_version, "1");
  });

  it("takes files that were written in pieces when they are whole, without losing a request", async () => {
    const bytes = simpleModel();
    const half = bytes.length >> 1;
    let going = true;
    const statuses = new Set<number>();
    const traffic = (async () => {
      while (going) statuses.add((await infer("simple")).status);
    })();
    put("simple/2/model.onnx", bytes.subarray(0, half));
    appendFileSync(join(repository, "simple/2/model.onnx"), bytes.subarray(half));
    await eventually("version 2 serves", async () => (await infer("simple")).model_version === "2");
    going = false;
    await traffic;
    assert.deepEqual([...statuses], [200]);
    await eventually("version 1 is gone", async () => (await rowsOf("simple")).length === 1);
    assert.deepEqual(await rowsOf("simple"), [{ name: "simple", version: "2", state: "READY" }]);
  });

  it("follows a configuration, also a wrong one", async () => {
    put("simple/config.pbtxt", "max_batch_size: 4\nplatforms: 1");
    await eventually("the fault is told", async () =>
      (await rowsOf("simple")).some(({ reason }) => !!reason),
    );
    const [row] = await rowsOf("simple");
    assert.equal(row!.state, "READY");
    assert.match(row!.reason!, /simple\/config\.pbtxt:2:1: ModelConfig has no field "platforms"/);
    put("simple/config.pbtxt", "max_batch_size: 4");
    await eventually("it is followed", async () => {
      const config = await (await fetch(`${url}/v2/models/simple/config`)).json();
      return (config as { max_batch_size: number }).max_batch_size === 4;
    });
    assert.deepEqual(await rowsOf("simple"), [{ name: "simple", version: "2", state: "READY" }]);
  });

  it("serves what is added and ends what is taken away", async () => {
    put("broken/1/model.onnx", simpleModel());
    mkdirSync(join(folder, "beside/1"), { recursive: true });
    writeFileSync(join(folder, "beside/1/model.onnx"), identityModel("float32"));
    renameSync(join(folder, "beside"), join(repository, "added"));
    await eventually("the mended one serves", async () => (await infer("broken")).status === 200);
    await eventually(
      "the new one serves",
      async () => (await fetch(`${url}/v2/models/added/ready`)).status === 200,
    );
    rmSync(join(repository, "added"), { recursive: true });
    await eventually("it is gone", async () => (await infer("added")).status === 404);
    assert.equal((await infer("simple")).status, 200);
  });
});
