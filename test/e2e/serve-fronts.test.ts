/** `serve` with fronts: clients cannot tell them from the server itself, and neither ends with a front nor outlives the server. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { on } from "tenon/base";
import { serve } from "tenon/serve";
import { firstLine, startCli } from "../support/cli.js";
import { binaryRequest, bytesOf, ones, row, simpleBinary } from "../support/infer-client.js";
import { childrenOf, until as holds, isAlive } from "../support/processes.js";
import {
  type RawAnswer,
  RawConnection,
  rawRequest,
  type Served,
  send,
  simpleModel,
  simpleRequest,
  slowModel,
  startServed,
  until,
} from "../support/served.js";

const INFER = "/v2/models/simple/infer";
const { body: BINARY, headers: BINARY_HEADERS } = binaryRequest(simpleBinary(), bytesOf(row), bytesOf(ones));

function identity(datatype: string, data: readonly unknown[], extra: object = {}): string {
  return JSON.stringify({ inputs: [{ name: "x", datatype, shape: [1, data.length], data }], ...extra });
}

/** What clients may ask, good and bad. */
const ASKED: Readonly<Record<string, Buffer>> = {
  live: rawRequest("/v2/health/live", "", {}, "GET"),
  options: rawRequest(INFER, "", { Origin: "https://app.example" }, "OPTIONS"),
  metadata: rawRequest("/v2/models/simple", "", {}, "GET"),
  json: rawRequest(INFER, simpleRequest(3, { id: "a" })),
  query: rawRequest(`${INFER}?x=1`, simpleRequest(3)),
  version: rawRequest("/v2/models/simple/versions/1/infer", simpleRequest(3)),
  "no such version": rawRequest("/v2/models/simple/versions/9/infer", simpleRequest(3)),
  "no such model": rawRequest("/v2/models/none/infer", simpleRequest(3)),
  "no model's name": rawRequest("/v2/models/%2e%2e/infer", simpleRequest(3)),
  "no path": rawRequest("/v3", simpleRequest(3)),
  "another method": rawRequest(INFER, "", {}, "GET"),
  "a page": rawRequest(INFER, simpleRequest(3), { Origin: "https://app.example" }),
  "a foreign page": rawRequest(INFER, simpleRequest(3), { Origin: "https://other.example" }),
  "a foreign host": rawRequest(INFER, simpleRequest(3), { Host: "elsewhere" }),
  "some outputs": rawRequest(INFER, simpleRequest(3, { outputs: [{ name: "OUTPUT1" }] })),
  "an output in binary": rawRequest(
    INFER,
    simpleRequest(3, {
      outputs: [{ name: "OUTPUT1", parameters: { binary_data: true } }, { name: "OUTPUT0" }],
    }),
  ),
  classes: rawRequest(
    INFER,
    simpleRequest(3, { outputs: [{ name: "OUTPUT1", parameters: { classification: 2 } }] }),
  ),
  parameters: rawRequest(
    INFER,
    simpleRequest(3, { parameters: { priority: 2, timeout: 9_000_000, mine: "x" } }),
  ),
  "parameters of the wrong kind": rawRequest(INFER, simpleRequest(3, { parameters: { priority: "high" } })),
  "an unknown output": rawRequest(INFER, simpleRequest(3, { id: "b", outputs: [{ name: "Z" }] })),
  "an unknown input": rawRequest(INFER, identity("INT32", [1])),
  "no JSON": rawRequest(INFER, "{"),
  "an empty body": rawRequest(INFER),
  "an own id": rawRequest(INFER, simpleRequest(3), { "x-request-id": "mine" }),
  gzip: rawRequest(INFER, gzipSync(simpleRequest(3)), { "Content-Encoding": "gzip" }),
  compressed: rawRequest("/v2/models/identity_FP32/infer", identity("FP32", new Array(500).fill(0.5)), {
    "Accept-Encoding": "gzip",
  }),
  binary: rawRequest(INFER, BINARY, BINARY_HEADERS),
  "binary, too short": rawRequest(INFER, BINARY.subarray(0, -4), BINARY_HEADERS),
  "binary, a wrong header": rawRequest(INFER, BINARY, { "Inference-Header-Content-Length": "x" }),
  "a raw body": rawRequest("/v2/models/identity_FP32/infer", bytesOf(new Float32Array([1, 2])), {
    "Inference-Header-Content-Length": "0",
  }),
  texts: rawRequest("/v2/models/identity_BYTES/infer", identity("BYTES", ["", "ü\n"])),
  "texts that are none": rawRequest("/v2/models/identity_BYTES/infer", ...invalidText()),
  longs: rawRequest("/v2/models/identity_INT64/infer", identity("INT64", [9007199254740991])),
  "65 KiB": rawRequest("/v2/models/identity_FP64/infer", identity("FP64", new Array(20_000).fill(0.25))),
  "over the limit": rawRequest(INFER, simpleRequest(3).padEnd(300_000)),
};

