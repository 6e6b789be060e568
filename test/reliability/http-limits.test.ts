/** Every limit of the table at its border: at the limit the request is served, one more is refused as the table says. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { LIMIT_NAMES, type LimitName, limit, on } from "tenon/base";
import { graph, writeModel } from "tenon/onnx";
import { Engine, type Model } from "tenon/runtime";
import { ModelRepository, type RunningServer, serve } from "tenon/serve";
import { tensor, zeros } from "tenon/tensor";
import { describeDoors } from "../support/doors.js";
import {
  chunked,
  identityModel,
  type RawAnswer,
  RawConnection,
  rawRequest,
  send,
  simpleModel,
  simpleRequest,
  until,
} from "../support/served.js";
import { intDivideModel, longLoopModel } from "../support/small-models.js";

const INFER = "/v2/models/simple/infer";

/** Small enough that a test reaches each. */
const SMALL = {
  bodyMax: 4500,
  jsonBodyMax: 4096,
  jsonDepth: 8,
  bodyChunks: 16,
  headerBytes: 2048,
  headerCount: 20,
  headersTimeout: 300,
  requestTimeout: 600,
  keepAlive: 300,
  connections: 12,
  tensorElements: 1000,
  tensorRank: 4,
  stringBytes: 64,
};
const QUEUE = 3;
const KEY_REQUESTS = 2;
const CRASH_STRIKES = 2;
const RUN_DEADLINE = 500;

/** Gives back an int8 tensor of four dimensions. */
function rankedModel(): Uint8Array {
  const g = graph({ name: "ranked" });
  g.output(g.add("Identity", [g.input("x", "int8", ["A", "B", "C", "D"])]), "y");
  return writeModel(g.model());
}

function jsonOf(shape: readonly number[], elements: number): string {
  const data = new Array<number>(elements).fill(1);
  return JSON.stringify({ inputs: [{ name: "x", shape, datatype: "INT8", data }] });
}

/** A request with a binary section. */
function binary(
  model: string,
  json: object,
  section: Uint8Array,
  headers: Record<string, string> = {},
): Buffer {
  const text = JSON.stringify(json);
  return rawRequest(`/v2/models/${model}/infer`, Buffer.concat([Buffer.from(text), section]), {
    "Inference-Header-Content-Length": String(text.length),
    ...headers,
  });
}

/** `rounds` turns of a loop of about 10 µs each. */
function loop(rounds: number, headers: Record<string, string> = {}): Buffer {
  const x = new Uint8Array(4 * 64 * 64);
  const inputs = [
    { name: "rounds", shape: [], datatype: "INT64", data: [rounds] },
    { name: "x", shape: [64, 64], datatype: "FP32", parameters: { binary_data_size: x.length } },
  ];
  return binary("loop", { inputs, outputs: [{ name: "y", parameters: { binary_data: true } }] }, x, headers);
}

interface Border {
  /** What happens at the limit and one over it; the status, or "closed" when the connection ends without one. */
  readonly at: () => Promise<number | "closed">;
  readonly over: () => Promise<RawAnswer | "closed">;
}

let engine: Engine;
/** Its model runs in a process that may end. */
let crashing: Engine;
/** Each poison is another: the same one would be refused for what it did. */
let poisons = 0;
let looping: Model;
let server: RunningServer;
/** The same with room for the bodies that outputs and loops need. */
let roomy: RunningServer;
let keyed: RunningServer;

