/** tenon/client and `tenon types` against a real server. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DATATYPES as CLIENT_DATATYPES, connect, InferenceError } from "tenon/client";
import { DTYPES } from "tenon/tensor";
import { runCli } from "../support/cli.js";
import { DATATYPES, type Served, startServed } from "../support/served.js";
import { saveMatMul } from "../support/small-models.js";

interface Models {
  readonly simple: {
    readonly inputs: { readonly INPUT0: "INT32"; readonly INPUT1: "INT32" };
    readonly outputs: { readonly OUTPUT0: "INT32"; readonly OUTPUT1: "INT32" };
  };
}

const row = Int32Array.from({ length: 16 }, (_, i) => i);

describe("tenon/client", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-client-"));
  let served: Served;
  before(async () => {
    served = await startServed();
  });
  after(async () => {
    await served[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test("datatypes are those of the one table of dtypes", () => {
    const named = Object.values(DTYPES).flatMap(({ oip, array, bits }) =>
      oip === null ? [] : [[oip, { array, bytes: bits >> 3 }] as const],
    );
    const ours = Object.entries(CLIENT_DATATYPES).map(
      ([name, { array, bytes }]) => [name, { array, bytes }] as const,
    );
    assert.deepEqual(Object.fromEntries(ours), Object.fromEntries(named));
  });

  test("runs a typed model; the shape is solved", async () => {
    const client = connect<Models>(served.url);
    const { OUTPUT0, OUTPUT1 } = await client.infer("simple", { INPUT0: row, INPUT1: [...row] });
    assert.deepEqual(
      OUTPUT0.data,
      row.map((value) => 2 * value),
    );
    assert.deepEqual(OUTPUT1.shape, [1, 16]);
    assert.ok(await client.ready());
    assert.ok(await client.ready("simple"));
    assert.equal(await client.ready("absent" as never), false);
  });

  test("every datatype there and back", async () => {
    const client = connect(served.url);
    const texts = { data: ["", "é", "🙂"], shape: [1, 3] };
    for (const datatype of Object.keys(DATATYPES)) {
      const model = `identity_${datatype}`;
      const input = datatype === "BYTES" ? texts : { data: sample(datatype), shape: [1, 3] };
      const { y } = await client.infer(model, { x: input as never });
      assert.deepEqual(y?.datatype, datatype);
      assert.deepEqual(y?.data, input.data, datatype);
    }
  });

  test("wanted outputs, id, whole answer", async () => {
    const client = connect<Models>(served.url);
    const answer = await client.inferRaw(
      "simple",
      { INPUT0: row, INPUT1: row },
      { id: "7", outputs: ["OUTPUT1"], version: "1" },
    );
    assert.equal(answer.id, "7");
    assert.deepEqual([...answer.outputs.keys()], ["OUTPUT1"]);
  });

  test("refusals carry status and code", async () => {
    const client = connect<Models>(served.url);
    await assert.rejects(client.metadata("absent"), (error) => {
      assert.ok(error instanceof InferenceError);
      assert.equal(error.status, 404);
      assert.equal(error.code, "MODEL_NOT_FOUND");
      return true;
    });
    await assert.rejects(
      client.infer("simple", { INPUT0: row } as never),
      (error) => error instanceof InferenceError && error.status === 400,
    );
    await assert.rejects(
      client.inferRaw("simple", { INPUT: row }),
      /no input "INPUT"; it takes "INPUT0", "INPUT1"/,
    );
    await assert.rejects(
      connect("http://127.0.0.1:1").metadata("simple"),
      (error) => error instanceof InferenceError && error.status === 0,
    );
  });

  test("the caller's own end of a request is its reason", async () => {
    const client = connect<Models>(served.url);
    const reason = new Error("enough");
    const call = client.infer("simple", { INPUT0: row, INPUT1: row }, { signal: AbortSignal.abort(reason) });
    await assert.rejects(call, reason);
  });

  test("a busy server is asked again after the time it names", async () => {
    let asked = 0;
    const server = createServer((_, answer) => {
      asked++;
      if (asked === 1) answer.writeHead(503, { "retry-after": "0" }).end('{"error":"full"}');
      else answer.end("[]");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    assert.deepEqual(await connect(url).models(), []);
    assert.equal(asked, 2);
    asked = 0;
    await assert.rejects(connect(url, { retries: 0 }).models(), /full/);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("a wait that another try would need ends with the request's time", { timeout: 20_000 }, async () => {
    const server = createServer((_, answer) => {
      answer.writeHead(503, { "retry-after": "30" }).end('{"error":"full"}');
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const isOurs = (error: unknown): boolean => error instanceof InferenceError && error.status === 0;
    await assert.rejects(connect(url, { timeout: 200 }).models(), isOurs);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("answers that break off, or are something else, are the server's failures", async () => {
    const server = createServer((asked, answer) => {
      if (asked.url === "/v2/models/cut") {
        answer.writeHead(200, { "content-length": "100" }).write("{");
        setTimeout(() => answer.destroy(), 50);
      } else answer.end(asked.url === "/v2/models/none" ? "<html>" : "{}");
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    for (const model of ["cut", "none", "other"])
      await assert.rejects(client.metadata(model), InferenceError);
    await assert.rejects(client.models(), InferenceError);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test("tenon types of a server and of a file", async () => {
    const { code, stdout, stderr } = await runCli(["types", served.url]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /readonly identity_BF16: \{/);
    assert.match(stdout, /readonly inputs: \{ readonly INPUT0: "INT32"; readonly INPUT1: "INT32" \};/);
    const file = saveMatMul(join(folder, "net.onnx"));
    const out = join(folder, "models.ts");
    assert.equal((await runCli(["types", file, "--output", out])).code, 0);
    assert.match(readFileSync(out, "utf8"), /\/\*\* x FP32\[-1, 2\] → y FP32\[/);
  });

  test("tenon types says what to do", async () => {
    const absent = await runCli(["types", "http://127.0.0.1:1"]);
    assert.equal(absent.code, 1);
    assert.match(
      absent.stderr,
      /SERVER_FAILED: no answer from http:\/\/127\.0\.0\.1:1[\s\S]*start the server/,
    );
    const unknown = await runCli(["types", served.url, "--model", "absent"]);
    assert.match(unknown.stderr, /SERVER_FAILED: Request for unknown model/);
  });
});

function sample(datatype: string): ArrayBufferView {
  const makers: Readonly<Record<string, () => ArrayBufferView>> = {
    BOOL: () => Uint8Array.of(1, 0, 1),
    UINT8: () => Uint8Array.of(1, 2, 255),
    UINT16: () => Uint16Array.of(1, 2, 65_535),
    UINT32: () => Uint32Array.of(1, 2, 2 ** 32 - 1),
    UINT64: () => BigUint64Array.of(1n, 2n, 2n ** 64n - 1n),
    INT8: () => Int8Array.of(-128, 0, 127),
    INT16: () => Int16Array.of(-1, 0, 1),
    INT32: () => Int32Array.of(-1, 0, 1),
    INT64: () => BigInt64Array.of(-(2n ** 63n), 0n, 1n),
    FP16: () => Uint16Array.of(0x3c00, 0, 0xbc00),
    BF16: () => Uint16Array.of(0x3f80, 0, 0xbf80),
    FP32: () => Float32Array.of(1.5, -0, Number.NaN),
    FP64: () => Float64Array.of(1.5, -0, 1e300),
  };
  return makers[datatype]!();
}