/** A string tensor whose bytes are no UTF-8, asked back as JSON. */
function invalidText(): readonly [Buffer, Record<string, string>] {
  const { body, headers } = binaryRequest(
    { inputs: [{ name: "x", datatype: "BYTES", shape: [1, 1], parameters: { binary_data_size: 5 } }] },
    Uint8Array.of(1, 0, 0, 0, 255),
  );
  return [body, headers];
}

/** An answer without what differs from one to the next. */
function told({ status, headers, body }: RawAnswer): unknown {
  const kept = [...headers].filter(([name]) => name !== "date");
  const named = kept.map(([name, value]) => [name, name === "x-request-id" && value !== "mine" ? "" : value]);
  return { status, headers: named, body: body.toString("latin1") };
}

describe("a server with fronts", () => {
  let served: Served;
  let alone: Served;
  const options = {
    responseCompression: true,
    corsOrigin: ["https://app.example"],
    jsonBodyMax: 262_144,
  };
  before(async () => {
    served = await startServed({ fronts: 2, ...options });
    alone = await startServed(options);
  });
  after(async () => {
    await served[Symbol.asyncDispose]();
    await alone[Symbol.asyncDispose]();
  });

  for (const [name, request] of Object.entries(ASKED)) {
    it(`answers as without: ${name}`, async () => {
      const [own, through] = await Promise.all(
        [alone, served].map(({ server }) => send(server.port, request)),
      );
      assert.deepEqual(told(through!), told(own!));
    });
  }

  it("counts as without", async () => {
    const counted = async ({ url }: Served): Promise<unknown> => {
      const answer = await fetch(`${url}/v2/models/simple/stats`);
      const { model_stats: stats } = (await answer.json()) as { model_stats: Record<string, unknown>[] };
      const { inference_count, execution_count, inference_stats } = stats[0] as Record<string, object>;
      const counts = Object.entries(inference_stats!).map(([name, { count }]) => [name, count]);
      return { inference_count, execution_count, counts };
    };
    assert.deepEqual(await counted(served), await counted(alone));
  });

  it("logs who asked what, and what the client got", async () => {
    const seen: object[] = [];
    const stop = on("server:request", (facts) => void seen.push(facts));
    const request = rawRequest(INFER, simpleRequest(1), {
      "x-request-id": "logged",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    const { body } = await send(served.server.port, request);
    await until(() => seen.length === 1);
    stop();
    const { milliseconds, ...facts } = seen[0] as { milliseconds: number };
    assert.ok(milliseconds > 0);
    assert.deepEqual(facts, {
      id: "logged",
      trace: "0af7651916cd43dd8448eb211c80319c",
      method: "POST",
      path: INFER,
      status: 200,
      bytesIn: simpleRequest(1).length,
      bytesOut: body.length,
    });
  });

  it("tells what its processes use", async () => {
    const page = await (await fetch(`${served.url}/metrics`)).text();
    assert.match(page, /^tenon_process_cpu_seconds_total\{process="server"\} [0-9.]+$/m);
    assert.match(page, /^tenon_process_cpu_seconds_total\{process="fronts"\} [0-9.]+$/m);
    assert.match(page, /^tenon_process_resident_memory_bytes\{process="fronts"\} [1-9][0-9]+$/m);
    assert.match(page, /^tenon_fronts 2$/m);
    assert.match(page, /^tenon_front_restarts_total 0$/m);
    assert.doesNotMatch(await (await fetch(`${alone.url}/metrics`)).text(), /fronts/);
  });

  it("keeps the order of requests on one connection, whoever answers them", async () => {
    using connection = await RawConnection.open(served.server.port);
    const asked = ["json", "metadata", "binary", "no JSON", "no path", "version"];
    for (const name of asked) connection.write(ASKED[name]!);
    const statuses: unknown[] = [];
    for (const _ of asked) statuses.push((await connection.answer())?.status);
    assert.deepEqual(statuses, [200, 200, 200, 400, 404, 200]);
  });
});

/** Processes of a command's fronts: its children that have no ONNX Runtime. */
function frontsOf(pid: number): readonly number[] {
  return childrenOf(pid).filter((child) =>
    readFileSync(`/proc/${child}/cmdline`, "latin1").includes("front-main"),
  );
}

describe("fronts of the command", { skip: process.platform !== "linux" && "reads /proc" }, () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-fronts-test-"));
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0", TMPDIR: cwd };
  after(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, "simple.onnx"), simpleModel());

  const start = async (...flags: readonly string[]) => {
    const child = startCli(["serve", "simple.onnx", "--fronts", "2", "--json", ...flags], { cwd, env });
    const port = Number(new URL(JSON.parse(await firstLine(child)).url).port);
    return { child, port, pid: child.pid! };
  };

  it("hold no library, are replaced when they die, and end with the server's end", async () => {
    const { child, port, pid } = await start("--log", "error");
    const fronts = frontsOf(pid);
    assert.equal(fronts.length, 2);
    const ask = async (): Promise<number> => (await send(port, rawRequest(INFER, simpleRequest()))).status;
    assert.equal(await ask(), 200);
    for (const front of fronts) {
      assert.doesNotMatch(readFileSync(`/proc/${front}/maps`, "latin1"), /onnxruntime|koffi/);
      assert.doesNotMatch(readFileSync(`/proc/${front}/environ`, "latin1"), /TENON|HOME/);
    }
    process.kill(fronts[0]!, "SIGKILL");
    // The other serves at once.
    assert.equal(await ask(), 200);
    assert.ok(await holds(() => frontsOf(pid).length === 2 && !frontsOf(pid).includes(fronts[0]!)));
    for (let i = 0; i < 4; i++) assert.equal(await ask(), 200);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
    assert.deepEqual(frontsOfAll(), []);
    const left = readdirSync(cwd).filter((name) => name.startsWith("tenon-"));
    assert.deepEqual(left, [], "nothing is left in the folder of temporary files");
  });

  const frontsOfAll = (): readonly number[] => childrenOf().flatMap((child) => frontsOf(child));

  it("die with the server", async () => {
    const { child, pid } = await start();
    const fronts = frontsOf(pid);
    child.kill("SIGKILL");
    assert.ok(await holds(() => fronts.every((front) => !isAlive(front))));
    for (const name of readdirSync(cwd))
      if (name.startsWith("tenon-fronts-")) rmSync(join(cwd, name), { recursive: true });
  });

  it("come to the server through a door that is closed to others", async () => {
    const { child } = await start();
    const name = readdirSync(cwd).find((entry) => entry.startsWith("tenon-fronts-"))!;
    assert.equal(statSync(join(cwd, name)).mode & 0o777, 0o700);
    const stranger = connect(join(cwd, name, "inner.sock"));
    let heard = "";
    stranger.on("data", (chunk) => {
      heard += chunk;
    });
    stranger.on("error", () => undefined);
    const mark = `x-tenon-front: ${"0".repeat(48)} 1 1.1 0 127.0.0.1\r\n`;
    stranger.write(`GET /v2 HTTP/1.1\r\nHost: localhost\r\n${mark}\r\n`);
    await once(stranger, "close");
    assert.equal(heard, "");
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
  });
});

