/** Hostile clients: slow, broken, greedy and vanishing ones cost nobody but themselves. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { gzipSync } from "node:zlib";
import { on } from "tenon/base";
import { Engine, type Model } from "tenon/runtime";
import { type RunningServer, serve } from "tenon/serve";
import { tensor, zeros } from "tenon/tensor";
import { describeDoors } from "../support/doors.js";
import {
  chunked,
  identityModel,
  RawConnection,
  rawRequest,
  send,
  simpleModel,
  simpleRequest,
  until,
} from "../support/served.js";
import { longLoopModel } from "../support/small-models.js";

const INFER = "/v2/models/simple/infer";
const HEAD = `POST ${INFER} HTTP/1.1\r\nHost: localhost\r\n`;

/** What is no request, and what is answered before the connection closes. */
const MALFORMED: Readonly<Record<string, readonly [string, number]>> = {
  "no HTTP at all": ["hello\r\n\r\n", 400],
  "a TLS greeting": ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400],
  "the preface of HTTP/2": ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  "a version that is not there": ["GET /v2 HTTP/9.9\r\nHost: localhost\r\n\r\n", 400],
  "an unknown verb": ["GRAB /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
  "a verb in small letters": ["get /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
  "no host": ["GET /v2 HTTP/1.1\r\n\r\n", 400],
  "a space in a header's name": ["GET /v2 HTTP/1.1\r\nHost: localhost\r\nBad Name: 1\r\n\r\n", 400],
  "a space before the colon": ["GET /v2 HTTP/1.1\r\nHost: localhost\r\nName : 1\r\n\r\n", 400],
  "a header without a name": ["GET /v2 HTTP/1.1\r\nHost: localhost\r\n: 1\r\n\r\n", 400],
  "NUL in a header": ["GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400],
  "a lone carriage return in a header": ["GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n", 400],
  "two lengths": [`${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`, 400],
  "a length and chunks": [`${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
  "chunks and a length": [`${HEAD}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`, 400],
  "a negative length": [`${HEAD}Content-Length: -1\r\n\r\n`, 400],
  "a length that is no number": [`${HEAD}Content-Length: ten\r\n\r\n`, 400],
  "a length beyond all numbers": [`${HEAD}Content-Length: 99999999999999999999999\r\n\r\n`, 400],
  "a length over the limit": [`${HEAD}Content-Length: 9999999999\r\n\r\n`, 413],
  "a chunk size that is no number": [`${HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`, 400],
  "a chunk longer than it says": [`${HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\nabcdef\r\n0\r\n\r\n`, 400],
  "a chunk size beyond all numbers": [`${HEAD}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n`, 400],
  "endless chunk extensions": [`${HEAD}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(20_000)}\r\n`, 413],
  "an encoding behind chunked": [`${HEAD}Transfer-Encoding: chunked, gzip\r\n\r\n`, 400],
  "a header line of 20 KB": [`GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
  "a path of 20 KB": [`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 431],
  "an unknown expectation": [`${HEAD}Expect: wonders\r\nContent-Length: 2\r\n\r\n{}`, 417],
};

describeDoors("hostile clients", (fronts) => {
  let engine: Engine;
  let looping: Model;
  let server: RunningServer;
  /** With time limits that a test can wait for. */
  let hasty: RunningServer;

  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
    await engine.load(simpleModel(), { name: "simple", calibrate: false });
    await engine.load(identityModel("int8"), { name: "bytes", calibrate: false });
    looping = await engine.load(longLoopModel(), { name: "loop", calibrate: false });
    server = await serve(engine, { port: 0, fronts });
    hasty = await serve(engine, { port: 0, fronts, headersTimeout: 400, requestTimeout: 800 });
  });
  after(async () => {
    await server.close();
    await hasty.close();
    await engine.close();
  });

  /** A good request is served, whatever goes on beside it. */
  async function assertServes(port = server.port): Promise<void> {
    assert.equal((await send(port, rawRequest(INFER, simpleRequest()))).status, 200);
  }

  const loopRun = (rounds: bigint): ReturnType<Model["run"]> =>
    looping.run({ rounds: tensor(rounds), x: zeros("float32", [64, 64]) });

  function loopRequest(rounds: number): Buffer {
    const x = new Array<number>(64 * 64).fill(0);
    const inputs = [
      { name: "rounds", shape: [], datatype: "INT64", data: [rounds] },
      { name: "x", shape: [64, 64], datatype: "FP32", data: x },
    ];
    return rawRequest("/v2/models/loop/infer", JSON.stringify({ inputs }));
  }

  /** A request with an answer of 40 MB, more than sockets buffer. */
  function largeRequest(): Buffer {
    const size = 40 << 20;
    const inputs = [
      { name: "x", shape: [1, size], datatype: "INT8", parameters: { binary_data_size: size } },
    ];
    const json = JSON.stringify({ inputs, parameters: { binary_data_output: true } });
    return rawRequest("/v2/models/bytes/infer", Buffer.concat([Buffer.from(json), new Uint8Array(size)]), {
      "Inference-Header-Content-Length": String(json.length),
    });
  }

  for (const [what, [text, status]] of Object.entries(MALFORMED)) {
    it(`malformed: ${what}`, async () => {
      using connection = await RawConnection.open(server.port);
      connection.write(text);
      const answer = await connection.answer();
      assert.equal(answer?.status, status);
      assert.equal(typeof JSON.parse(answer.body.toString()).error, "string");
      if (answer.headers.get("connection") === "close") await connection.closed();
      await assertServes();
    });
  }

  it("many that drip headers and bodies are cut, and others are served meanwhile", async () => {
    const connections = await Promise.all(Array.from({ length: 60 }, () => RawConnection.open(hasty.port)));
    const starts = [
      "POST /v2/models/simple/infer HTTP/1.1\r\nHost: local",
      `${HEAD}Content-Length: 500\r\n\r\n{`,
    ];
    for (const [i, connection] of connections.entries()) connection.write(starts[i % 2]!);
    const drip = setInterval(() => {
      for (const connection of connections) connection.write("x");
    }, 50);
    try {
      await assertServes(hasty.port);
      const answers = await Promise.all(connections.map((connection) => connection.answer()));
      assert.ok(answers.every((answer) => answer?.status === 408));
      await assertServes(hasty.port);
    } finally {
      clearInterval(drip);
      for (const { socket } of connections) socket.destroy();
    }
  });

  it("65,536 chunks are read, one more is not", async () => {
    const head = rawRequest(INFER, "", { "Transfer-Encoding": "chunked" });
    const body = (count: number): Buffer =>
      Buffer.concat([head, chunked([...Array.from({ length: count - 1 }, () => " "), simpleRequest()])]);
    assert.equal((await send(server.port, body(65_536))).status, 200);
    assert.equal((await send(server.port, body(65_537))).status, 413);
    await assertServes();
  });

  it("compression bombs are refused without being unpacked, many at once", async () => {
    const bomb = rawRequest(INFER, gzipSync(Buffer.alloc(100 << 20, 32), { level: 9 }), {
      "Content-Encoding": "gzip",
    });
    const binary = rawRequest(INFER, gzipSync(Buffer.alloc(100 << 20)), {
      "Content-Encoding": "gzip",
      "Inference-Header-Content-Length": "10",
    });
    const before = process.memoryUsage().rss;
    const statuses = await Promise.all(
      [bomb, bomb, bomb, bomb, binary, binary].map(
        async (request) => (await send(server.port, request)).status,
      ),
    );
    assert.deepEqual(statuses, [413, 413, 413, 413, 413, 413]);
    assert.ok(process.memoryUsage().rss - before < 500 << 20, "600 MB unpacked would show");
    await assertServes();
  });

  it("a client that closes its side behind the request counts as gone: answered, if that was quick, and closed", async () => {
    using connection = await RawConnection.open(server.port);
    connection.socket.end(rawRequest(INFER, simpleRequest()));
    let text = "";
    for await (const chunk of connection.socket) text += chunk;
    assert.match(text, /^(HTTP\/1\.1 200|$)/);
    await assertServes();
  });

  it("the queued work of clients that vanish is dropped", async () => {
    const running = loopRun(60_000n);
    await until(() => looping.waiting === 0);
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawConnection.open(server.port)));
    for (const client of clients) client.write(loopRequest(100_000));
    await until(() => looping.waiting === 10);
    let done = false;
    const watched = running.then(() => (done = true));
    for (const { socket } of clients) socket.destroy();
    await until(() => looping.waiting === 0);
    assert.equal(done, false, "they were dropped, not run");
    await watched;
    await assertServes();
  });

  it("who leaves within a body, or resets the connection, leaves nothing behind", async () => {
    for (let i = 0; i < 30; i++) {
      using connection = await RawConnection.open(server.port);
      connection.write(rawRequest(INFER, simpleRequest()).subarray(0, 100 + 10 * i));
      if (i % 3 === 0) connection.socket.resetAndDestroy();
      else if (i % 3 === 1) connection.socket.end();
    }
    await assertServes();
  });

  it("who leaves while requests wait behind others of its connection leaves nothing behind", async () => {
    const other = await serve(engine, { port: 0, fronts });
    const connection = await RawConnection.open(other.port);
    const simple = rawRequest(INFER, simpleRequest());
    connection.write(Buffer.concat([simple, loopRequest(100_000), simple, simple, simple]));
    assert.equal((await connection.answer())?.status, 200);
    connection.socket.destroy();
    assert.deepEqual(await other.close(), { cutOff: 0 });
  });

  it("who never reads its answer holds no lane, and is cut", async () => {
    await using impatient = await serve(engine, { port: 0, fronts, replyTimeout: 500 });
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(impatient.port)));
    let left = clients.length;
    let stop = (): void => undefined;
    // Nobody reads, so an exchange ends only by the limit.
    const cut = new Promise<void>((resolve) => {
      stop = on("server:request", ({ path }) => {
        if (path === "/v2/models/bytes/infer" && --left === 0) resolve();
      });
    });
    try {
      for (const client of clients) {
        client.socket.pause();
        client.write(largeRequest());
      }
      // There is one lane.
      for (let i = 0; i < 5; i++) await assertServes(impatient.port);
      await cut;
      for (const { socket } of clients) socket.resume();
      for (const client of clients) assert.equal(await client.answer(), undefined);
    } finally {
      stop();
      for (const { socket } of clients) socket.destroy();
    }
  });

  it("a hundred requests in one write are answered in their order", async () => {
    using connection = await RawConnection.open(server.port);
    const ids = Array.from({ length: 100 }, (_, i) => `id-${i}`);
    connection.write(Buffer.concat(ids.map((id) => rawRequest(INFER, simpleRequest(0, { id })))));
    for (const id of ids) {
      const answer = await connection.answer();
      assert.deepEqual([answer?.status, JSON.parse(answer!.body.toString()).id], [200, id]);
    }
  });
});
