/** The gRPC service against @grpc/grpc-js: answers, errors, streams, deadlines, keys, limits, TLS and the end. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { credentials, type ServiceError, status } from "@grpc/grpc-js";
import { writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { serve } from "tenon/serve";
import { selfSigned } from "../support/certificate.js";
import {
  GrpcClient,
  type GrpcInput,
  inferRequest,
  simpleGrpc,
  streamAnswer,
} from "../support/grpc-client.js";
import { RawConnection, type Served, simpleModel, startServed, until } from "../support/served.js";
import { longLoopModel } from "../support/small-models.js";

function int32s(bytes: Uint8Array): number[] {
  return [...new Int32Array(Uint8Array.from(bytes).buffer)];
}

/** The status of a call that must fail. */
async function failure(call: Promise<unknown>): Promise<ServiceError> {
  const outcome = await call.then(
    () => undefined,
    (error: ServiceError) => error,
  );
  assert.ok(outcome !== undefined, "the call did not fail");
  return outcome;
}

function loopInputs(rounds: number): readonly GrpcInput[] {
  return [
    {
      name: "rounds",
      datatype: "INT64",
      shape: [],
      raw: new Uint8Array(BigInt64Array.of(BigInt(rounds)).buffer),
    },
    { name: "x", datatype: "FP32", shape: [64, 64], raw: new Uint8Array(4 * 64 * 64) },
  ];
}

/** Packed values of one field of InferTensorContents. */
function contents(field: number, write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  return writer.join().finish();
}