describe("connections of fronts", () => {
  it("are as many as the server allows, and counted when they end", async () => {
    await using served = await startServed();
    await using server = await serve(served.engine, { port: 0, fronts: 2, connections: 3 });
    const request = rawRequest("/v2/health/live", "", {}, "GET");
    const open: RawConnection[] = [];
    for (let i = 0; i < 3; i++) {
      const connection = await RawConnection.open(server.port);
      connection.write(request);
      assert.equal((await connection.answer())?.status, 200);
      open.push(connection);
    }
    using refused = await RawConnection.open(server.port);
    refused.write(request);
    assert.equal(await refused.answer(), undefined);
    for (const connection of open) connection[Symbol.dispose]();
    await sleep(200);
    assert.equal((await send(server.port, request)).status, 200);
  });

  it("a client that goes away cancels what it asked for", async () => {
    await using served = await startServed({ fronts: 1 });
    const slow = await served.engine.load(slowModel(400), { name: "slow", calibrate: false });
    const side = 300;
    const { body, headers } = binaryRequest(
      {
        inputs: [
          {
            name: "x",
            datatype: "FP32",
            shape: [side, side],
            parameters: { binary_data_size: 4 * side * side },
          },
        ],
      },
      bytesOf(new Float32Array(side * side).fill(0.001)),
    );
    // The second knows how long a run takes.
    const errors: (string | undefined)[] = [];
    const stop = on("server:request", ({ error }) => void errors.push(error));
    using connection = await RawConnection.open(served.server.port);
    connection.write(rawRequest("/v2/models/slow/infer", body, headers));
    await sleep(100);
    const goneAt = performance.now();
    connection.socket.destroy();
    await until(() => errors.length === 1);
    stop();
    assert.deepEqual(errors, ["CANCELLED"]);
    await slow.unload();
    assert.ok(performance.now() - goneAt < 5000, "the run was stopped, not waited for");
  });
});
