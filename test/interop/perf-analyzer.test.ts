/** perf_analyzer, Triton's own load generator, over HTTP and gRPC, with batches and with shared memory. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type Served, startServed } from "../support/served.js";

interface Counted {
  readonly model_stats: readonly {
    readonly inference_count: number;
    readonly inference_stats: {
      readonly success: { readonly count: number };
      readonly fail: { readonly count: number };
    };
  }[];
}

describe("perf_analyzer", () => {
  const home = process.env.TENON_INTEROP!;
  let served: Served;
  before(async () => {
    served = await startServed({ grpcPort: 0, extensions: ["system_shared_memory"] });
  });
  after(() => served[Symbol.asyncDispose]());

  const stats = async (): Promise<Counted["model_stats"][number]> => {
    const answer = await fetch(`${served.url}/v2/models/simple/stats`);
    return ((await answer.json()) as Counted).model_stats[0]!;
  };

  async function measure(...args: readonly string[]): Promise<string> {
    const [python] = readdirSync(join(home, "perf/lib"));
    const [machine] = readdirSync(join(home, "b64/usr/lib"));
    const libraries = [`perf/lib/${python}/site-packages/nvidia/cuda_runtime/lib`, `b64/usr/lib/${machine}`];
    const { stdout } = await promisify(execFile)(
      join(home, "perf/bin/perf_analyzer"),
      // Whether the numbers are steady is the machine's matter, not the protocol's.
      ["-m", "simple", "--measurement-mode", "count_windows", "--measurement-request-count", "50"]
        .concat(["--stability-percentage", "999", "--concurrency-range", "2"])
        .concat(args),
      {
        env: {
          ...process.env,
          LD_LIBRARY_PATH: libraries.map((folder) => join(home, folder)).join(":"),
        },
        timeout: 240_000,
      },
    );
    return stdout;
  }

  const cases: Readonly<Record<string, () => readonly string[]>> = {
    "over HTTP": () => ["-u", `127.0.0.1:${served.server.port}`],
    "over HTTP in batches": () => ["-u", `127.0.0.1:${served.server.port}`, "-b", "8"],
    "over HTTP in shared memory": () => [
      "-u",
      `127.0.0.1:${served.server.port}`,
      "--shared-memory",
      "system",
    ],
    "over gRPC": () => ["-i", "grpc", "-u", `127.0.0.1:${served.server.grpcPort}`],
    "over gRPC as a stream": () => [
      ...["-i", "grpc", "-u", `127.0.0.1:${served.server.grpcPort}`],
      ...["--streaming", "--async"],
    ],
    "over gRPC in shared memory": () => [
      ...["-i", "grpc", "-u", `127.0.0.1:${served.server.grpcPort}`],
      ...["--shared-memory", "system"],
    ],
  };
  for (const [name, args] of Object.entries(cases)) {
    it(name, async () => {
      const before = await stats();
      assert.match(await measure(...args()), /Throughput: [1-9]/);
      const after = await stats();
      assert.equal(after.inference_stats.fail.count, before.inference_stats.fail.count);
      const requests = after.inference_stats.success.count - before.inference_stats.success.count;
      assert.ok(requests >= 150, String(requests));
      const rows = args().includes("-b") ? 8 : 1;
      assert.equal(after.inference_count - before.inference_count, rows * requests);
    });
  }
});
