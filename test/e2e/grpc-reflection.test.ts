/** What the gRPC server tells of itself: reflection as a client uses it that knows no message, and the health watch. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Client, type ClientDuplexStream, type ClientReadableStream, credentials } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, type ServiceDefinition } from "@grpc/proto-loader";
import { type Served, startServed } from "../support/served.js";

const bytes = (message: Uint8Array): Buffer => Buffer.from(message);

/** A message of one text field. */
function textField(field: number, text: string): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).string(text).finish();
}

/** The values of a delimited field, all the way down a path of fields. */
function values(message: Uint8Array, [field, ...rest]: readonly number[]): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number !== field || type !== WireType.LengthDelimited) {
      reader.skip(type);
      continue;
    }
    const value = reader.bytes();
    found.push(...(rest.length === 0 ? [value] : values(value, rest)));
  }
  return found;
}

describe("gRPC reflection and health", () => {
  let served: Served;
  let client: Client;
  let ready = true;
  before(async () => {
    served = await startServed({ grpcPort: 0, isReady: () => ready });
    client = new Client(`127.0.0.1:${served.server.grpcPort}`, credentials.createInsecure());
  });
  after(async () => {
    client.close();
    await served[Symbol.asyncDispose]();
  });

  async function reflect(version: string, ...requests: readonly Uint8Array[]): Promise<Buffer[]> {
    const stream: ClientDuplexStream<Uint8Array, Buffer> = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      bytes,
      (answer: Buffer) => answer,
    );
    const answers: Buffer[] = [];
    stream.on("data", (answer: Buffer) => answers.push(answer));
    for (const request of requests) stream.write(request);
    stream.end();
    await once(stream, "end");
    return answers;
  }

  it("lists the services, in both versions", async () => {
    for (const version of ["v1", "v1alpha"]) {
      const [answer] = await reflect(version, textField(7, ""));
      const names = values(answer!, [6, 1, 1]).map((name) => Buffer.from(name).toString());
      assert.deepEqual(names.sort(), [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
      ]);
    }
  });

  it("describes its messages so well that a client can call by them", async () => {
    const symbols = [
      "inference.GRPCInferenceService",
      "inference.ModelInferRequest.InferInputTensor",
      "no.Such",
    ];
    const [service, nested, missing] = await reflect("v1", ...symbols.map((symbol) => textField(4, symbol)));
    const [file] = values(service!, [4, 1]);
    assert.deepEqual(values(nested!, [4, 1]), [file]);
    assert.match(Buffer.from(values(missing!, [7, 2])[0]!).toString(), /not found: no\.Such/);
    const set = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(file!).finish();
    const definition = loadFileDescriptorSetFromBuffer(bytes(set), {
      keepCase: true,
      longs: Number,
      enums: String,
    });
    const inference = definition["inference.GRPCInferenceService"] as ServiceDefinition;
    assert.equal(inference.ModelStreamInfer!.requestStream, true);
    const call = (name: string, request: object): Promise<object> => {
      const { path, requestSerialize, responseDeserialize } = inference[name]!;
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, answer) =>
          error === null ? resolve(answer as object) : reject(error),
        );
      });
    };
    assert.deepEqual(await call("ServerReady", {}), { ready: true });
    const { config } = (await call("ModelConfig", { name: "simple" })) as {
      config: { input: { data_type: string }[]; max_batch_size: number };
    };
    assert.deepEqual([config.input[0]!.data_type, config.max_batch_size], ["TYPE_INT32", 64]);
    const contents = { int_contents: Array.from({ length: 16 }, (_, i) => i) };
    const input = (name: string): object => ({ name, datatype: "INT32", shape: [1, 16], contents });
    const answer = (await call("ModelInfer", {
      model_name: "simple",
      inputs: [input("INPUT0"), input("INPUT1")],
      // The loader takes maps as what they are on the wire.
      parameters: [{ key: "priority", value: { int64_param: 1 } }],
    })) as { raw_output_contents: Buffer[]; outputs: { name: string }[] };
    assert.deepEqual(
      answer.outputs.map(({ name }) => name),
      ["OUTPUT0", "OUTPUT1"],
    );
    assert.equal(answer.raw_output_contents[0]!.readInt32LE(60), 30);
  });

  it("tells health when it changes", async () => {
    const watch = (service: string): ClientReadableStream<Buffer> =>
      client.makeServerStreamRequest(
        "/grpc.health.v1.Health/Watch",
        bytes,
        (answer: Buffer) => answer,
        textField(1, service),
      );
    const stream = watch("");
    const next = async (): Promise<number> => {
      const [answer] = (await once(stream, "data")) as [Buffer];
      return answer[1]!;
    };
    assert.equal(await next(), 1);
    ready = false;
    assert.equal(await next(), 2);
    ready = true;
    assert.equal(await next(), 1);
    stream.on("error", () => undefined);
    stream.cancel();
    const unknown = watch("no.Such");
    const [answer] = (await once(unknown, "data")) as [Buffer];
    assert.equal(answer[1], 3);
    unknown.on("error", () => undefined);
    unknown.cancel();
  });

  it("does not hold up the end of the server", async () => {
    const own = await startServed({ grpcPort: 0 });
    const other = new Client(`127.0.0.1:${own.server.grpcPort}`, credentials.createInsecure());
    try {
      const stream = other.makeServerStreamRequest(
        "/grpc.health.v1.Health/Watch",
        bytes,
        (answer: Buffer) => answer,
        textField(1, ""),
      );
      const seen: number[] = [];
      stream.on("data", (answer: Buffer) => seen.push(answer[1]!));
      await once(stream, "data");
      const ended = once(stream, "end");
      assert.equal((await own.server.close()).cutOff, 0);
      await ended;
      assert.deepEqual(seen, [1, 2]);
    } finally {
      other.close();
      await own[Symbol.asyncDispose]();
    }
  });
});
