/** Doors: keys on every route, rates, turns between keys, foreign pages and hosts, HTTPS, and what answers never tell. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { isTenonError } from "tenon/base";
import { createHandler, type RunningServer, type ServeLog, serve } from "tenon/serve";
import { selfSigned } from "../support/certificate.js";
import { describeDoors } from "../support/doors.js";
import {
  RawConnection,
  rawRequest,
  type Served,
  send,
  simpleRequest,
  startServed,
  until,
} from "../support/served.js";
import { longLoopModel } from "../support/small-models.js";

const INFER = "/v2/models/simple/infer";
const OPEN = ["/v2/health/live", "/v2/health/ready"];

const keyLine = (name: string, key: string, rest = ""): string =>
  `${name} sha256:${createHash("sha256").update(key).digest("hex")} ${rest}\n`;
const bearer = (key: string): Record<string, string> => ({ Authorization: `Bearer ${key}` });

/** A log that notes the messages of its lines, but for those of requests. */
function noting(messages: string[]): ServeLog {
  const note = (_: object, message: string): void => {
    if (message !== "request") messages.push(message);
  };
  return { isLevelEnabled: (level) => level !== "debug", debug: note, info: note, warn: note, error: note };
}

describeDoors("doors", (fronts) => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-doors-"));
  const keyFile = join(folder, "keys");
  let served: Served;
  let keyed: RunningServer;

  before(async () => {
    served = await startServed({ fronts });
    writeFileSync(
      keyFile,
      keyLine("alice", "key-a") + keyLine("bob", "key-b", "rate=2/s") + keyLine("flood", "key-f"),
    );
    keyed = await serve(served.engine, {
      port: 0,
      fronts,
      apiKeyFile: keyFile,
      corsOrigin: ["https://app.example"],
    });
  });
  after(async () => {
    await keyed.close();
    await served[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const statusOf = async (
    path: string,
    headers: Record<string, string>,
    method = "GET",
    body = "",
  ): Promise<number> => (await send(keyed.port, rawRequest(path, body, headers, method))).status;

  describe("keys", () => {
    it("every route but health refuses a request without a key, or with a wrong one", async () => {
      const { routes, close } = createHandler(served.engine);
      await close();
      assert.ok(routes.length >= 9);
      for (const { method, path } of routes) {
        const url = path.replace("{model}", "simple").replace("{version}", "1");
        for (const headers of [
          {},
          bearer("key-c"),
          bearer(""),
          bearer("key-a,"),
          { Authorization: "key-a" },
          { Authorization: "Basic a2V5LWE=" },
          { "X-Api-Key": "key-a" },
        ] as Record<string, string>[]) {
          const status = await statusOf(url, headers, method);
          assert.equal(status, OPEN.includes(url) ? 200 : 401, `${method} ${url} ${JSON.stringify(headers)}`);
        }
        assert.notEqual(await statusOf(url, bearer("key-a"), method), 401, url);
      }
    });

    it("the gate stands before routing: unknown paths, verbs and odd spellings of health are refused too", async () => {
      for (const path of [
        "/",
        "/nope",
        "/v2/",
        "/v2//health/live",
        "/v2/health/live/",
        "/v2/health/../models/simple",
      ]) {
        assert.equal(await statusOf(path, {}), 401, path);
      }
      assert.equal(await statusOf(INFER, {}, "DELETE"), 401);
      assert.equal(await statusOf(INFER, {}, "OPTIONS"), 401);
      assert.equal(await statusOf("/v2/health/live", {}, "POST"), 405);
      assert.equal(await statusOf("/nope", bearer("key-a")), 404);
    });

    it("tells how to ask, and does not read the body of who may not", async () => {
      const answer = await send(keyed.port, rawRequest(INFER, "", { "Content-Length": "50000000" }));
      assert.equal(answer.headers.get("www-authenticate"), "Bearer");
      assert.equal(answer.headers.get("x-tenon-error"), "REQUEST_UNAUTHORIZED");
      assert.equal(answer.headers.get("connection"), "close");
      using waiting = await RawConnection.open(keyed.port);
      waiting.write(rawRequest(INFER, "", { "Content-Length": "1000", Expect: "100-continue" }));
      assert.equal((await waiting.answer())?.status, 401, "no 100 Continue first");
    });

    it("serves who has one; browsers of an allowed origin may ask with OPTIONS first", async () => {
      assert.equal(await statusOf(INFER, bearer("key-a"), "POST", simpleRequest()), 200);
      assert.equal(await statusOf(INFER, { authorization: "bearer key-a" }, "POST", simpleRequest()), 200);
      const origin = { Origin: "https://app.example" };
      const preflight = await send(keyed.port, rawRequest(INFER, "", origin, "OPTIONS"));
      assert.equal(preflight.status, 204);
      assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /Authorization/);
      assert.equal(await statusOf("/v2", origin), 401);
    });

    it("a rate is kept, and the answer says when to come again", async () => {
      const statuses: number[] = [];
      let again: string | undefined;
      for (let i = 0; i < 6; i++) {
        const answer = await send(keyed.port, rawRequest("/v2", "", bearer("key-b"), "GET"));
        statuses.push(answer.status);
        if (answer.status === 429) again = answer.headers.get("retry-after");
      }
      assert.deepEqual(statuses.slice(0, 2), [200, 200]);
      assert.ok(statuses.includes(429));
      assert.equal(again, "1");
      assert.equal(await statusOf("/v2", bearer("key-a")), 200, "another key is not touched");
    });

    it("the file is read again when it changes; a broken one changes nothing", async () => {
      const file = join(folder, "changing");
      writeFileSync(file, keyLine("one", "first"));
      const logged: string[] = [];
      const log = noting(logged);
      await using server = await serve(served.engine, { port: 0, fronts, apiKeyFile: file, log });
      const ask = async (key: string): Promise<number> =>
        (await send(server.port, rawRequest("/v2", "", bearer(key), "GET"))).status;
      assert.deepEqual([await ask("first"), await ask("second")], [200, 401]);
      writeFileSync(file, keyLine("two", "second"));
      await until(() => logged.length === 1);
      assert.deepEqual([await ask("first"), await ask("second")], [401, 200]);
      writeFileSync(file, "no key at all");
      await until(() => logged.length === 2);
      assert.match(logged[1]!, /cannot be read/);
      assert.equal(await ask("second"), 200);
      writeFileSync(file, "# nobody\n");
      await until(() => logged.length === 3);
      assert.equal(await ask("second"), 401);
    });

    it("no key file, an empty one and one setting alone for HTTPS are refused at the start", async () => {
      const empty = join(folder, "empty");
      writeFileSync(empty, "# no keys\n");
      await assert.rejects(serve(served.engine, { port: 0, fronts, apiKeyFile: empty }), (error) =>
        isTenonError(error, "CONFIG_INVALID"),
      );
      await assert.rejects(
        serve(served.engine, { port: 0, fronts, apiKeyFile: join(folder, "absent") }),
        (error) => isTenonError(error, "FILE_NOT_FOUND"),
      );
      await assert.rejects(serve(served.engine, { port: 0, fronts, tlsCert: empty }), (error) =>
        isTenonError(error, "CONFIG_INVALID"),
      );
      await assert.rejects(
        serve(served.engine, { port: 0, fronts, tlsCert: empty, tlsKey: empty }),
        (error) => isTenonError(error, "CONFIG_INVALID"),
      );
    });
  });

  it("a key that floods a model does not keep another one waiting for its queue", async () => {
    await served.engine.load(longLoopModel(), { name: "loop", calibrate: false });
    const x = new Array<number>(64 * 64).fill(0);
    const inputs = [
      { name: "rounds", shape: [], datatype: "INT64", data: [3000] },
      { name: "x", shape: [64, 64], datatype: "FP32", data: x },
    ];
    const body = JSON.stringify({ inputs, parameters: { binary_data_output: true } });
    const order: string[] = [];
    const ask = async (key: string): Promise<void> => {
      const answer = await send(keyed.port, rawRequest("/v2/models/loop/infer", body, bearer(key)));
      assert.equal(answer.status, 200);
      order.push(key);
    };
    const flood = Array.from({ length: 60 }, () => ask("key-f"));
    await until(() => order.length >= 10);
    const before = order.length;
    await ask("key-a");
    const between = order.length - 1 - before;
    await Promise.all(flood);
    assert.ok(between < 20, `${between} of the other key's requests were answered first`);
  });

  describe("foreign pages and hosts", () => {
    const ask = async (headers: Record<string, string>): Promise<number> =>
      (await send(served.server.port, rawRequest(INFER, simpleRequest(), headers))).status;

    it("a name that was rebound to this machine is refused", async () => {
      for (const host of [
        "rebound.example",
        "rebound.example:8000",
        "localhost.rebound.example",
        "127.0.0.1@evil",
      ]) {
        assert.equal(await ask({ Host: host }), 403, host);
      }
      assert.equal(await ask({ Host: "localhost" }), 200);
    });

    it("a form or an image of another site is refused, whatever its type", async () => {
      for (const type of [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
      ]) {
        assert.equal(await ask({ Origin: "https://evil.example", "Content-Type": type }), 403, type);
      }
      assert.equal(await ask({ Origin: "null" }), 403);
      assert.equal(await ask({ "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" }), 403);
      assert.equal(await ask({ "Sec-Fetch-Site": "none" }), 200);
    });
  });

  it("one key's bytes never reach another key, whatever went wrong", async () => {
    const canary = "CANARY-7f3a91";
    const mine = bearer("key-a");
    const big = canary.repeat(10_000);
    const strings = (text: string): string =>
      JSON.stringify({ inputs: [{ name: "x", shape: [1, 1], datatype: "BYTES", data: [text] }] });
    const header = JSON.stringify({
      inputs: [
        { name: "x", shape: [1, 100_000], datatype: "UINT8", parameters: { binary_data_size: 100_000 } },
      ],
      parameters: { binary_data_output: true },
    });
    const binary = (section: Uint8Array, key: string): Buffer =>
      rawRequest("/v2/models/identity_UINT8/infer", Buffer.concat([Buffer.from(header), section]), {
        "Inference-Header-Content-Length": String(header.length),
        ...bearer(key),
      });
    const zeros = new Uint8Array(100_000);
    for (let round = 0; round < 5; round++) {
      const hers = [
        rawRequest("/v2/models/identity_BYTES/infer", strings(big), mine),
        rawRequest("/v2/models/identity_BYTES/infer", strings(canary), {
          ...mine,
          "x-request-id": `${canary}-${round}`,
        }),
        rawRequest(`/v2/models/${canary}/infer`, strings(big), mine),
        rawRequest(INFER, big, mine),
        rawRequest(INFER, big, { ...mine, "Content-Encoding": "gzip" }),
        binary(Buffer.from(big).subarray(0, 100_000), "key-a"),
        binary(Buffer.from(big).subarray(0, 99_000), "key-a"),
      ];
      using leaving = await RawConnection.open(keyed.port);
      leaving.write(binary(Buffer.from(big).subarray(0, 100_000), "key-a").subarray(0, -500));
      await Promise.all(hers.map((request) => send(keyed.port, request)));
      leaving.socket.destroy();
      const others = [
        binary(zeros, "key-f"),
        binary(zeros.subarray(1), "key-f"),
        rawRequest(INFER, simpleRequest(), bearer("key-f")),
        rawRequest(INFER, "{", bearer("key-f")),
        rawRequest("/v2/models/nope/infer", "", bearer("key-f")),
        rawRequest("/v2/models/identity_BYTES/infer", strings("x"), bearer("key-f")),
        rawRequest("/v2", "", {}, "GET"),
      ];
      for (const answer of await Promise.all(others.map((request) => send(keyed.port, request)))) {
        const text = [...answer.headers].flat().join(" ") + answer.body.toString("latin1");
        assert.ok(!text.includes("CANARY"), text.slice(0, 300));
      }
    }
  });

  describe("HTTPS", () => {
    const certFile = join(folder, "cert.pem");
    const keyPem = join(folder, "key.pem");
    const use = ({ cert, key }: { cert: string; key: string }): void => {
      writeFileSync(certFile, cert);
      writeFileSync(keyPem, key);
    };

    /** The status, and the subject of the certificate that was shown. */
    function ask(
      port: number,
      ca: readonly string[],
      agent = new Agent(),
    ): Promise<[number | undefined, string]> {
      return new Promise((resolve, reject) => {
        get({ port, host: "localhost", path: "/v2", ca: [...ca], agent }, (res) => {
          const subject = (res.socket as TLSSocket).getPeerCertificate().subject.CN as string; // there is one name
          res.resume().on("end", () => resolve([res.statusCode, subject]));
        }).on("error", reject);
      });
    }

    it("serves the files' certificate, and the new one when they change, without a restart", async () => {
      const [first, second] = [selfSigned("first"), selfSigned("second")];
      use(first);
      const logged: string[] = [];
      const log = noting(logged);
      await using server = await serve(served.engine, {
        port: 0,
        fronts,
        tlsCert: certFile,
        tlsKey: keyPem,
        log,
      });
      assert.match(server.url, /^https:/);
      const ca = [first.cert, second.cert];
      const kept = new Agent({ keepAlive: true });
      assert.deepEqual(await ask(server.port, ca, kept), [200, "first"]);
      writeFileSync(certFile, "damaged");
      await until(() => logged.length > 0);
      assert.match(logged[0]!, /cannot be read again/);
      assert.deepEqual(await ask(server.port, ca), [200, "first"]);
      use(second);
      await until(() => logged.some((line) => line === "certificate read again"));
      assert.deepEqual(await ask(server.port, ca), [200, "second"]);
      assert.deepEqual(await ask(server.port, ca, kept), [200, "first"], "open connections go on");
      kept.destroy();
    });

    it("who does not speak TLS gets nothing, and does no harm", async () => {
      const pair = selfSigned("alone");
      use(pair);
      await using server = await serve(served.engine, { port: 0, fronts, tlsCert: certFile, tlsKey: keyPem });
      using plain = await RawConnection.open(server.port);
      plain.write(rawRequest("/v2", "", {}, "GET"));
      assert.equal(await plain.answer(), undefined);
      using noise = await RawConnection.open(server.port);
      noise.write(Buffer.from("160301ffff010203", "hex"));
      noise.socket.end();
      await sleep(20);
      assert.deepEqual(await ask(server.port, [pair.cert]), [200, "alone"]);
    });
  });
});