describe("gRPC", () => {
  let served: Served;
  let client: GrpcClient;
  before(async () => {
    served = await startServed({ grpcPort: 0, bodyMax: 4 * 2 ** 20 });
    await served.engine.load(writeModel(longLoopModel()), { name: "loop", calibrate: false });
    client = new GrpcClient(served.server.grpcPort!);
  });
  after(async () => {
    client.close();
    await served[Symbol.asyncDispose]();
  });

  it("answers in the model's order, with the request's id", async () => {
    const answer = await client.infer(simpleGrpc(5, { id: "seven" }));
    assert.deepEqual([answer.model, answer.version, answer.id], ["simple", "1", "seven"]);
    assert.deepEqual(
      answer.outputs.map(({ name, datatype, shape }) => [name, datatype, shape]),
      [
        ["OUTPUT0", "INT32", [1, 16]],
        ["OUTPUT1", "INT32", [1, 16]],
      ],
    );
    assert.deepEqual(int32s(answer.outputs[0]!.raw).slice(0, 3), [6, 7, 8]);
    assert.deepEqual(int32s(answer.outputs[1]!.raw).slice(0, 3), [4, 5, 6]);
  });

  it("answers only the outputs that are asked for", async () => {
    const { outputs } = await client.infer(
      simpleGrpc(0, { outputs: [{ name: "OUTPUT1" }, { name: "OUTPUT1" }] }),
    );
    assert.deepEqual(
      outputs.map(({ name }) => name),
      ["OUTPUT1"],
    );
  });

  it("carries tensors of many frames in both directions", async () => {
    const values = Float32Array.from({ length: 200_000 }, (_, i) => Math.sin(i));
    const raw = new Uint8Array(values.buffer);
    const { outputs } = await client.infer({
      model: "identity_FP32",
      inputs: [{ name: "x", datatype: "FP32", shape: [2, 100_000], raw }],
    });
    assert.ok(Buffer.from(outputs[0]!.raw).equals(raw));
  });

  const typed: readonly (readonly [string, string, number, (writer: BinaryWriter) => void, number[]])[] = [
    ["bools", "BOOL", 1, (w) => w.bool(true).bool(false), [1, 0]],
    ["negative int8", "INT8", 2, (w) => w.int32(-1).int32(127), [255, 127]],
    ["uint8", "UINT8", 4, (w) => w.uint32(255).uint32(0), [255, 0]],
    [
      "int64",
      "INT64",
      3,
      (w) => w.int64(-2n).int64(1n),
      [254, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0],
    ],
    ["floats", "FP32", 6, (w) => w.float(1).float(-2), [0, 0, 128, 63, 0, 0, 0, 192]],
  ];
  for (const [what, datatype, field, write, wanted] of typed) {
    it(`takes typed contents: ${what}`, async () => {
      const { outputs } = await client.infer({
        model: `identity_${datatype}`,
        inputs: [{ name: "x", datatype, shape: [1, 2], contents: contents(field, write) }],
      });
      assert.deepEqual([...outputs[0]!.raw], wanted);
    });
  }

  it("takes typed contents that come in several parts", async () => {
    const parts = [contents(6, (w) => w.float(1)), contents(6, (w) => w.float(-2))];
    const message = new BinaryWriter().tag(1, WireType.LengthDelimited).string("identity_FP32");
    message.tag(5, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string("x");
    message.tag(2, WireType.LengthDelimited).string("FP32");
    message.tag(3, WireType.LengthDelimited).fork().int64(1).int64(2).join();
    for (const part of parts) message.tag(5, WireType.LengthDelimited).bytes(part);
    const answer = await client.call("ModelInfer", message.join().finish());
    assert.ok(Buffer.from(answer).includes(Buffer.from(Float32Array.of(1, -2).buffer)));
  });

  it("takes strings in either form", async () => {
    const writer = new BinaryWriter();
    for (const text of ["", "ü"]) writer.tag(8, WireType.LengthDelimited).string(text);
    const input = { name: "x", datatype: "BYTES", shape: [1, 2] };
    const wanted = [0, 0, 0, 0, 2, 0, 0, 0, 0xc3, 0xbc];
    for (const form of [{ contents: writer.finish() }, { raw: Uint8Array.from(wanted) }]) {
      const { outputs } = await client.infer({ model: "identity_BYTES", inputs: [{ ...input, ...form }] });
      assert.deepEqual([...outputs[0]!.raw], wanted);
    }
  });

  const row = new Uint8Array(64);
  const input = { name: "INPUT0", datatype: "INT32", shape: [1, 16], raw: row };
  const second = { ...input, name: "INPUT1" };
  const refusals: readonly (readonly [string, object, number, RegExp])[] = [
    ["an unknown model", { model: "nope" }, status.NOT_FOUND, /unknown model: 'nope' is not found/],
    ["an unknown version", { version: "9" }, status.NOT_FOUND, /'simple' version 9 is not found/],
    [
      "a version that is no number",
      { version: "x" },
      status.INVALID_ARGUMENT,
      /specified version string 'x'/,
    ],
    ["a missing input", { inputs: [input] }, status.INVALID_ARGUMENT, /expected 2 inputs but got 1/],
    ["an input twice", { inputs: [input, input] }, status.INVALID_ARGUMENT, /'INPUT0' already exists/],
    [
      "an unknown datatype",
      { inputs: [{ ...input, datatype: "INT4" }, second] },
      status.INVALID_ARGUMENT,
      /data-type is '<invalid>', but model 'simple' expects 'INT32'/,
    ],
    [
      "a wrong shape",
      { inputs: [{ ...input, shape: [1, 15], raw: new Uint8Array(60) }, second] },
      status.INVALID_ARGUMENT,
      /Expected \[-1,16\], got \[1,15\]/,
    ],
    [
      "a negative dimension",
      { inputs: [{ ...input, shape: [-1, 16] }, second] },
      status.INVALID_ARGUMENT,
      /should be specified for input 'INPUT0' for model 'simple', got \[-1,16\]$/,
    ],
    [
      "a dimension beyond 2^53",
      { inputs: [{ ...input, shape: [2n ** 62n] }, second] },
      status.INVALID_ARGUMENT,
      /dimension 4611686018427387904/,
    ],
    [
      "bytes that do not fit the shape",
      { inputs: [{ ...input, raw: new Uint8Array(63) }, second] },
      status.INVALID_ARGUMENT,
      /Expected 64, got 63/,
    ],
    [
      "no data",
      {
        inputs: [
          { ...input, raw: undefined },
          { ...second, raw: undefined },
        ],
      },
      status.INVALID_ARGUMENT,
      /unable to find data for input tensor 'INPUT0'/,
    ],
    [
      "raw data for one of two",
      { inputs: [input, { ...second, raw: undefined }] },
      status.INVALID_ARGUMENT,
      /unable to find data for input tensor 'INPUT1'/,
    ],
    [
      "both forms",
      { inputs: [{ ...input, contents: contents(2, (w) => w.int32(1)) }, second] },
      status.INVALID_ARGUMENT,
      /contents field must not be specified when using raw/,
    ],
    [
      "an unknown output",
      { outputs: [{ name: "NOPE" }] },
      status.INVALID_ARGUMENT,
      /unexpected inference output 'NOPE'/,
    ],
    [
      "a reserved parameter",
      { parameters: { triton_x: 1 } },
      status.INVALID_ARGUMENT,
      /starting with 'triton_' are reserved/,
    ],
  ];
  for (const [what, change, code, text] of refusals) {
    it(`refuses ${what}`, async () => {
      const error = await failure(client.infer(simpleGrpc(0, change)));
      assert.match(error.details, text);
      assert.equal(error.code, code);
      assert.ok(error.metadata.get("x-tenon-error").length > 0);
    });
  }

  it("refuses typed values that their datatype cannot hold, and another field's", async () => {
    const send = (field: number, value: number): Promise<unknown> =>
      client.infer({
        model: "identity_INT8",
        inputs: [
          { name: "x", datatype: "INT8", shape: [1, 1], contents: contents(field, (w) => w.int32(value)) },
        ],
      });
    assert.match((await failure(send(2, 128))).details, /128 does not fit INT8/);
    assert.match((await failure(send(4, 1))).details, /of type 'UINT32', expected datatype 'INT8'/);
  });

  it("refuses typed values that are too few for their shape", async () => {
    for (const shape of [
      [1, 2],
      [8192, 8192],
    ]) {
      const error = await failure(
        client.infer({
          model: "identity_INT8",
          inputs: [{ name: "x", datatype: "INT8", shape, contents: contents(2, (w) => w.int32(1)) }],
        }),
      );
      assert.match(error.details, /input byte size mismatch for input 'x' .* Expected \d+, got 1$/);
    }
  });

  it("reads as many names as a message holds", { timeout: 60_000 }, async () => {
    const outputs = Array.from({ length: 60_000 }, (_, i) => ({ name: `output ${i}` }));
    const error = await failure(client.infer(simpleGrpc(0, { outputs })));
    assert.match(error.details, /unexpected inference output 'output 0'/);
  });

  it("refuses malformed messages with their place, and goes on", async () => {
    const bytes = inferRequest(simpleGrpc());
    for (let length = 1; length < bytes.length; length += 7) {
      const error = await failure(client.call("ModelInfer", bytes.subarray(0, length)));
      assert.ok(error.code === status.INVALID_ARGUMENT || error.code === status.NOT_FOUND, error.message);
    }
    const cut = await failure(client.call("ModelInfer", bytes.subarray(0, 20)));
    assert.match(cut.details, /malformed ModelInferRequest: .* at byte \d+/);
    await client.infer(simpleGrpc());
  });

  it("answers unknown methods and services with UNIMPLEMENTED", async () => {
    for (const path of ["Nope", "/other.Service/Check"]) {
      assert.equal((await failure(client.call(path, new Uint8Array(0)))).code, status.UNIMPLEMENTED);
    }
  });

  it("refuses a message over the limit without reading it", async () => {
    const raw = new Uint8Array(4 * 2 ** 20);
    const inputs = [{ name: "x", datatype: "UINT8", shape: [1, raw.length], raw }];
    const error = await failure(client.infer({ model: "identity_UINT8", inputs }));
    assert.equal(error.code, status.RESOURCE_EXHAUSTED);
    assert.match(error.details, /larger than max/);
  });

  it("ends a run at the client's deadline, and when the client cancels", async () => {
    const late = failure(
      client.infer({ model: "loop", inputs: loopInputs(10_000_000) }, { deadlineMs: 200 }),
    );
    assert.equal((await late).code, status.DEADLINE_EXCEEDED);
    const controller = new AbortController();
    const cancelled = failure(
      client.infer({ model: "loop", inputs: loopInputs(10_000_000) }, { signal: controller.signal }),
    );
    setTimeout(() => controller.abort(), 100);
    assert.equal((await cancelled).code, status.CANCELLED);
    // The lane is free again: a run that took seconds would still hold it.
    await client.infer({ model: "loop", inputs: loopInputs(1) });
  });

  it("answers a stream's requests side by side, and its errors as messages", async () => {
    const stream = client.stream();
    const answers = new Map<string, { error: string; final: boolean }>();
    stream.on("data", (bytes: Buffer) => {
      const { error, answer } = streamAnswer(bytes);
      answers.set(answer!.id, { error, final: answer!.finalFlag });
    });
    const ended = once(stream, "end");
    for (let i = 0; i < 200; i++) stream.write(inferRequest(simpleGrpc(i, { id: String(i) })));
    stream.write(inferRequest(simpleGrpc(0, { id: "bad", model: "nope" })));
    stream.write(
      inferRequest(simpleGrpc(0, { id: "flag", parameters: { triton_enable_empty_final_response: true } })),
    );
    stream.end();
    await ended;
    assert.equal(answers.size, 202);
    assert.deepEqual(answers.get("199"), { error: "", final: false });
    assert.equal(answers.get("flag")!.final, true);
    assert.match(answers.get("bad")!.error, /unknown model: 'nope'/);
  });

  it("ends a stream with a status at its first error where the client asks for that", async () => {
    const stream = client.stream({ triton_grpc_error: "true" });
    stream.on("data", () => assert.fail("no message was expected"));
    stream.write(inferRequest(simpleGrpc(0, { model: "nope" })));
    const [error] = (await once(stream, "error")) as [ServiceError];
    assert.equal(error.code, status.NOT_FOUND);
  });

  it("sends the status at once, whatever of the stream is still under way", async () => {
    for (let round = 0; round < 20; round++) {
      const stream = client.stream({ triton_grpc_error: "true" });
      stream.on("data", () => undefined);
      for (let i = 0; i < 30; i++) {
        stream.write(inferRequest(simpleGrpc(i, i === round ? { model: "nope" } : {})));
      }
      const [error] = (await once(stream, "error")) as [ServiceError];
      assert.equal(error.code, status.NOT_FOUND, error.message);
    }
  });

  it("refuses a stream that ends within a message", async () => {
    const session = connectHttp2(`http://127.0.0.1:${served.server.grpcPort}`);
    const request = session.request({
      ":method": "POST",
      ":path": "/inference.GRPCInferenceService/ModelStreamInfer",
      "content-type": "application/grpc",
    });
    request.end(Buffer.from([0, 0, 0, 0, 9, 1, 2]));
    const [answer] = (await once(request, "response")) as [Record<string, unknown>];
    assert.equal(answer["grpc-status"], String(status.INVALID_ARGUMENT));
    session.close();
  });

  it("answers health checks, of services that it knows", async () => {
    const check = (name: string): Promise<Uint8Array> =>
      client.call(
        "/grpc.health.v1.Health/Check",
        new BinaryWriter().tag(1, WireType.LengthDelimited).string(name).finish(),
      );
    assert.deepEqual([...(await check(""))], [8, 1]);
    assert.deepEqual([...(await check("inference.GRPCInferenceService"))], [8, 1]);
    assert.equal((await failure(check("other"))).code, status.NOT_FOUND);
  });

  it("refuses what is not gRPC with a plain HTTP status", async () => {
    const session = connectHttp2(`http://127.0.0.1:${served.server.grpcPort}`);
    const statusOf = async (headers: Record<string, string>): Promise<unknown> => {
      const path = "/inference.GRPCInferenceService/ModelInfer";
      const request = session.request({ ":path": path, ...headers }, { endStream: false });
      const closed = once(request, "close");
      const [answer] = (await once(request, "response")) as [Record<string, unknown>];
      request.resume();
      // The server waits for no end of the request.
      await closed;
      return answer[":status"];
    };
    assert.equal(await statusOf({ ":method": "POST", "content-type": "application/json" }), 415);
    assert.equal(await statusOf({ ":method": "GET" }), 405);
    session.close();
  });

  it("serves many calls of one connection, and closes a connection that breaks the protocol only", async () => {
    using wild = await RawConnection.open(served.server.grpcPort!);
    wild.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    wild.write(Buffer.alloc(64, 0xff));
    await wild.closed();
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => client.infer(simpleGrpc(i))));
    for (const [i, { outputs }] of answers.entries()) assert.equal(int32s(outputs[0]!.raw)[0], i + 1);
  });
});