describeDoors("limits", (fronts) => {
  before(async () => {
    engine = await Engine.open({ cache: false, queueLimit: QUEUE, lanes: 1 });
    await engine.load(simpleModel(), { name: "simple", calibrate: false });
    await engine.load(identityModel("string"), { name: "strings", calibrate: false });
    await engine.load(identityModel("int8"), { name: "bytes", calibrate: false });
    await engine.load(rankedModel(), { name: "ranked", calibrate: false });
    looping = await engine.load(longLoopModel(), { name: "loop", calibrate: false });
    server = await serve(engine, { port: 0, fronts, ...SMALL });
    crashing = await Engine.open({ cache: false, lanes: 1, isolation: "process" });
    await crashing.load(intDivideModel(), { name: "divide", calibrate: false });
    keyed = await serve(engine, { port: 0, fronts, apiKey: "key", keyRequests: KEY_REQUESTS });
    roomy = await serve(engine, { port: 0, fronts });
  });
  after(async () => {
    await keyed.close();
    await server.close();
    await roomy.close();
    await engine.close();
    await crashing.close();
  });

  const ask = (request: Uint8Array, port = server.port): Promise<RawAnswer> => send(port, request);
  const statusOf = async (request: Uint8Array, port = server.port): Promise<number> =>
    (await ask(request, port)).status;
  const get = (headers: Record<string, string>): Buffer => rawRequest("/v2", "", headers, "GET");

  /** A body of `length` bytes whose tensor takes up what the JSON leaves. */
  function bodyOf(length: number): Buffer {
    const header = (size: number): object => ({
      inputs: [{ name: "x", shape: [8, size / 8], datatype: "INT8", parameters: { binary_data_size: size } }],
    });
    const size = 960;
    const json = JSON.stringify(header(size));
    const padded = json.padEnd(length - size);
    return rawRequest("/v2/models/bytes/infer", Buffer.concat([Buffer.from(padded), Buffer.alloc(size)]), {
      "Inference-Header-Content-Length": String(padded.length),
    });
  }

  function nested(depth: number): string {
    return simpleRequest(0, { more: JSON.parse("[".repeat(depth - 1) + "]".repeat(depth - 1)) });
  }

  /** URL, names and values of the request together have `bytes` bytes. */
  function headersOf(bytes: number): Buffer {
    const others = "/v2HostlocalhostContent-Length0X".length;
    return get({ X: "y".repeat(bytes - others) });
  }

  const countOf = (count: number): Buffer =>
    get(Object.fromEntries(Array.from({ length: count - 2 }, (_, i) => [`X-${i}`, "1"])));

  const strings = (length: number): Buffer => {
    const section = Buffer.alloc(4 + length, 97);
    section.writeUInt32LE(length);
    const parameters = { binary_data_size: section.length };
    return binary(
      "strings",
      { inputs: [{ name: "x", shape: [1, 1], datatype: "BYTES", parameters }] },
      section,
    );
  };

  /** Sends the pieces with a pause behind each, and waits for the answer or the end. */
  async function slowly(
    pieces: readonly (string | Uint8Array)[],
    pause: number,
    port = server.port,
  ): Promise<RawAnswer | "closed"> {
    using connection = await RawConnection.open(port);
    for (const piece of pieces) {
      connection.write(piece);
      await sleep(pause);
    }
    return (await connection.answer()) ?? "closed";
  }

  /** Fills the lane, then the queue with `waiting` requests, and reads the statuses of the waiting ones. */
  async function queued(waiting: number): Promise<readonly RawAnswer[]> {
    const running = looping.run({ rounds: tensor(20_000n), x: zeros("float32", [64, 64]) });
    await until(() => looping.waiting === 0);
    const answers: Promise<RawAnswer>[] = [];
    for (let i = 0; i < waiting; i++) {
      answers.push(ask(loop(500), roomy.port));
      await until(() => looping.waiting === Math.min(i + 1, QUEUE));
    }
    const all = await Promise.all(answers);
    await running;
    return all;
  }

  /** Requests of one key behind a run that fills the lane. */
  async function keyedLoops(count: number): Promise<readonly RawAnswer[]> {
    const running = looping.run({ rounds: tensor(20_000n), x: zeros("float32", [64, 64]) });
    const request = loop(500, { Authorization: "Bearer key" });
    const answers = await Promise.all(Array.from({ length: count }, () => ask(request, keyed.port)));
    await running;
    return answers;
  }

  /** An answer that does not fit the socket's buffers, read only after `pause`. */
  async function unread(port: number, pause: Promise<unknown>, model = "bytes"): Promise<number | "closed"> {
    using connection = await RawConnection.open(port);
    connection.socket.pause();
    const size = 40 << 20;
    const inputs = [
      { name: "x", shape: [1, size], datatype: "INT8", parameters: { binary_data_size: size } },
    ];
    connection.write(
      binary(model, { inputs, parameters: { binary_data_output: true } }, new Uint8Array(size)),
    );
    await pause;
    connection.socket.resume();
    return (await connection.answer())?.status ?? "closed";
  }

  /** The same from a server that gives its clients no time; it is read when the server has given it up. */
  async function givenUp(): Promise<number | "closed"> {
    await using hasty = await serve(engine, { port: 0, fronts, replyTimeout: 100 });
    let stop: (() => void) | undefined;
    // By its version, so that the end of another test's request is not taken for this one's.
    const model = "bytes/versions/1";
    // Nobody reads, so the exchange ends only by the limit.
    const ended = new Promise<void>((resolve) => {
      stop = on("server:request", ({ path }) => {
        if (path === `/v2/models/${model}/infer`) resolve();
      });
    });
    try {
      return await unread(hasty.port, ended, model);
    } finally {
      stop?.();
    }
  }

  /** What a good request gets after `count` requests that each ended the process of their model. */
  async function struck(count: number): Promise<RawAnswer> {
    await using other = await serve(crashing, { port: 0, fronts, crashStrikes: CRASH_STRIKES });
    const divide = (value: number, second: number): Promise<RawAnswer> => {
      const inputs = [{ name: "x", shape: [1, 4], datatype: "INT32", data: [value, second, 3, 4] }];
      return ask(rawRequest("/v2/models/divide/infer", JSON.stringify({ inputs })), other.port);
    };
    for (let i = 0; i < count; i++) {
      assert.equal((await divide(-(2 ** 31), ++poisons)).headers.get("x-tenon-error"), "MODEL_CRASHED");
    }
    return await divide(5, 6);
  }

  // Total: a new limit does not compile before its border is tested.
  const BORDERS: { readonly [Name in LimitName]: Border } = {
    bodyMax: { at: () => statusOf(bodyOf(SMALL.bodyMax)), over: () => ask(bodyOf(SMALL.bodyMax + 1)) },
    jsonBodyMax: {
      at: () => statusOf(rawRequest(INFER, simpleRequest().padEnd(SMALL.jsonBodyMax))),
      over: () => ask(rawRequest(INFER, simpleRequest().padEnd(SMALL.jsonBodyMax + 1))),
    },
    jsonDepth: {
      at: () => statusOf(rawRequest(INFER, nested(SMALL.jsonDepth))),
      over: () => ask(rawRequest(INFER, nested(SMALL.jsonDepth + 1))),
    },
    bodyChunks: {
      at: () => statusOf(chunkedRequest(SMALL.bodyChunks)),
      over: () => ask(chunkedRequest(SMALL.bodyChunks + 1)),
    },
    headerBytes: {
      at: () => statusOf(headersOf(SMALL.headerBytes)),
      over: () => ask(headersOf(SMALL.headerBytes + 1)),
    },
    headerCount: {
      at: () => statusOf(countOf(SMALL.headerCount)),
      over: () => ask(countOf(SMALL.headerCount + 1)),
    },
    headersTimeout: {
      at: async () =>
        statusIn(await slowly(["GET /v2 HTTP/1.1\r\n", "Host: localhost\r\n\r\n"], 50, roomy.port)),
      over: () => slowly(["GET /v2 HTTP/1.1\r\n"], 50),
    },
    requestTimeout: {
      at: async () => statusIn(await slowly(halves(), 50, roomy.port)),
      over: () => slowly([halves()[0]!], 50),
    },
    replyTimeout: {
      at: () => unread(roomy.port, ask(get({}), roomy.port)),
      over: async () => ((await givenUp()) === "closed" ? "closed" : never()),
    },
    keepAlive: {
      at: async () => {
        using connection = await RawConnection.open(roomy.port);
        connection.write(get({}));
        await connection.answer();
        await sleep(100);
        connection.write(get({}));
        return (await connection.answer())?.status ?? "closed";
      },
      over: async () => {
        using connection = await RawConnection.open(server.port);
        connection.write(get({}));
        await connection.answer();
        await connection.closed();
        return "closed";
      },
    },
    connections: { at: () => lastOf(SMALL.connections), over: () => connectionOver() },
    tensorElements: {
      at: () => statusOf(rawRequest("/v2/models/bytes/infer", jsonOf([1, 1000], 1000))),
      over: () => ask(rawRequest("/v2/models/bytes/infer", jsonOf([1, 1001], 1001))),
    },
    tensorRank: {
      at: () => statusOf(rawRequest("/v2/models/ranked/infer", jsonOf([1, 1, 1, 2], 2))),
      over: () => ask(rawRequest("/v2/models/ranked/infer", jsonOf([1, 1, 1, 1, 2], 2))),
    },
    stringBytes: { at: () => statusOf(strings(64)), over: () => ask(strings(65)) },
    queue: {
      at: async () => Math.max(...(await queued(QUEUE)).map(({ status }) => status)),
      over: async () => refusedOf(await queued(QUEUE + 1)),
    },
    keyRequests: {
      at: async () => Math.max(...(await keyedLoops(KEY_REQUESTS)).map(({ status }) => status)),
      over: async () => refusedOf(await keyedLoops(KEY_REQUESTS + 1)),
    },
    crashStrikes: {
      at: async () => (await struck(CRASH_STRIKES - 1)).status,
      over: async () => {
        const refused = await struck(CRASH_STRIKES);
        assert.match(refused.headers.get("retry-after") ?? "", /^[1-9][0-9]?$/);
        return refused;
      },
    },
    runDeadline: {
      at: () => statusOf(loop(500), roomy.port),
      over: async () => {
        await using hurried = await serve(engine, { port: 0, fronts, runDeadline: RUN_DEADLINE });
        return await ask(loop(1_000_000_000), hurried.port);
      },
    },
    loadTimeout: { at: async () => (await loading(30_000)).status, over: () => loading(1) },
    drain: {
      at: async () => statusIn(await ending(500, 30_000)),
      over: () => ending(1_000_000_000, 100),
    },
  };

  /** The one refused answer, which says when to come again. */
  function refusedOf(answers: readonly RawAnswer[]): RawAnswer {
    const refused = answers.filter(({ status }) => status !== 200);
    assert.equal(refused.length, 1);
    assert.equal(refused[0]!.headers.get("retry-after"), "1");
    return refused[0]!;
  }

  /** The answer to loading a model through the API within `loadTimeout` milliseconds. */
  async function loading(loadTimeout: number): Promise<RawAnswer> {
    const own = await Engine.open({ cache: false, lanes: 1 });
    const folder = mkdtempSync(join(tmpdir(), "tenon-limits-"));
    const path = join(folder, "model.onnx");
    writeFileSync(path, rankedModel());
    const list = async () => [{ name: "m", version: "1", path }];
    const repository = new ModelRepository(own, { modelControl: "explicit", loadTimeout, list });
    const other = await serve(own, { port: 0, fronts, repository });
    try {
      return await ask(rawRequest("/v2/repository/models/m/load"), other.port);
    } finally {
      await other.close();
      await own.close();
      rmSync(folder, { recursive: true });
    }
  }

  /** What a run of `rounds` gets from a server that ends `patience` milliseconds after it began. */
  async function ending(rounds: number, patience: number): Promise<RawAnswer | "closed"> {
    const other = await serve(engine, { port: 0, fronts, drain: patience });
    using connection = await RawConnection.open(other.port);
    connection.write(loop(rounds));
    // Answered behind it on another connection: the run is under way.
    await ask(get({}), other.port);
    const { cutOff } = await other.close();
    const answer = await connection.answer();
    assert.equal(cutOff, answer === undefined ? 1 : 0);
    return answer ?? "closed";
  }

  function never(): never {
    throw new Error("the connection was expected to end");
  }

  const statusIn = (answer: RawAnswer | "closed"): number | "closed" =>
    answer === "closed" ? "closed" : answer.status;

  /** A request in two pieces. */
  function halves(): readonly Buffer[] {
    const request = rawRequest(INFER, simpleRequest());
    return [request.subarray(0, -20), request.subarray(-20)];
  }

  function chunkedRequest(chunks: number): Buffer {
    const head = rawRequest(INFER, "", { "Transfer-Encoding": "chunked" });
    const parts = [...Array.from({ length: chunks - 1 }, () => " "), simpleRequest()];
    return Buffer.concat([head, chunked(parts)]);
  }

  /** The status that the last of `count` connections gets; tried again while earlier ones still count. */
  async function lastOf(count: number): Promise<number | "closed"> {
    for (let tries = 0; ; tries++) {
      const connections = await Promise.all(
        Array.from({ length: count }, () => RawConnection.open(server.port)),
      );
      const last = connections.at(-1)!;
      last.write(get({}));
      const answer = await last.answer();
      for (const { socket } of connections) socket.destroy();
      if (answer !== undefined || tries > 50) return answer?.status ?? "closed";
    }
  }

  async function connectionOver(): Promise<RawAnswer | "closed"> {
    const count = SMALL.connections + 1;
    const connections = await Promise.all(
      Array.from({ length: count }, () => RawConnection.open(server.port)),
    );
    await until(() => connections.some(({ ended }) => ended));
    for (const { socket } of connections) socket.destroy();
    await lastOf(1);
    return "closed";
  }

  for (const name of LIMIT_NAMES) {
    it(`${name}: served at the limit, refused over it`, async () => {
      const { at, over } = BORDERS[name];
      const status = await at();
      assert.equal(status, 200, "at the limit");
      const answer = await over();
      const expected = limit(name);
      if (answer === "closed") assert.equal(expected.over, "closed");
      else
        assert.deepEqual(
          [answer.status, answer.headers.get("x-tenon-error")],
          [expected.over, expected.code],
        );
    });
  }

  it("bodyMax and jsonBodyMax hold for what is decompressed, too", async () => {
    const gzip = { "Content-Encoding": "gzip" };
    const json = (length: number): Buffer =>
      rawRequest(INFER, gzipSync(simpleRequest().padEnd(length)), gzip);
    assert.equal(await statusOf(json(SMALL.jsonBodyMax)), 200);
    assert.equal(await statusOf(json(SMALL.jsonBodyMax + 1)), 413);
  });
});
