/** The real tritonclient from PyPI against the real server: every part of its script must hold. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startServed } from "../support/served.js";

/** The parts of a script that held, against the server at an address. */
async function parts(script: string, ...addresses: readonly string[]): Promise<readonly string[]> {
  const path = resolve(import.meta.dirname, "../../../test/python", script);
  const { stdout } = await promisify(execFile)(process.env.TENON_PYTHON!, [path, ...addresses], {
    encoding: "utf8",
    timeout: 120_000,
  });
  const lines = stdout.trim().split("\n");
  assert.equal(lines.pop(), "done");
  return lines;
}

test("tritonclient over HTTP", async () => {
  await using served = await startServed({ responseCompression: true });
  const held = await parts("tritonclient_suite.py", served.url.replace("http://", ""));
  assert.equal(held.length, 42);
});

test("tritonclient over gRPC", async () => {
  await using served = await startServed({ responseCompression: true, grpcPort: 0 });
  const held = await parts("tritonclient_grpc_suite.py", `127.0.0.1:${served.server.grpcPort}`);
  assert.equal(held.length, 29);
});

test("tritonclient with tensors in shared memory", async () => {
  await using served = await startServed({ grpcPort: 0, extensions: ["system_shared_memory"] });
  const address = served.url.replace("http://", "");
  const held = await parts("tritonclient_shared_memory.py", address, `127.0.0.1:${served.server.grpcPort}`);
  assert.deepEqual(held, ["tritonclient.http", "tritonclient.grpc"]);
});
