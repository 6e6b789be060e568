/** Plain requests on plain connections: the same answers as from node:http, in any company. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { on } from "tenon/base";
import { serve } from "tenon/serve";
import { binaryRequest, bytesOf, ones, row, simpleBinary } from "../support/infer-client.js";
import {
  type RawAnswer,
  RawConnection,
  rawRequest,
  type Served,
  send,
  simpleRequest,
  startServed,
  until,
} from "../support/served.js";

const INFER = "/v2/models/simple/infer";
const { body: BINARY, headers: BINARY_HEADERS } = binaryRequest(simpleBinary(), bytesOf(row), bytesOf(ones));
/** A header that no plain request has, and that changes nothing. */
const UNUSUAL = { TE: "trailers" };

const REQUESTS: Readonly<Record<string, readonly [string, string | Uint8Array, Record<string, string>]>> = {
  json: [INFER, simpleRequest(3, { id: "a" }), {}],
  version: ["/v2/models/simple/versions/1/infer", simpleRequest(3), { "x-request-id": "mine" }],
  binary: [INFER, BINARY, BINARY_HEADERS],
  "a raw body": [
    "/v2/models/identity_FP32/infer",
    bytesOf(new Float32Array([1, 2])),
    { "Inference-Header-Content-Length": "0" },
  ],
  "classes of texts": [
    INFER,
    simpleRequest(3, { outputs: [{ name: "OUTPUT1", parameters: { classification: 2 } }] }),
    {},
  ],
  "no JSON": [INFER, "{", {}],
  "an empty body": [INFER, "", {}],
  "no such model": ["/v2/models/none/infer", simpleRequest(3), {}],
  "binary, too short": [INFER, BINARY.subarray(0, -4), BINARY_HEADERS],
  "a foreign host": [INFER, simpleRequest(3), { Host: "elsewhere" }],
  "over the limit": [INFER, simpleRequest(3).padEnd(20_000), {}],
  compressed: [INFER, simpleRequest(1234567890 - 16), { "Accept-Encoding": "gzip" }],
  "with a wrong key": [INFER, simpleRequest(3), { Authorization: "Bearer other" }],
};

function told({ status, headers, body }: RawAnswer): unknown {
  const kept = [...headers].filter(([name]) => name !== "date");
  const named = kept.map(([name, value]) => [name, name === "x-request-id" && value !== "mine" ? "" : value]);
  return { status, headers: named, body: body.toString("latin1") };
}

describe("plain requests", () => {
  let served: Served;
  let port: number;
  before(async () => {
    served = await startServed({ jsonBodyMax: 16_384, responseCompression: true });
    port = served.server.port;
  });
  after(() => served[Symbol.asyncDispose]());

  for (const [name, [path, body, headers]] of Object.entries(REQUESTS)) {
    it(`are answered as by node:http: ${name}`, async () => {
      const plain = await send(port, rawRequest(path, body, headers));
      const other = await send(port, rawRequest(path, body, { ...headers, ...UNUSUAL }));
      assert.deepEqual(told(plain), told(other));
    });
  }

  it("are refused with a key as by node:http", async () => {
    await using keyed = await serve(served.engine, { port: 0, apiKey: "key" });
    for (const authorization of ["Bearer key", "Bearer other"]) {
      const headers = { Authorization: authorization };
      const plain = await send(keyed.port, rawRequest(INFER, simpleRequest(), headers));
      const other = await send(keyed.port, rawRequest(INFER, simpleRequest(), { ...headers, ...UNUSUAL }));
      assert.deepEqual(told(plain), told(other));
    }
  });

  it("keep their order among each other and with others, however they are cut", async () => {
    const all = Buffer.concat([
      rawRequest(INFER, simpleRequest(1)),
      rawRequest(INFER, BINARY, BINARY_HEADERS),
      rawRequest("/v2", "", {}, "GET"),
      rawRequest(INFER, simpleRequest(2)),
      rawRequest(INFER, "{"),
      rawRequest(INFER, simpleRequest(3)),
    ]);
    for (const size of [7, 100, 333, all.length]) {
      using connection = await RawConnection.open(port);
      for (let at = 0; at < all.length; at += size) {
        connection.write(all.subarray(at, at + size));
        if (size < 50) continue;
        await sleep(1);
      }
      const statuses: unknown[] = [];
      for (let i = 0; i < 6; i++) statuses.push((await connection.answer())?.status);
      assert.deepEqual(statuses, [200, 200, 200, 200, 400, 200], `${size} bytes at a time`);
    }
  });

  it("go on behind each other on one connection, and are logged", async () => {
    const seen: { path: string; status: number; bytesOut: number }[] = [];
    const stop = on("server:request", (facts) => void seen.push(facts));
    using connection = await RawConnection.open(port);
    const lengths: number[] = [];
    for (let i = 0; i < 5; i++) {
      connection.write(rawRequest(INFER, simpleRequest(i)));
      lengths.push((await connection.answer())!.body.length);
    }
    await until(() => seen.length === 5);
    stop();
    assert.deepEqual(
      seen.map(({ path, status, bytesOut }) => [path, status, bytesOut]),
      lengths.map((length) => [INFER, 200, length]),
    );
  });

  it("end with their connection, also when that was idle for too long", async () => {
    await using server = await serve(served.engine, { port: 0, keepAlive: 200, headersTimeout: 200 });
    using connection = await RawConnection.open(server.port);
    connection.write(rawRequest(INFER, simpleRequest()));
    assert.equal((await connection.answer())?.status, 200);
    await connection.closed();
    using silent = await RawConnection.open(server.port);
    assert.equal((await silent.answer())?.status, 408);
    await silent.closed();
  });
});
