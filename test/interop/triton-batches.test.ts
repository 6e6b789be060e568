/** Bursts of requests on one stream to a real Triton server and to ours: batches, statistics and refusals must be the same. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { GrpcClient, type GrpcRequest, inferRequest, streamAnswer } from "../support/grpc-client.js";
import { type ServedRepository, serveRepository } from "../support/repository.js";
import { DATATYPES, identityModel, simpleModel } from "../support/served.js";
import { type RealTriton, startTriton } from "./triton-server.js";

interface Burst {
  /** `dynamic_batching` of its model. */
  readonly batching: string;
  /** Rows of each request, in the order in which they are sent. */
  readonly rows: readonly number[];
  /** Columns of each request; all 2 by default. */
  readonly columns?: readonly number[];
  /** Each is sent so long after the one before; 0 by default. */
  readonly gapMs?: number;
  /** Requests that are refused before they wait: Triton counts them nowhere, we count them as failed. */
  readonly refused?: number;
  /** Parameters of each request. */
  readonly parameters?: readonly GrpcRequest["parameters"][];
}

/** A delay that every burst fits into, however slow the machine. */
const LONG = "max_queue_delay_microseconds: 800000";

/** Triton begins a preferred batch as soon as it sees one: what it sees depends on its threads where all come at once. */
const GAP_MS = 60;

const BURSTS: Readonly<Record<string, Burst>> = {
  fills_the_model: { batching: LONG, rows: [1, 1, 1, 1, 1, 1, 1, 1] },
  fills_it_twice: { batching: LONG, rows: new Array(16).fill(1) },
  waits_for_the_rest: { batching: LONG, rows: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1] },
  rows_that_do_not_fit: { batching: LONG, rows: [3, 3, 3, 3] },
  preferred: {
    batching: `preferred_batch_size: [ 4 ] ${LONG}`,
    rows: [1, 1, 1, 1, 1, 1, 1, 1],
    gapMs: GAP_MS,
  },
  preferred_and_a_rest: {
    batching: `preferred_batch_size: [ 4 ] ${LONG}`,
    rows: [1, 1, 1, 1, 1, 1],
    gapMs: GAP_MS,
  },
  two_preferred: { batching: `preferred_batch_size: [ 2, 6 ] ${LONG}`, rows: [1, 1, 1, 1, 1], gapMs: GAP_MS },
  preferred_is_stepped_over: {
    batching: `preferred_batch_size: [ 4 ] ${LONG}`,
    rows: [3, 3, 3],
    gapMs: GAP_MS,
  },
  two_shapes: { batching: LONG, rows: [1, 1, 1, 1, 1, 1, 1, 1], columns: [2, 2, 3, 3, 2, 2, 2, 2] },
  in_order: {
    batching: `preserve_ordering: true preferred_batch_size: [ 4 ] ${LONG}`,
    rows: [1, 1, 1, 1],
    gapMs: GAP_MS,
  },
  too_many_wait: {
    batching: `preferred_batch_size: [ 8 ] ${LONG} default_queue_policy { max_queue_size: 3 }`,
    rows: [1, 1, 1, 1, 1],
    refused: 2,
  },
  too_late: {
    batching: `preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 3000000
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 500000 }`,
    rows: [1, 1],
  },
  late_but_served: {
    batching: `preferred_batch_size: [ 8 ] ${LONG}
      default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 200000 }`,
    rows: [1, 1],
  },
  own_timeouts: {
    batching: `preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 3000000
      default_queue_policy { timeout_action: REJECT allow_timeout_override: true default_timeout_microseconds: 9000000 }`,
    rows: [1, 1, 1],
    parameters: [{ timeout: 300_000 }, {}, { timeout: 300_000 }],
  },
  no_own_timeouts: {
    batching: `preferred_batch_size: [ 8 ] ${LONG}
      default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 9000000 }`,
    rows: [1, 1],
    parameters: [{ timeout: 300_000 }, {}],
  },
  two_levels: {
    batching: `priority_levels: 2 default_priority_level: 2 preferred_batch_size: [ 4 ] ${LONG}
      priority_queue_policy { key: 2 value { max_queue_size: 1 } }`,
    rows: [1, 1, 1, 1],
    refused: 1,
    parameters: [{ priority: 2 }, { priority: 2 }, { priority: 1 }, { priority: 1 }],
  },
};

const configOf = ({ batching }: Burst): string => `max_batch_size: 8
input [ { name: "x" data_type: TYPE_INT32 dims: [ -1 ] } ]
output [ { name: "y" data_type: TYPE_INT32 dims: [ -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
dynamic_batching { ${batching} }`;

const PLAIN = `max_batch_size: 8
input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]`;

const CONFIGS = {
  ...Object.fromEntries(Object.entries(BURSTS).map(([name, burst]) => [name, configOf(burst)])),
  simple: PLAIN,
};

interface Stats {
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: Readonly<Record<string, { readonly count: number }>>;
  readonly batch_stats: readonly {
    readonly batch_size: number;
    readonly compute_infer: { readonly count: number };
  }[];
}

