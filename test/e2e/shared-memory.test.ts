/** The system shared memory extension: regions are registered, read from and written to, and bad ones are refused. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { GrpcClient } from "../support/grpc-client.js";
import { type Served, startServed } from "../support/served.js";

const onLinux = process.platform === "linux";

describe("shared memory", { skip: onLinux ? false : "its files lie elsewhere" }, () => {
  let served: Served;
  let grpc: GrpcClient;
  let files: readonly string[];
  before(async () => {
    served = await startServed({ grpcPort: 0, extensions: ["system_shared_memory"] });
    grpc = new GrpcClient(served.server.grpcPort!);
    // Names that no other run has.
    const unique = basename(mkdtempSync("/dev/shm/tenon-test-"));
    rmSync(`/dev/shm/${unique}`, { recursive: true });
    files = ["in", "out", "link"].map((name) => `${unique}-${name}`);
    const row = Int32Array.from({ length: 16 }, (_, i) => i);
    writeFileSync(
      join("/dev/shm", files[0]!),
      Buffer.concat([Buffer.from(row.buffer), Buffer.from(row.buffer)]),
    );
    writeFileSync(join("/dev/shm", files[1]!), Buffer.alloc(160));
    symlinkSync("/etc/hostname", join("/dev/shm", files[2]!));
  });
  after(async () => {
    grpc.close();
    await served[Symbol.asyncDispose]();
    for (const file of files) rmSync(join("/dev/shm", file), { force: true });
  });

  const post = async (path: string, body: object = {}): Promise<{ status: number; text: string }> => {
    const answer = await fetch(served.url + path, { method: "POST", body: JSON.stringify(body) });
    return { status: answer.status, text: await answer.text() };
  };
  const base = "/v2/systemsharedmemory";
  const place = (region: string, offset: number): object => ({
    shared_memory_region: region,
    shared_memory_byte_size: 64,
    ...(offset === 0 ? {} : { shared_memory_offset: offset }),
  });

  it("runs from one region into another", async () => {
    assert.equal(
      (await post(`${base}/region/in%20put/register`, { key: `/${files[0]}`, byte_size: 128 })).status,
      200,
    );
    assert.equal(
      (await post(`${base}/region/out/register`, { key: files[1], offset: 32, byte_size: 128 })).status,
      200,
    );
    const status = await (await fetch(`${served.url}${base}/status`)).json();
    assert.deepEqual(status, [
      { name: "in put", key: `/${files[0]}`, offset: 0, byte_size: 128 },
      { name: "out", key: files[1], offset: 32, byte_size: 128 },
    ]);
    const input = (name: string, offset: number): object => ({
      name,
      datatype: "INT32",
      shape: [1, 16],
      parameters: place("in put", offset),
    });
    const answer = await post("/v2/models/simple/infer", {
      inputs: [input("INPUT0", 0), input("INPUT1", 64)],
      outputs: [{ name: "OUTPUT0", parameters: place("out", 64) }, { name: "OUTPUT1" }],
    });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(JSON.parse(answer.text).outputs, [
      { name: "OUTPUT0", datatype: "INT32", shape: [1, 16] },
      { name: "OUTPUT1", datatype: "INT32", shape: [1, 16], data: new Array(16).fill(0) },
    ]);
    const written = readFileSync(join("/dev/shm", files[1]!)).subarray(96, 160);
    assert.deepEqual(
      [...new Int32Array(Uint8Array.from(written).buffer)],
      Array.from({ length: 16 }, (_, i) => 2 * i),
    );
  });

  it("does the same over gRPC, beside raw tensors", async () => {
    const shared = (offset: number): Record<string, string | number> => ({
      shared_memory_region: "in put",
      shared_memory_byte_size: 64,
      shared_memory_offset: offset,
    });
    const answer = await grpc.infer({
      model: "simple",
      inputs: [
        { name: "INPUT0", datatype: "INT32", shape: [1, 16], parameters: shared(64) },
        {
          name: "INPUT1",
          datatype: "INT32",
          shape: [1, 16],
          raw: new Uint8Array(new Int32Array(16).fill(5).buffer),
        },
      ],
      outputs: [
        { name: "OUTPUT0", parameters: { shared_memory_region: "out", shared_memory_byte_size: 64 } },
        { name: "OUTPUT1" },
      ],
    });
    assert.deepEqual(
      answer.outputs.map(({ raw }) => raw.length),
      [0, 64],
    );
    const written = readFileSync(join("/dev/shm", files[1]!)).subarray(32, 96);
    assert.equal(written.readInt32LE(60), 20);
  });

  it("refuses what is not there, or leads elsewhere", async () => {
    const cases: readonly (readonly [string, object, number, RegExp])[] = [
      ["/region/a/register", { byte_size: 8 }, 400, /has no 'key' field/],
      ["/region/a/register", { key: "x" }, 400, /has no 'byte_size' field/],
      ["/region/a/register", { key: "../etc/passwd", byte_size: 8 }, 400, /Unable to open shared memory/],
      ["/region/a/register", { key: "no-such-file", byte_size: 8 }, 400, /Unable to open shared memory/],
      ["/region/a/register", { key: files[2], byte_size: 1 }, 400, /Unable to open shared memory/],
      ["/region/a/register", { key: files[0], byte_size: 129 }, 400, /ends behind the 128 bytes/],
      ["/region/out/register", { key: files[1], byte_size: 8 }, 400, /already in manager/],
    ];
    for (const [path, body, status, text] of cases) {
      const answer = await post(base + path, body);
      assert.equal(answer.status, status, answer.text);
      assert.match(answer.text, text);
    }
    const infer = async (parameters: object): Promise<string> => {
      const inputs = [{ name: "x", datatype: "FP32", shape: [1, 2], parameters }];
      const answer = await post("/v2/models/identity_FP32/infer", { inputs });
      return `${answer.status} ${answer.text}`;
    };
    const at = (region: unknown, size?: unknown, offset = 0): object => ({
      shared_memory_region: region,
      shared_memory_byte_size: size,
      shared_memory_offset: offset,
    });
    assert.match(await infer(at("none", 8)), /^404 .*Unable to find shared memory region: 'none'/);
    assert.match(await infer(at("out", 8, 121)), /^400 .*Invalid offset \+ byte size/);
    assert.match(await infer(at("out", 12)), /^400 .*(byte size mismatch|unexpected)/);
    assert.match(await infer(at("out")), /^400 /);
    assert.match(await infer(at(7, 8)), /^400 /);
    const small = await post("/v2/models/identity_FP32/infer", {
      inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 2] }],
      outputs: [{ name: "y", parameters: at("out", 4) }],
    });
    assert.match(small.text, /should be at least 8 bytes to hold the results/);
    const both = await post("/v2/models/identity_FP32/infer", {
      inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 2] }],
      outputs: [{ name: "y", parameters: { ...at("out", 8), classification: 1 } }],
    });
    assert.match(both.text, /can't be used with the classification extension/);
  });

  it("forgets regions", async () => {
    assert.equal((await post(`${base}/region/out/unregister`)).status, 200);
    const status = await fetch(`${served.url}${base}/region/out/status`);
    assert.equal(status.status, 404);
    assert.match(await status.text(), /Unable to find system shared memory region: 'out'/);
    assert.equal((await post(`${base}/unregister`)).status, 200);
    assert.equal(await (await fetch(`${served.url}${base}/status`)).text(), "[]");
  });
});
