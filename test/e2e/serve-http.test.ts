/** The HTTP server on raw sockets: limits, slow and broken clients, connections, compression, an orderly end. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { isTenonError, on } from "tenon/base";
import { serve } from "tenon/serve";
import { describeDoors } from "../support/doors.js";
import {
  chunked,
  RawConnection,
  rawRequest,
  type Served,
  send,
  simpleRequest,
  slowModel,
  startServed,
  until,
} from "../support/served.js";

const INFER = "/v2/models/simple/infer";

let served: Served;
let port: number;
describeDoors("the HTTP server", (fronts) => {
  before(async () => {
    served = await startServed({
      fronts,
      bodyMax: 4096,
      jsonBodyMax: 2048,
      bodyChunks: 16,
      headersTimeout: 300,
      requestTimeout: 600,
      connections: 40,
      corsOrigin: ["https://app.example"],
      allowedHosts: ["models.example"],
      responseCompression: true,
    });
    port = served.server.port;
  });
  after(() => served[Symbol.asyncDispose]());

  const errorOf = (body: Buffer): string => (JSON.parse(body.toString()) as { error: string }).error;

  describe("bodies", () => {
    it("arrive whole, in pieces, and chunked", async () => {
      const body = simpleRequest();
      assert.equal((await send(port, rawRequest(INFER, body))).status, 200);
      using slow = await RawConnection.open(port);
      const request = rawRequest(INFER, body);
      for (let at = 0; at < request.length; at += 50) {
        slow.write(request.subarray(at, at + 50));
        await sleep(1);
      }
      assert.equal((await slow.answer())?.status, 200);
      const parts = [body.slice(0, 10), body.slice(10)];
      const head = rawRequest(INFER, "", { "Transfer-Encoding": "chunked" });
      assert.equal((await send(port, Buffer.concat([head, chunked(parts)]))).status, 200);
    });

    it("a binary section split anywhere is read right", async () => {
      const json = JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ name: "x", shape: [1, 3], datatype: "FP64", parameters: { binary_data_size: 24 } }],
      });
      const data = Buffer.from(Float64Array.of(1, 2, 3).buffer);
      const headers = { "Inference-Header-Content-Length": String(json.length) };
      const request = rawRequest(
        "/v2/models/identity_FP64/infer",
        Buffer.concat([Buffer.from(json), data]),
        headers,
      );
      const bodyAt = request.length - json.length - 24;
      for (const at of [bodyAt, bodyAt + 1, request.length - 24, request.length - 13, request.length - 1]) {
        using connection = await RawConnection.open(port);
        connection.write(request.subarray(0, at));
        await sleep(2);
        connection.write(request.subarray(at));
        const answer = await connection.answer();
        assert.deepEqual(answer?.body.subarray(-24), data);
      }
    });

    it("at the limit pass, over it are refused at once", async () => {
      const body = simpleRequest();
      assert.equal((await send(port, rawRequest(INFER, body.padEnd(2048)))).status, 200);
      const over = await send(port, rawRequest(INFER, body.padEnd(2049)));
      assert.equal(over.status, 413);
      assert.match(errorOf(over.body), /exceeds the maximum allowed value of 2048 bytes/);
      // Only announced: nothing of the body is sent.
      const announced = await send(port, rawRequest(INFER, "", { "Content-Length": "99999999999" }));
      assert.deepEqual([announced.status, announced.headers.get("connection")], [413, "close"]);
      const json = Buffer.from(body);
      const surplus = rawRequest(INFER, Buffer.concat([json, Buffer.alloc(4096 - json.length)]), {
        "Inference-Header-Content-Length": String(json.length),
      });
      assert.match(errorOf((await send(port, surplus)).body), /additional input data/);
      const large = rawRequest(INFER, "", {
        "Content-Length": "4097",
        "Inference-Header-Content-Length": "10",
      });
      assert.equal((await send(port, large)).status, 413);
      const header = rawRequest(INFER, body.padEnd(2049), { "Inference-Header-Content-Length": "2049" });
      assert.match(errorOf((await send(port, header)).body), /JSON of 2049 bytes exceeds/);
    });

    it("a refused body that is sent anyway still lets its answer through", async () => {
      using connection = await RawConnection.open(port);
      connection.write(rawRequest(INFER, Buffer.alloc(300_000, 32)));
      const answer = await connection.answer();
      assert.equal(answer?.status, 413);
      await connection.closed();
    });

    it("chunked bodies have the same limits, and one on chunks", async () => {
      const head = rawRequest(INFER, "", { "Transfer-Encoding": "chunked" });
      const over = await send(port, Buffer.concat([head, chunked([simpleRequest(), " ".repeat(2048)])]));
      assert.equal(over.status, 413);
      const body = simpleRequest();
      const pieces = (count: number): Buffer =>
        chunked([...Array.from({ length: count - 1 }, () => " "), body]);
      assert.equal((await send(port, Buffer.concat([head, pieces(16)]))).status, 200);
      const many = await send(port, Buffer.concat([head, pieces(17)]));
      assert.equal(many.status, 413);
      assert.match(errorOf(many.body), /at most 16 chunks/);
    });

    it("gzip and deflate are read, bombs are not", async () => {
      const body = simpleRequest(3);
      for (const [encoding, bytes] of [
        ["gzip", gzipSync(body)],
        ["deflate", deflateSync(body)],
        ["identity", Buffer.from(body)],
      ] as const) {
        const answer = await send(port, rawRequest(INFER, bytes, { "Content-Encoding": encoding }));
        assert.equal(answer.status, 200, encoding);
      }
      const bomb = await send(
        port,
        rawRequest(INFER, gzipSync(Buffer.alloc(1_000_000, 32)), { "Content-Encoding": "gzip" }),
      );
      assert.equal(bomb.status, 413);
      const cut = await send(
        port,
        rawRequest(INFER, gzipSync(body).subarray(0, -12), { "Content-Encoding": "gzip" }),
      );
      assert.equal(cut.status, 400);
      const other = await send(port, rawRequest(INFER, body, { "Content-Encoding": "br" }));
      assert.deepEqual([other.status, other.headers.get("accept-encoding")], [501, "gzip, deflate"]);
      const json = JSON.stringify({
        inputs: [{ name: "x", shape: [1, 2], datatype: "FP64", parameters: { binary_data_size: 16 } }],
      });
      const binary = Buffer.concat([Buffer.from(json), Buffer.from(Float64Array.of(0.5, 2).buffer)]);
      const headers = {
        "Content-Encoding": "gzip",
        "Inference-Header-Content-Length": String(json.length),
      };
      const inflated = await send(
        port,
        rawRequest("/v2/models/identity_FP64/infer", gzipSync(binary), headers),
      );
      assert.match(inflated.body.toString(), /"data":\[0.5,2.0\]/);
    });

    it("answers are compressed for those who accept it", async () => {
      const data = Array.from({ length: 200 }, () => 1);
      const inputs = [{ name: "x", shape: [1, 200], datatype: "INT64", data }];
      const path = "/v2/models/identity_INT64/infer";
      const ask = (accept: string, extra: object = {}) =>
        send(port, rawRequest(path, JSON.stringify({ inputs, ...extra }), { "Accept-Encoding": accept }));
      const plain = await ask("identity");
      assert.equal(plain.headers.get("content-encoding"), undefined);
      const small = await ask("gzip");
      assert.equal(small.headers.get("content-encoding"), undefined, "below a kilobyte");
      const binary = { parameters: { binary_data_output: true } };
      const zipped = await ask("br, gzip;q=0.8", binary);
      assert.equal(zipped.headers.get("content-encoding"), "gzip");
      const headerLength = Number(zipped.headers.get("inference-header-content-length"));
      assert.equal(gunzipSync(zipped.body).length, headerLength + 1600);
      const deflated = await ask("gzip;q=0, deflate", binary);
      assert.equal(inflateSync(deflated.body).length, headerLength + 1600);
    });
  });

  describe("connections", () => {
    it("are kept, and pipelined requests answered in order", async () => {
      using connection = await RawConnection.open(port);
      const requests = [1, 2, 3, 4, 5].map((id) => rawRequest(INFER, simpleRequest(id, { id: String(id) })));
      connection.write(Buffer.concat([...requests, rawRequest("/v2", "", {}, "GET")]));
      for (const id of ["1", "2", "3", "4", "5"]) {
        const answer = await connection.answer();
        assert.equal(JSON.parse(answer!.body.toString()).id, id);
      }
      assert.equal((await connection.answer())?.status, 200);
      connection.write(rawRequest(INFER, simpleRequest()));
      assert.equal((await connection.answer())?.status, 200);
    });

    it("go on after a bad request whose body was read", async () => {
      using connection = await RawConnection.open(port);
      connection.write(Buffer.concat([rawRequest(INFER, "{"), rawRequest("/v2/nope", "some body")]));
      connection.write(rawRequest("/v2/models/nope/infer", simpleRequest()));
      connection.write(rawRequest(INFER, simpleRequest()));
      const statuses: (number | undefined)[] = [];
      for (let i = 0; i < 4; i++) statuses.push((await connection.answer())?.status);
      assert.deepEqual(statuses, [400, 404, 404, 200]);
    });

    it("headers that are too many, too large or malformed", async () => {
      const many = (count: number) =>
        rawRequest(
          "/v2",
          "",
          Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-H${i}`, "1"])),
          "GET",
        );
      assert.equal((await send(port, many(98))).status, 200);
      assert.equal((await send(port, many(99))).status, 431);
      const large = await send(port, rawRequest("/v2", "", { "X-Large": "x".repeat(17_000) }, "GET"));
      assert.deepEqual([large.status, large.headers.get("x-tenon-error")], [431, "REQUEST_TOO_LARGE"]);
      const broken = await send(port, Buffer.from("NONSENSE\r\n\r\n"));
      assert.deepEqual([broken.status, errorOf(broken.body)], [400, "malformed HTTP request"]);
      const negative = await send(port, rawRequest(INFER, "", { "Content-Length": "-1" }));
      assert.equal(negative.status, 400);
      const both = await send(
        port,
        Buffer.from(
          "POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
      );
      assert.equal(both.status, 400);
    });

    it("slow headers and slow bodies are cut with 408", async () => {
      using headers = await RawConnection.open(port);
      headers.write("POST /v2 HTTP/1.1\r\nHost: loc");
      using body = await RawConnection.open(port);
      body.write(rawRequest(INFER, "", { "Content-Length": "100" }));
      const drip = setInterval(() => body.write(" "), 50);
      try {
        const startedAt = performance.now();
        const [slowHeaders, slowBody] = await Promise.all([headers.answer(), body.answer()]);
        assert.deepEqual([slowHeaders?.status, slowBody?.status], [408, 408]);
        assert.equal(slowBody?.headers.get("x-tenon-error"), "REQUEST_TIMEOUT");
        assert.ok(performance.now() - startedAt < 5000);
      } finally {
        clearInterval(drip);
      }
    });

    it("Expect: refused before the body, continued, empty, and unknown", async () => {
      const refused = await send(
        port,
        rawRequest(INFER, "", { Expect: "100-continue", "Content-Length": "1000000" }),
      );
      assert.equal(refused.status, 413);
      using connection = await RawConnection.open(port);
      const body = simpleRequest();
      connection.write(
        rawRequest(INFER, "", { Expect: "100-continue", "Content-Length": String(body.length) }),
      );
      assert.equal((await connection.answer())?.status, 100);
      connection.write(body);
      assert.equal((await connection.answer())?.status, 200);
      assert.equal((await send(port, rawRequest(INFER, body, { Expect: "" }))).status, 200);
      assert.equal((await send(port, rawRequest(INFER, body, { Expect: "wonders" }))).status, 417);
    });

    it("more than the limit are dropped", async () => {
      const connections = await Promise.all(Array.from({ length: 45 }, () => RawConnection.open(port)));
      try {
        await until(() => connections.filter((connection) => connection.ended).length >= 5);
      } finally {
        for (const connection of connections) connection.socket.destroy();
      }
      // Freed places are taken again as soon as the server has seen the ends.
      const answered = async (): Promise<boolean> => {
        const answer = await send(port, rawRequest("/v2", "", {}, "GET")).catch(() => undefined);
        return answer?.status === 200;
      };
      for (let tries = 0; !(await answered()); tries++) assert.ok(tries < 100);
    });
  });

  describe("who may ask", () => {
    const ask = (headers: Record<string, string>, method = "GET") =>
      send(port, rawRequest("/v2", "", headers, method));

    it("hosts of this machine and those allowed", async () => {
      for (const host of [
        "localhost",
        "localhost:8000",
        "127.0.0.1:1",
        "[::1]:8000",
        "LocalHost",
        "models.example",
      ]) {
        assert.equal((await ask({ Host: host })).status, 200, host);
      }
      for (const host of ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example:80"]) {
        const { status, headers } = await ask({ Host: host });
        assert.deepEqual([status, headers.get("x-tenon-error")], [403, "REQUEST_FORBIDDEN"], host);
      }
    });

    it("no page of another origin but those allowed", async () => {
      assert.equal((await ask({ Origin: "https://evil.example" })).status, 403);
      assert.equal((await ask({ Origin: "null" })).status, 403);
      const allowed = await ask({ Origin: "https://app.example" });
      assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
      const preflight = await ask({ Origin: "https://app.example" }, "OPTIONS");
      assert.deepEqual(
        [preflight.status, preflight.headers.get("access-control-allow-methods")],
        [204, "GET"],
      );
      assert.equal((await ask({}, "OPTIONS")).status, 405);
    });
  });

  describe("what observers see", () => {
    it("one event for each request, with the client's id", async () => {
      const seen: { id: string; path: string; status: number; error?: string; bytesIn: number }[] = [];
      const stop = on("server:request", (event) => void seen.push(event));
      const body = simpleRequest();
      const answer = await send(port, rawRequest(INFER, body, { "x-request-id": "mine-1" }));
      assert.equal(answer.headers.get("x-request-id"), "mine-1");
      const made = await send(port, rawRequest("/v2/nope", "", { "x-request-id": "with space" }, "GET"));
      assert.match(made.headers.get("x-request-id") ?? "", /^[a-z0-9]{6}-[a-z0-9]+$/);
      await until(() => seen.length === 2);
      stop();
      assert.deepEqual(
        seen.map(({ path, status, error, bytesIn }) => [path, status, error, bytesIn]),
        [
          [INFER, 200, undefined, body.length],
          ["/v2/nope", 404, "REQUEST_NOT_FOUND", 0],
        ],
      );
      assert.equal(seen[0]?.id, "mine-1");
    });
  });

  describe("the end", () => {
    it("a client that goes away cancels its run", async () => {
      await using other = await startServed({ fronts });
      const side = 300;
      const slow = await other.engine.load(slowModel(400), { name: "slow", calibrate: false });
      const data = new Array(side * side).fill(0.001).join(",");
      const body = `{"inputs":[{"name":"x","shape":[${side},${side}],"datatype":"FP32","data":[${data}]}]}`;
      const errors: (string | undefined)[] = [];
      const stop = on("server:request", ({ error }) => void errors.push(error));
      const connection = await RawConnection.open(other.server.port);
      connection.write(rawRequest("/v2/models/slow/infer", body));
      await sleep(100);
      const startedAt = performance.now();
      connection.socket.destroy();
      await until(() => errors.length === 1);
      stop();
      assert.deepEqual(errors, ["CANCELLED"]);
      await slow.unload();
      assert.ok(performance.now() - startedAt < 1500, "the run was stopped, not waited for");
    });

    it("drains: in-flight requests finish, new ones are refused, connections close", async () => {
      const other = await startServed({ fronts });
      await other.engine.load(slowModel(400), { name: "slow", calibrate: false });
      const side = 200;
      const data = new Array(side * side).fill(0.001).join(",");
      const body = `{"inputs":[{"name":"x","shape":[${side},${side}],"datatype":"FP32","data":[${data}]}]}`;
      using busy = await RawConnection.open(other.server.port);
      using second = await RawConnection.open(other.server.port);
      busy.write(rawRequest("/v2/models/slow/infer", body));
      const request = rawRequest(INFER, simpleRequest());
      second.write(request.subarray(0, 20));
      await sleep(60);
      const closing = other.server.close();
      await sleep(100);
      second.write(request.subarray(20));
      const refused = await second.answer();
      assert.deepEqual([refused?.status, errorOf(refused!.body)], [503, "Server is shutting down"]);
      assert.equal(refused?.headers.get("connection"), "close");
      await second.closed();
      const answer = await busy.answer();
      assert.deepEqual([answer?.status, answer?.headers.get("connection")], [200, "close"]);
      await closing;
      await assert.rejects(RawConnection.open(other.server.port));
      await other.engine.close();
    });

    it("a taken port is an error that names the flag", async () => {
      await assert.rejects(serve(served.engine, { port, fronts }), (error) => {
        assert.ok(isTenonError(error, "ADDRESS_IN_USE"));
        assert.match(error.message, /--http-port/);
        return true;
      });
      await assert.rejects(serve(served.engine, { host: "192.0.2.1", port: 0, fronts }), (error) =>
        isTenonError(error, "CONFIG_INVALID"),
      );
    });

    it("an answer that nobody takes ends the connection", async () => {
      await using other = await startServed({ fronts, replyTimeout: 200 });
      using connection = await RawConnection.open(other.server.port);
      connection.socket.pause();
      const size = 8 << 20;
      const json = JSON.stringify({
        parameters: { binary_data_output: true },
        inputs: [{ name: "x", shape: [1, size], datatype: "UINT8", parameters: { binary_data_size: size } }],
      });
      const headers = { "Inference-Header-Content-Length": String(json.length) };
      const request = rawRequest(
        "/v2/models/identity_UINT8/infer",
        Buffer.concat([Buffer.from(json), Buffer.alloc(size)]),
        headers,
      );
      connection.write(request);
      connection.write(request);
      await sleep(1500);
      connection.socket.resume();
      await connection.answer();
      assert.equal(await connection.answer(), undefined);
    });
  });
});