/** What a server counted for a model: without its times. */
async function counted(url: string, model: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(`${url}/v2/models/${model}/stats`);
  assert.equal(answer.status, 200);
  const [stats] = ((await answer.json()) as { model_stats: [Stats] }).model_stats;
  return {
    inferences: stats.inference_count,
    executions: stats.execution_count,
    ...Object.fromEntries(
      ["success", "fail", "queue"].map((key) => [key, stats.inference_stats[key]!.count]),
    ),
    batches: stats.batch_stats.map(({ batch_size, compute_infer }) => [batch_size, compute_infer.count]),
  };
}

function plus(counts: Readonly<Record<string, unknown>>, key: string, more = 0): object {
  return { ...counts, [key]: (counts[key] as number) + more };
}

/** Failed requests by reason. */
async function failures(metricsUrl: string, model: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await (await fetch(metricsUrl)).text();
  const lines = text.matchAll(/^nv_inference_request_failure\{([^}]*)\} ([0-9.e+]+)$/gm);
  return Object.fromEntries(
    [...lines]
      .filter(([, labels]) => labels!.includes(`model="${model}"`))
      .map(([, labels, count]) => [/reason="(\w+)"/.exec(labels!)![1]!, Number(count)])
      .sort(),
  );
}

/** Sends a burst on one stream; what came back for each request: its error, or that its rows came back. */
async function send(port: number, model: string, burst: Burst): Promise<readonly string[]> {
  using client = new GrpcClient(port);
  const stream = client.stream();
  const told = new Map<string, string>();
  const failed: string[] = [];
  const done = new Promise<void>((resolve, reject) => {
    stream.on("data", (bytes: Buffer) => {
      const { error, answer } = streamAnswer(bytes);
      if (error !== "") failed.push(error.replace(/request id: [^\]]*/, "request id: …"));
      else told.set(answer!.id, Buffer.from(answer!.outputs[0]!.raw).toString("hex"));
      if (failed.length + told.size === burst.rows.length) resolve();
    });
    stream.on("error", reject);
  });
  for (const [i, rows] of burst.rows.entries()) {
    if (i > 0 && burst.gapMs !== undefined) await sleep(burst.gapMs);
    const columns = burst.columns?.[i] ?? 2;
    const raw = new Uint8Array(new Int32Array(rows * columns).fill(i).buffer);
    const request: GrpcRequest = {
      model,
      id: `r${i}`,
      inputs: [{ name: "x", datatype: "INT32", shape: [rows, columns], raw }],
      parameters: burst.parameters?.[i],
    };
    stream.write(inferRequest(request));
  }
  await done;
  stream.end();
  return [...[...told].map(([id, hex]) => `${id} ${hex}`).sort(), ...failed.sort()];
}

describe("bursts at a real Triton server and at ours", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-triton-"));
  let triton: RealTriton;
  let ours: ServedRepository;
  before(async () => {
    triton = await startTriton(process.env.TENON_INTEROP!, folder, CONFIGS);
    const files = Object.entries(CONFIGS).flatMap(([name, config]) => [
      [`${name}/config.pbtxt`, config],
      [`${name}/1/model.onnx`, name === "simple" ? simpleModel() : identityModel(DATATYPES.INT32)],
    ]);
    ours = await serveRepository(
      Object.fromEntries(files) as Record<string, string | Uint8Array>,
      ...["--model-control", "explicit", "--load-model", "*"],
    );
  });
  after(async () => {
    await ours?.[Symbol.asyncDispose]();
    await triton?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const [name, burst] of Object.entries(BURSTS)) {
    it(`batch alike: ${name.replaceAll("_", " ")}`, async () => {
      const [theirs, own] = await Promise.all([
        send(triton.grpcPort, name, burst),
        send(ours.ready.grpcPort, name, burst),
      ]);
      assert.deepEqual(own, theirs);
      assert.deepEqual(
        await counted(ours.ready.url, name),
        plus(await counted(triton.url, name), "fail", burst.refused),
      );
      assert.deepEqual(
        await failures(`${ours.ready.url}/metrics`, name),
        plus(
          await failures(`http://127.0.0.1:${triton.metricsPort}/metrics`, name),
          "REJECTED",
          burst.refused,
        ),
      );
    });
  }

  it("count alike after a load again, and after an unload and a load", async () => {
    const servers = [triton.url, ours.ready.url];
    const tensor = (name: string): object => ({
      name,
      datatype: "INT32",
      shape: [1, 16],
      data: new Array(16).fill(1),
    });
    const good = { inputs: [tensor("INPUT0"), tensor("INPUT1")] };
    const post = async (path: string, body: object = {}): Promise<void> => {
      const statuses = await Promise.all(
        servers.map(async (url) => {
          const answer = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body) });
          await answer.arrayBuffer();
          return answer.status;
        }),
      );
      assert.equal(statuses[1], statuses[0], path);
    };
    const alike = async (when: string): Promise<void> => {
      // A backend of Triton's reports a request after its answer is on its way.
      await sleep(500);
      const [theirs, own] = await Promise.all(servers.map((url) => counted(url, "simple")));
      assert.deepEqual(own, theirs, when);
    };
    await post("/v2/models/simple/infer", good);
    await alike("after a request");
    await post("/v2/repository/models/simple/load");
    await alike("loaded again");
    await post("/v2/models/simple/infer", good);
    await alike("after a request to the loaded one");
    await post("/v2/repository/models/simple/unload");
    await post("/v2/repository/models/simple/load");
    await alike("unloaded and loaded");
  });
});