describe("gRPC doors", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-grpc-"));
  after(() => rmSync(folder, { recursive: true }));

  it("asks for a key on every call but health", async () => {
    const hash = createHash("sha256").update("secret-1").digest("hex");
    const file = join(folder, "keys");
    writeFileSync(file, `web sha256:${hash}\n`);
    await using served = await startServed({ grpcPort: 0, apiKeyFile: file });
    using client = new GrpcClient(served.server.grpcPort!);
    assert.equal((await failure(client.infer(simpleGrpc()))).code, status.UNAUTHENTICATED);
    assert.equal(
      (await failure(client.call("ServerMetadata", new Uint8Array(0)))).code,
      status.UNAUTHENTICATED,
    );
    const stream = client.stream();
    stream.on("data", () => undefined);
    assert.equal(((await once(stream, "error")) as [ServiceError])[0].code, status.UNAUTHENTICATED);
    for (const method of ["ServerLive", "ServerReady", "/grpc.health.v1.Health/Check"]) {
      assert.deepEqual([...(await client.call(method, new Uint8Array(0)))], [8, 1]);
    }
    await client.infer(simpleGrpc(), { metadata: { authorization: "Bearer secret-1" } });
  });

  it("speaks TLS with the server's certificate", async () => {
    const { cert, key } = selfSigned("localhost");
    const [tlsCert, tlsKey] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(tlsCert, cert);
    writeFileSync(tlsKey, key);
    await using served = await startServed({ grpcPort: 0, tlsCert, tlsKey });
    using client = new GrpcClient(served.server.grpcPort!, credentials.createSsl(Buffer.from(cert)), {
      "grpc.ssl_target_name_override": "localhost",
    });
    await client.infer(simpleGrpc());
  });

  it("answers what is under way when it drains, and refuses what is new", async () => {
    await using engine = await Engine.open({ cache: false });
    await engine.load(simpleModel(), { name: "simple", calibrate: false });
    await engine.load(writeModel(longLoopModel()), { name: "loop", calibrate: false });
    const server = await serve(engine, { port: 0, grpcPort: 0 });
    using client = new GrpcClient(server.grpcPort!);
    await client.infer(simpleGrpc());
    const underWay = client.infer({ model: "loop", inputs: loopInputs(60_000) });
    await until(() => engine.get("loop").explain().length > 0 || engine.get("loop").waiting === 0);
    await client.call("ServerLive", new Uint8Array(0));
    const closed = server.close();
    const refused = await failure(client.infer(simpleGrpc()));
    assert.equal(refused.code, status.UNAVAILABLE);
    assert.deepEqual([...(await client.call("ServerReady", new Uint8Array(0)))], []);
    assert.equal((await underWay).outputs[0]!.name, "y");
    assert.deepEqual(await closed, { cutOff: 0 });
  });
});
