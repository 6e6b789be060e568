/** The KServe SDK and Prometheus's parser against the real server. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join, resolve } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { startServed } from "../support/served.js";

it("serves the clients of KServe, and metrics that Prometheus reads", async () => {
  await using served = await startServed({ grpcPort: 0 });
  const script = resolve(import.meta.dirname, "../../../test/interop/clients.py");
  const { stdout } = await promisify(execFile)(
    join(process.env.TENON_INTEROP!, "clients/bin/python"),
    [script, served.url, `127.0.0.1:${served.server.grpcPort}`],
    { timeout: 240_000 },
  );
  assert.deepEqual(stdout.trim().split("\n"), ["kserve REST", "kserve gRPC", "prometheus_client"]);
});
