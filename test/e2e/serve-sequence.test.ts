/** Sequences: requests that belong together run in their order, with controls and state filled in by the server. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GrpcClient, inferRequest, streamAnswer } from "../support/grpc-client.js";
import {
  accumulator,
  accumulatorConfig,
  type ServedRepository,
  serveRepository,
} from "../support/repository.js";

const DIRECT = accumulatorConfig("direct { }");
const withControl = (from: string, to: string): string => {
  assert.ok(DIRECT.includes(from), from);
  return DIRECT.replace(from, to);
};

const BROKEN: Readonly<Record<string, readonly [string, RegExp]>> = {
  "two-starts": [
    withControl("CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_START"),
    /:9:\d+: CONTROL_SEQUENCE_START is set twice/,
  ],
  "no-values": [
    withControl("int32_false_true: [ 0, 1 ]", ""),
    /:8:\d+: CONTROL_SEQUENCE_START needs two values/,
  ],
  "one-value": [
    withControl("[ 0, 1 ] } ] },", "[ 0 ] } ] },"),
    /:8:\d+: CONTROL_SEQUENCE_START needs two values/,
  ],
  "other-values": [
    withControl("int32_false_true", "fp32_false_true"),
    /:8:\d+: input "START" of the model is TYPE_INT32/,
  ],
  "other-id": [
    withControl("TYPE_UINT64", "TYPE_STRING"),
    /:11:\d+: CONTROL_SEQUENCE_CORRID is TYPE_STRING, and input "CORRID" TYPE_UINT64/,
  ],
  "no-input": [withControl('"END"', '"FIN"'), /:9:\d+: "FIN" is not in the model/],
  "no-state": [withControl('"acc_out"', '"acc"'), /:13:\d+: "acc" is not in the model/],
  "wide-state": [
    withControl("TYPE_INT32 dims: [ 1 ]  }", "TYPE_INT32 dims: [ 2 ] }"),
    /:13:\d+: "acc_in" of the model has other dims than \[2\]/,
  ],
  "no-file": [
    accumulatorConfig(
      "direct { }",
      "TYPE_UINT64",
      'initial_state: { data_type: TYPE_INT32 dims: 1 data_file: "../x" }',
    ),
    /:13:\d+: data_file "\.\.\/x" is no file name/,
  ],
  iterative: [
    withControl("direct { }", "iterative_sequence: true"),
    /iterative_sequence, which is not done here/,
  ],
};

interface Params {
  readonly sequence_id?: number | string | bigint;
  readonly sequence_start?: boolean;
  readonly sequence_end?: boolean;
}

describe("sequence batching", () => {
  let served: ServedRepository;
  before(async () => {
    served = await serveRepository({
      "direct/1/model.onnx": accumulator(),
      "direct/config.pbtxt": DIRECT,
      "texts/1/model.onnx": accumulator("string"),
      "texts/config.pbtxt": accumulatorConfig(
        "oldest { max_candidate_sequences: 2 }",
        "TYPE_STRING",
        'initial_state: { data_type: TYPE_INT32 dims: 1 data_file: "hundred" }',
      ),
      "texts/initial_state/hundred": Buffer.from(Int32Array.of(100).buffer),
      "single/1/model.onnx": accumulator(),
      "single/config.pbtxt": accumulatorConfig("oldest { max_candidate_sequences: 1 }"),
      "brief/1/model.onnx": accumulator(),
      "brief/config.pbtxt": DIRECT.replace("60000000", "1000"),
      ...Object.fromEntries(
        Object.entries(BROKEN).flatMap(([name, [config]]) => [
          [`${name}/1/model.onnx`, accumulator()],
          [`${name}/config.pbtxt`, config],
        ]),
      ),
    });
  });
  after(() => served[Symbol.asyncDispose]());

  const body = (value: number, parameters: Params, rows = 1): string =>
    JSON.stringify(
      {
        inputs: [{ name: "INPUT", datatype: "INT32", shape: [rows, 1], data: new Array(rows).fill(value) }],
        parameters,
      },
      (_, v: unknown) => (typeof v === "bigint" ? `BIG${v}` : v),
    ).replace(/"BIG(\d+)"/g, "$1");
  const ask = async (
    model: string,
    value: number,
    parameters: Params,
    rows = 1,
  ): Promise<Readonly<Record<string, unknown>>> => {
    const text = body(value, parameters, rows);
    const answer = await served.post(`/v2/models/${model}/infer`, text);
    const told = (await answer.json()) as { error?: string; outputs?: { name: string; data: unknown[] }[] };
    if (told.error !== undefined) return { status: answer.status, error: told.error };
    return Object.fromEntries(told.outputs!.map(({ name, data }) => [name, data[0]]));
  };
  const sums = async (
    model: string,
    id: Params["sequence_id"],
    values: readonly number[],
  ): Promise<unknown[]> => {
    const answers = values.map((value, i) =>
      ask(model, value, {
        sequence_id: id!,
        ...(i === 0 ? { sequence_start: true } : {}),
        ...(i === values.length - 1 ? { sequence_end: true } : {}),
      }),
    );
    return (await Promise.all(answers)).map((one) => one.SUM);
  };

  it("is refused where it contradicts the model, with the place", () => {
    const failed = new Map(served.ready.failed.map(({ name, problem }) => [name, problem]));
    assert.deepEqual([...failed.keys()].sort(), Object.keys(BROKEN).sort());
    for (const [name, [, words]] of Object.entries(BROKEN)) assert.match(failed.get(name)!, words, name);
  });

  it("hides controls and state", async () => {
    const metadata = (await served.get("/v2/models/direct")) as Record<
      "inputs" | "outputs",
      { name: string }[]
    >;
    assert.deepEqual(
      metadata.inputs.map(({ name }) => name),
      ["INPUT"],
    );
    assert.deepEqual(
      metadata.outputs.map(({ name }) => name),
      ["SUM", "ID", "FIRST", "LAST", "HERE"],
    );
    const config = (await served.get("/v2/models/direct/config")) as {
      sequence_batching: { direct: object };
    };
    assert.deepEqual(Object.keys(config.sequence_batching.direct), [
      "max_queue_delay_microseconds",
      "minimum_slot_utilization",
    ]);
    assert.ok(((await served.get("/v2")) as { extensions: string[] }).extensions.includes("sequence"));
  });

  it("fills controls in and carries the state", async () => {
    const id = 2n ** 63n + 5n;
    const first = await ask("direct", 7, { sequence_id: id, sequence_start: true });
    assert.deepEqual(first, { SUM: 7, ID: Number(id), FIRST: 1, LAST: 0, HERE: true });
    const second = await ask("direct", 5, { sequence_id: id });
    assert.deepEqual(second, { SUM: 12, ID: Number(id), FIRST: 0, LAST: 0, HERE: true });
    const last = await ask("direct", 1, { sequence_id: id, sequence_end: true });
    assert.deepEqual(last, { SUM: 13, ID: Number(id), FIRST: 0, LAST: 1, HERE: true });
  });

  it("keeps many sequences apart, more than have a place at once, each in its order", async () => {
    const ids = Array.from({ length: 20 }, (_, i) => i + 1);
    const all = await Promise.all(ids.map((id) => sums("direct", id, [id, 1, 2, 3])));
    assert.deepEqual(
      all,
      ids.map((id) => [id, id + 1, id + 3, id + 6]),
    );
  });

  it("takes texts as ids, a first state from a file, and the oldest first", async () => {
    const again = [1, 2, 3];
    const ids = ["a", "0", "ü"];
    const all = await Promise.all(ids.map((id) => sums("texts", id, again)));
    assert.deepEqual(
      all,
      ids.map(() => [1, 3, 6]),
    );
    const { ID } = await ask("texts", 1, { sequence_id: "a", sequence_start: true, sequence_end: true });
    assert.equal(ID, "a");
  });

  it("begins a sequence anew at every START", async () => {
    await ask("direct", 9, { sequence_id: 77, sequence_start: true });
    const { SUM } = await ask("direct", 1, { sequence_id: 77, sequence_start: true });
    assert.equal(SUM, 1);
    await ask("direct", 1, { sequence_id: 77, sequence_end: true });
  });

  it("forgets what is idle for too long", async () => {
    assert.equal((await ask("brief", 1, { sequence_id: 5, sequence_start: true })).SUM, 1);
    let answer: Readonly<Record<string, unknown>> = {};
    const end = performance.now() + 30_000;
    do {
      await new Promise((resolve) => setTimeout(resolve, 20));
      answer = await ask("brief", 1, { sequence_id: 5 });
    } while (answer.error === undefined && performance.now() < end);
    assert.match(String(answer.error), /must specify the START flag/);
  });

  it("refuses in Triton's words", async () => {
    const cases: readonly (readonly [string, Params, number, string])[] = [
      [
        "direct",
        {},
        1,
        `inference request to model 'direct' must specify a non-zero or non-empty correlation ID`,
      ],
      [
        "direct",
        { sequence_id: 0, sequence_start: true },
        1,
        `inference request to model 'direct' must specify a non-zero or non-empty correlation ID`,
      ],
      [
        "direct",
        { sequence_id: 999 },
        1,
        `inference request for sequence 999 to model 'direct' must specify the START flag on the first request of the sequence`,
      ],
      [
        "direct",
        { sequence_id: 4, sequence_start: true },
        2,
        `inference request to model 'direct' must specify batch-size 1 due to requirements of sequence batcher`,
      ],
      [
        "direct",
        { sequence_id: -4 },
        1,
        "Unable to parse 'sequence_id': attempt to access JSON non-unsigned-integer as unsigned-integer",
      ],
      [
        "direct",
        { sequence_id: "x", sequence_start: true },
        1,
        `sequence batching control 'CONTROL_SEQUENCE_CORRID' of model 'direct' is uint64, and cannot hold the correlation ID of the request`,
      ],
      [
        "texts",
        { sequence_id: "x".repeat(129), sequence_start: true },
        1,
        "string correlation ID cannot be longer than 128 characters",
      ],
    ];
    for (const [model, parameters, rows, error] of cases)
      assert.deepEqual(await ask(model, 1, parameters, rows), { status: 400, error });
  });

  it("runs over one gRPC stream, each sequence in its order", async () => {
    using client = new GrpcClient(served.ready.grpcPort);
    const stream = client.stream();
    const got = new Map<string, number>();
    const done = new Promise<void>((resolve, reject) => {
      stream.on("data", (bytes: Buffer) => {
        const { error, answer } = streamAnswer(bytes);
        assert.equal(error, "");
        const sum = answer!.outputs.find(({ name }) => name === "SUM")!;
        got.set(answer!.id, Buffer.from(sum.raw).readInt32LE());
      });
      stream.on("end", resolve);
      stream.on("error", reject);
    });
    const wanted = new Map<string, number>();
    for (let i = 0; i < 5; i++) {
      for (const id of [101, 102, 103]) {
        wanted.set(`${id}-${i}`, id * (i + 1));
        const raw = new Uint8Array(Int32Array.of(id).buffer);
        stream.write(
          inferRequest({
            model: "direct",
            id: `${id}-${i}`,
            parameters: { sequence_id: id, sequence_start: i === 0, sequence_end: i === 4 },
            inputs: [{ name: "INPUT", datatype: "INT32", shape: [1, 1], raw }],
          }),
        );
      }
    }
    stream.end();
    await done;
    assert.deepEqual([...got].sort(), [...wanted].sort());
  });

  it("tells ids of 64 bits apart, over HTTP and gRPC", async () => {
    const near = 2n ** 63n + 2n ** 53n;
    using client = new GrpcClient(served.ready.grpcPort);
    const sum = async (value: number, id: number | bigint, start: boolean): Promise<unknown[]> => {
      const raw = new Uint8Array(Int32Array.of(value).buffer);
      const { outputs } = await client.infer({
        model: "direct",
        parameters: { sequence_id: id, sequence_start: start },
        inputs: [{ name: "INPUT", datatype: "INT32", shape: [1, 1], raw }],
      });
      const bytes = (name: string): Buffer => Buffer.from(outputs.find((one) => one.name === name)!.raw);
      return [bytes("SUM").readInt32LE(), bytes("ID").readBigUInt64LE()];
    };
    assert.deepEqual(await sum(1, near, true), [1, near]);
    assert.deepEqual(await sum(10, near + 1n, true), [10, near + 1n]);
    assert.deepEqual(await sum(2, near, false), [3, near]);
    // The same sequence, whichever way its requests come.
    assert.equal((await ask("direct", 5, { sequence_id: near + 1n })).SUM, 15);
    assert.deepEqual(await sum(3, 2n ** 64n - 1n, true), [3, 2n ** 64n - 1n]);
    for (const none of [0, 0n])
      await assert.rejects(sum(1, none, true), /must specify a non-zero or non-empty correlation ID/);
    assert.match(
      String((await ask("direct", 1, { sequence_id: 2n ** 64n, sequence_start: true })).error),
      /Unable to parse 'sequence_id'/,
    );
  });

  it("holds what waits for a place to its time and its client", async () => {
    assert.equal((await ask("single", 1, { sequence_id: 1, sequence_start: true })).SUM, 1);
    const timed = { timeout: 50_000 } as Params;
    const late = ask("single", 1, { sequence_id: 2, sequence_start: true, ...timed });
    const behind = ask("single", 1, { sequence_id: 2 });
    assert.match(String((await late).error), /timeout expired/);
    // Gone before its turn: it is not run when the place is free.
    const gone = new AbortController();
    const url = `${served.ready.url}/v2/models/single/infer`;
    const leaving = fetch(url, {
      method: "POST",
      body: body(7, { sequence_id: 3, sequence_start: true }),
      signal: gone.signal,
    });
    const next = ask("single", 4, { sequence_id: 4, sequence_start: true, sequence_end: true });
    const told = async (line: RegExp): Promise<void> => {
      const end = performance.now() + 30_000;
      for (;;) {
        const page = await (await fetch(`${served.ready.url}/metrics`)).text();
        if (line.test(page)) return;
        assert.ok(performance.now() < end, page);
      }
    };
    await told(/nv_inference_pending_request_count{model="single",version="1"} 3\n/);
    gone.abort();
    await assert.rejects(leaving);
    await told(/nv_inference_request_failure{model="single",version="1",reason="CANCELED"} 1\n/);
    assert.equal((await ask("single", 1, { sequence_id: 1, sequence_end: true })).SUM, 2);
    assert.match(String((await behind).error), /must specify the START flag/);
    assert.equal((await next).SUM, 4);
    const { SUM } = await ask("single", 5, { sequence_id: 2, sequence_start: true, sequence_end: true });
    assert.equal(SUM, 5);
  });
});
