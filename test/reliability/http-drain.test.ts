/** The end of `tenon serve` under load: what is under way is answered, new work is refused in words, nothing hangs. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import { graph, writeModel } from "tenon/onnx";
import { collect, firstLine, startCli } from "../support/cli.js";
import { describeDoors } from "../support/doors.js";
import { RawConnection, rawRequest, send } from "../support/served.js";
import { longLoopModel } from "../support/small-models.js";

/** One matrix product that takes many seconds and, being one node, cannot be stopped in between. */
function stuckModel(): Uint8Array {
  const g = graph({ name: "stuck" });
  const side = g.input("side", "int64", [2]);
  const big = g.add("ConstantOfShape", [side]);
  g.output(g.add("ReduceMax", [g.add("MatMul", [big, big])], { keepdims: 0 }), "y");
  return writeModel(g.model());
}

function loopRequest(rounds: number): Buffer {
  const x = new Uint8Array(4 * 64 * 64);
  const json = JSON.stringify({
    inputs: [
      { name: "rounds", shape: [], datatype: "INT64", data: [rounds] },
      { name: "x", shape: [64, 64], datatype: "FP32", parameters: { binary_data_size: x.length } },
    ],
    outputs: [{ name: "y", parameters: { binary_data: true } }],
  });
  return rawRequest("/v2/models/loop/infer", Buffer.concat([Buffer.from(json), x]), {
    "Inference-Header-Content-Length": String(json.length),
  });
}

describeDoors("draining", (fronts) => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-drain-"));
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0", TENON_FRONTS: String(fronts) };
  after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, "loop.onnx"), writeModel(longLoopModel()));
  writeFileSync(join(cwd, "stuck.onnx"), stuckModel());

  it("SIGTERM under load: not one request that was under way fails, exit code 0", async () => {
    const child = startCli(["serve", "loop.onnx", "--json"], { cwd, env });
    const port = Number(new URL(JSON.parse(await firstLine(child)).url).port);
    const request = loopRequest(2000);
    const counts = { answered: 0, refused: 0, lost: 0 };
    let draining = false;
    const client = async (): Promise<void> => {
      for (;;) {
        const connection = await RawConnection.open(port).catch(() => undefined);
        if (connection === undefined) return;
        using open = connection;
        for (;;) {
          open.write(request);
          const answer = await open.answer();
          if (answer === undefined) {
            // A connection that the server closed while it was idle: nothing was under way on it.
            if (!draining) counts.lost++;
            return;
          }
          if (answer.status === 200) counts.answered++;
          else {
            assert.deepEqual([answer.status, answer.headers.get("x-tenon-error")], [503, "SERVER_DRAINING"]);
            counts.refused++;
          }
          if (answer.headers.get("connection") === "close") break;
        }
      }
    };
    // These are under way when the signal comes: longer than everything else.
    const under = Array.from({ length: 4 }, () => send(port, loopRequest(60_000)));
    const clients = Array.from({ length: 6 }, client);
    while (counts.answered < 12) await send(port, loopRequest(1));
    draining = true;
    child.kill("SIGTERM");
    const answers = await Promise.all(under);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    await Promise.all(clients);
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.equal(counts.lost, 0);
  });

  it("readiness goes first, health is answered, new work is refused with Retry-After", async () => {
    const child = startCli(["serve", "loop.onnx", "--json"], { cwd, env });
    const stderr = collect(child.stderr);
    const port = Number(new URL(JSON.parse(await firstLine(child)).url).port);
    const under = send(port, loopRequest(400_000));
    await send(port, rawRequest("/v2", "", {}, "GET"));
    child.kill("SIGTERM");
    while (!stderr().includes("draining")) await once(child.stderr, "data");
    const ready = await send(port, rawRequest("/v2/health/ready", "", {}, "GET"));
    assert.deepEqual([ready.status, JSON.parse(ready.body.toString())], [400, { live: true, ready: false }]);
    assert.equal((await send(port, rawRequest("/v2/health/live", "", {}, "GET"))).status, 200);
    const refused = await send(port, loopRequest(1));
    assert.deepEqual(
      [refused.status, refused.headers.get("connection"), refused.headers.get("retry-after")],
      [503, "close", "1"],
    );
    assert.equal((await under).status, 200);
    assert.deepEqual(await once(child, "close"), [0, null]);
  });

  it("a connection that says nothing does not keep the server", async () => {
    const child = startCli(["serve", "loop.onnx", "--json", "--drain", "60s"], { cwd, env, timeout: 30_000 });
    const port = Number(new URL(JSON.parse(await firstLine(child)).url).port);
    using silent = await RawConnection.open(port);
    // Later connections are accepted later.
    await send(port, rawRequest("/v2", "", {}, "GET"));
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
    assert.equal(await silent.answer(), undefined);
  });

  for (const isolation of ["inline", "process"]) {
    it(`a run that cannot be stopped does not keep the server (${isolation})`, async () => {
      const child = startCli(
        ["serve", "stuck.onnx", "--json", "--drain", "300ms", "--isolation", isolation, "--warmup", "off"],
        { cwd, env },
      );
      const stderr = collect(child.stderr);
      const port = Number(new URL(JSON.parse(await firstLine(child)).url).port);
      using connection = await RawConnection.open(port);
      const inputs = [{ name: "side", shape: [2], datatype: "INT64", data: [6000, 6000] }];
      connection.write(rawRequest("/v2/models/stuck/infer", JSON.stringify({ inputs })));
      await send(port, rawRequest("/v2", "", {}, "GET"));
      child.kill("SIGTERM");
      const [code, signal] = await once(child, "close");
      assert.equal(await connection.answer(), undefined, "it would have taken far longer");
      if (signal === null) {
        assert.equal(code, 1);
        assert.match(stderr(), /1 request was cut off/);
      } else assert.equal(signal, "SIGKILL");
    });
  }

  it("explicit control: starts empty, loads what is asked for, reads the folder anew, and ends with 0", async () => {
    const repo = join(cwd, "repo");
    mkdirSync(repo);
    const child = startCli(["serve", "repo", "--json", "--model-control", "explicit"], { cwd, env });
    const ready = JSON.parse(await firstLine(child));
    assert.deepEqual(ready.models, []);
    const port = Number(new URL(ready.url).port);
    const post = async (path: string): Promise<number> => (await send(port, rawRequest(path))).status;
    assert.equal(await post("/v2/repository/models/loop/load"), 500);
    mkdirSync(join(repo, "loop/3"), { recursive: true });
    writeFileSync(join(repo, "loop/3/new"), writeModel(longLoopModel()));
    renameSync(join(repo, "loop/3/new"), join(repo, "loop/3/model.onnx"));
    assert.equal(await post("/v2/repository/models/loop/load"), 200);
    assert.equal((await send(port, loopRequest(1))).status, 200);
    const index = await send(port, rawRequest("/v2/repository/index"));
    assert.deepEqual(JSON.parse(index.body.toString()), [{ name: "loop", version: "3", state: "READY" }]);
    assert.equal((await send(port, rawRequest("/v2/health/ready", "", {}, "GET"))).status, 200);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
  });
});
