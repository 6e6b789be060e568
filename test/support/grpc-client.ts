/** A gRPC client of our own tests: the transport is @grpc/grpc-js, the messages are written with @bufbuild/protobuf. */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  type ClientOptions,
  credentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";

const SERVICE = "/inference.GRPCInferenceService";

export interface GrpcInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly (number | bigint)[];
  readonly raw?: Uint8Array;
  /** Already encoded `InferTensorContents`. */
  readonly contents?: Uint8Array;
  readonly parameters?: Readonly<Record<string, string | number | bigint | boolean>>;
}

export interface GrpcRequest {
  readonly model: string;
  readonly version?: string;
  readonly id?: string;
  readonly inputs: readonly GrpcInput[];
  readonly outputs?: readonly { readonly name: string; readonly parameters?: GrpcInput["parameters"] }[];
  readonly parameters?: GrpcInput["parameters"];
}

export interface GrpcOutput {
  name: string;
  datatype: string;
  shape: number[];
  raw: Uint8Array;
}

export interface GrpcAnswer {
  model: string;
  version: string;
  id: string;
  finalFlag: boolean;
  outputs: GrpcOutput[];
}

function parameters(writer: BinaryWriter, field: number, values: GrpcInput["parameters"]): void {
  for (const [key, value] of Object.entries(values ?? {})) {
    writer.tag(field, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).fork();
    if (typeof value === "boolean") writer.tag(1, WireType.Varint).bool(value);
    else if (typeof value === "number") writer.tag(2, WireType.Varint).int64(value);
    else if (typeof value === "bigint") writer.tag(5, WireType.Varint).uint64(value);
    else writer.tag(3, WireType.LengthDelimited).string(value);
    writer.join().join();
  }
}

/** A ModelInferRequest. */
export function inferRequest(request: GrpcRequest): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(request.model);
  if (request.version !== undefined) writer.tag(2, WireType.LengthDelimited).string(request.version);
  if (request.id !== undefined) writer.tag(3, WireType.LengthDelimited).string(request.id);
  parameters(writer, 4, request.parameters);
  for (const input of request.inputs) {
    writer.tag(5, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(input.name);
    writer.tag(2, WireType.LengthDelimited).string(input.datatype);
    writer.tag(3, WireType.LengthDelimited).fork();
    for (const dim of input.shape) writer.int64(dim);
    writer.join();
    parameters(writer, 4, input.parameters);
    if (input.contents !== undefined) writer.tag(5, WireType.LengthDelimited).bytes(input.contents);
    writer.join();
  }
  for (const output of request.outputs ?? []) {
    writer.tag(6, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string(output.name);
    parameters(writer, 2, output.parameters);
    writer.join();
  }
  for (const { raw } of request.inputs)
    if (raw !== undefined) writer.tag(7, WireType.LengthDelimited).bytes(raw);
  return writer.finish();
}

/** Reads a ModelInferResponse. */
function inferAnswer(bytes: Uint8Array): GrpcAnswer {
  const reader = new BinaryReader(bytes);
  const answer: GrpcAnswer = { model: "", version: "", id: "", finalFlag: false, outputs: [] };
  let raws = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) answer.model = reader.string();
    else if (field === 2) answer.version = reader.string();
    else if (field === 3) answer.id = reader.string();
    else if (field === 4) answer.finalFlag = Buffer.from(reader.bytes()).includes("triton_final_response");
    else if (field === 5) answer.outputs.push(output(reader.bytes()));
    else if (field === 6) answer.outputs[raws++]!.raw = reader.bytes();
    else reader.skip(type);
  }
  return answer;
}

function output(bytes: Uint8Array): GrpcOutput {
  const reader = new BinaryReader(bytes);
  const read: GrpcOutput = { name: "", datatype: "", shape: [], raw: new Uint8Array(0) };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) read.name = reader.string();
    else if (field === 2) read.datatype = reader.string();
    else if (field === 3) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) read.shape.push(Number(reader.int64()));
    } else reader.skip(type);
  }
  return read;
}

/** One message of a ModelStreamInfer answer. */
export function streamAnswer(bytes: Uint8Array): { error: string; answer: GrpcAnswer | undefined } {
  const reader = new BinaryReader(bytes);
  let error = "";
  let answer: GrpcAnswer | undefined;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1) error = reader.string();
    else if (field === 2) answer = inferAnswer(reader.bytes());
    else reader.skip(type);
  }
  return { error, answer };
}

/** A channel that is closed with `using`. */
export class GrpcClient extends Client {
  readonly #open = new Set<{ cancel(): void }>();

  constructor(
    port: number,
    channel: ChannelCredentials = credentials.createInsecure(),
    options: ClientOptions = {},
  ) {
    super(`127.0.0.1:${port}`, channel, {
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      ...options,
    });
  }

  /** One unary call of bytes; rejects with the status. */
  call(
    method: string,
    message: Uint8Array,
    { metadata = {}, deadlineMs, signal }: CallOptions = {},
  ): Promise<Uint8Array> {
    const path = method.startsWith("/") ? method : `${SERVICE}/${method}`;
    return new Promise((resolve, reject) => {
      const call = this.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        message,
        metadataOf(metadata),
        deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
        (error: ServiceError | null, answer?: Buffer) => (error === null ? resolve(answer!) : reject(error)),
      );
      signal?.addEventListener("abort", () => call.cancel());
    });
  }

  async infer(request: GrpcRequest, options: CallOptions = {}): Promise<GrpcAnswer> {
    return inferAnswer(await this.call("ModelInfer", inferRequest(request), options));
  }

  stream(metadata: Readonly<Record<string, string>> = {}): ClientDuplexStream<Uint8Array, Buffer> {
    const stream = this.makeBidiStreamRequest(
      `${SERVICE}/ModelStreamInfer`,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      metadataOf(metadata),
    );
    this.#open.add(stream);
    return stream;
  }

  [Symbol.dispose](): void {
    for (const stream of this.#open) stream.cancel();
    this.close();
  }
}

export interface CallOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
}

function metadataOf(values: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(values)) metadata.set(key, value);
  return metadata;
}

/** The rows of Triton's `simple` model as a request. */
export function simpleGrpc(start = 0, extra: Partial<GrpcRequest> = {}): GrpcRequest {
  const row = Int32Array.from({ length: 16 }, (_, i) => start + i);
  const ones = new Int32Array(16).fill(1);
  const input = (name: string, data: Int32Array): GrpcInput => ({
    name,
    datatype: "INT32",
    shape: [1, 16],
    raw: new Uint8Array(data.buffer),
  });
  return { model: "simple", inputs: [input("INPUT0", row), input("INPUT1", ones)], ...extra };
}
