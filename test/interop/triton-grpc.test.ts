/** The same gRPC calls to a real Triton server and to ours: statuses, texts and answers must be the same, but for what is listed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ServiceError } from "@grpc/grpc-js";
import {
  type GrpcAnswer,
  GrpcClient,
  type GrpcInput,
  type GrpcRequest,
  simpleGrpc,
} from "../support/grpc-client.js";
import { type ServedRepository, serveRepository } from "../support/repository.js";
import { DATATYPES, identityModel, simpleModel } from "../support/served.js";
import { type RealTriton, startTriton } from "./triton-server.js";

const value = (name: string, type: string, dims: string): string =>
  `{ name: "${name}" data_type: TYPE_${type} dims: [ ${dims} ] }`;
const MODELS = {
  simple: {
    config: `max_batch_size: 8
      input [ ${value("INPUT0", "INT32", "16")}, ${value("INPUT1", "INT32", "16")} ]
      output [ ${value("OUTPUT0", "INT32", "16")}, ${value("OUTPUT1", "INT32", "16")} ]
      instance_group [ { count: 1 kind: KIND_CPU } ]`,
    onnx: simpleModel(),
  },
  texts: {
    config: `max_batch_size: 8 input [ ${value("x", "STRING", "-1")} ] output [ ${value("y", "STRING", "-1")} ]
      instance_group [ { count: 1 kind: KIND_CPU } ]`,
    onnx: identityModel(DATATYPES.BYTES),
  },
  floats: {
    config: `max_batch_size: 8 input [ ${value("x", "FP32", "-1")} ] output [ ${value("y", "FP32", "-1")} ]
      instance_group [ { count: 1 kind: KIND_CPU } ]`,
    onnx: identityModel(DATATYPES.FP32),
  },
};

/** A message of text fields. */
function texts(...fields: readonly (readonly [number, string])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [field, text] of fields) writer.tag(field, WireType.LengthDelimited).string(text);
  return writer.finish();
}

/** Packed values of one field of InferTensorContents. */
function contents(field: number, write: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  return writer.join().finish();
}

const int32s = (from: number, count = 16): Uint8Array =>
  contents(2, (writer) => {
    for (let i = 0; i < count; i++) writer.int32(from + i);
  });

/** One row of the two inputs, each given as `change` has it. */
function row(
  change: (input: GrpcInput, i: number) => GrpcInput,
  extra: Partial<GrpcRequest> = {},
): GrpcRequest {
  const { inputs, ...request } = simpleGrpc(0, extra);
  return { ...request, inputs: inputs.map(change) };
}
const bare = ({ name, datatype, shape }: GrpcInput): GrpcInput => ({ name, datatype, shape });
/** Changes the first input alone: Triton looks at them in the order of a hash. */
const first = (change: (input: GrpcInput) => GrpcInput): GrpcRequest =>
  row((input, i) => (i === 0 ? change(input) : input));
const typed = (input: GrpcInput, i: number): GrpcInput => ({ ...bare(input), contents: int32s(i) });
const element = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.length);
  return Buffer.concat([size, bytes]);
};
const text = (raw: Uint8Array, columns = 2): GrpcRequest => ({
  model: "texts",
  inputs: [{ name: "x", datatype: "BYTES", shape: [1, columns], raw }],
});
const elements = (...parts: readonly string[]): Uint8Array => {
  const writer = new BinaryWriter();
  for (const part of parts) writer.tag(8, WireType.LengthDelimited).bytes(Buffer.from(part));
  return writer.finish();
};
const textContents = (...parts: readonly string[]): GrpcRequest => ({
  model: "texts",
  inputs: [{ name: "x", datatype: "BYTES", shape: [1, 2], contents: elements(...parts) }],
});
const floatContents = (bytes: Uint8Array): GrpcRequest => ({
  model: "floats",
  inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], contents: bytes }],
});
const floats = (shape: readonly number[], bytes: number): GrpcRequest => ({
  model: "floats",
  inputs: [{ name: "x", datatype: "FP32", shape, raw: new Uint8Array(bytes) }],
});

const INFER: Readonly<Record<string, GrpcRequest>> = {
  "raw tensors": simpleGrpc(3, { id: "abc" }),
  "typed tensors": row(typed),
  "typed and raw tensors": row((input, i) => (i === 0 ? input : typed(input, i))),
  "a raw tensor beside contents of the same": row((input) => ({ ...input, contents: int32s(0) })),
  "too few typed values": floatContents(contents(6, (w) => w.float(1))),
  "too many typed values": floatContents(contents(6, (w) => w.float(1).float(2).float(3))),
  "one value for a large shape": {
    model: "floats",
    inputs: [{ name: "x", datatype: "FP32", shape: [1, 1000], contents: contents(6, (w) => w.float(1)) }],
  },
  "integers for floats": floatContents(int32s(0, 2)),
  "64-bit integers for floats": floatContents(contents(3, (w) => w.int64(1).int64(2))),
  "unsigned integers for floats": floatContents(contents(4, (w) => w.uint32(1).uint32(2))),
  "booleans for floats": floatContents(contents(1, (w) => w.bool(true).bool(false))),
  "doubles for floats": floatContents(contents(7, (w) => w.double(1).double(2))),
  "texts for floats": floatContents(elements("a", "b")),
  "floats for integers": row((input) => ({ ...bare(input), contents: contents(6, (w) => w.float(1)) })),
  "floats for texts": {
    model: "texts",
    inputs: [{ name: "x", datatype: "BYTES", shape: [1, 1], contents: contents(6, (w) => w.float(1)) }],
  },
  "no values at all": row(bare),
  "too few bytes": first((input) => ({ ...input, raw: new Uint8Array(4) })),
  "too many bytes": first((input) => ({ ...input, raw: new Uint8Array(80) })),
  "one output": simpleGrpc(0, { outputs: [{ name: "OUTPUT1" }] }),
  "an unknown output": simpleGrpc(0, { outputs: [{ name: "NOPE" }] }),
  classification: simpleGrpc(0, { outputs: [{ name: "OUTPUT0", parameters: { classification: 2 } }] }),
  "own parameters": simpleGrpc(0, { parameters: { mine: "a", count: 3, flag: true } }),
  "a reserved parameter": simpleGrpc(0, { parameters: { triton_mine: 1 } }),
  "a priority": simpleGrpc(0, { parameters: { priority: 1n } }),
  "an unknown model": { ...simpleGrpc(), model: "nope" },
  "no model": { ...simpleGrpc(), model: "" },
  "an unknown version": simpleGrpc(0, { version: "9" }),
  "a version that is no number": simpleGrpc(0, { version: "x" }),
  "no inputs": { model: "simple", inputs: [] },
  "one input too few": { model: "simple", inputs: simpleGrpc().inputs.slice(0, 1) },
  "an unknown input in place of one": row((input, i) => (i === 0 ? input : { ...input, name: "Z" })),
  "an input twice": row((input) => ({ ...input, name: "INPUT0" })),
  "another datatype": first((input) => ({ ...input, datatype: "FP32" })),
  "no datatype that there is": first((input) => ({ ...input, datatype: "INT4" })),
  "a shape that is too narrow": first((input) => ({ ...input, shape: [1, 8], raw: new Uint8Array(32) })),
  "no batch dimension": row((input) => ({ ...input, shape: [16] })),
  "too many rows": row((input) => ({ ...input, shape: [9, 16], raw: new Uint8Array(9 * 64) })),
  "rows of two counts": row((input, i) =>
    i === 0 ? input : { ...input, shape: [2, 16], raw: new Uint8Array(128) },
  ),
  "a shared memory region that is not there": row((input) => ({
    ...bare(input),
    parameters: { shared_memory_region: "nope", shared_memory_byte_size: 64 },
  })),
  "an output in a region that is not there": simpleGrpc(0, {
    outputs: [{ name: "OUTPUT0", parameters: { shared_memory_region: "nope", shared_memory_byte_size: 64 } }],
  }),
  texts: text(Buffer.concat([element("ä"), element("")])),
  "a text that ends too early": text(Buffer.concat([element("ab"), Buffer.from([9, 0, 0, 0, 65])])),
  "one text too few": text(element("a")),
  "one text too many": text(Buffer.concat([element("a"), element("b"), element("c")])),
  "a length that is cut off": text(Buffer.concat([element("a"), Buffer.from([1, 0])])),
  "no text": text(new Uint8Array(0)),
  "texts as contents": textContents("one", "two"),
  "too few texts as contents": textContents("one"),
  "too many texts as contents": textContents("one", "two", "three"),
  "floats of three columns": floats([1, 3], 12),
  "a negative dimension": floats([1, -1], 4),
};

/** Other calls, by what they try: method and message. */
const CALLS: Readonly<Record<string, readonly [string, Uint8Array]>> = {
  "server live": ["ServerLive", texts()],
  "server ready": ["ServerReady", texts()],
  "model ready": ["ModelReady", texts([1, "simple"])],
  "a model that is not ready": ["ModelReady", texts([1, "nope"])],
  "a version that is not ready": ["ModelReady", texts([1, "simple"], [2, "7"])],
  "metadata of no model": ["ModelMetadata", texts([1, "nope"])],
  "metadata of no version": ["ModelMetadata", texts([1, "simple"], [2, "7"])],
  "config of no model": ["ModelConfig", texts([1, "nope"])],
  "config of no version": ["ModelConfig", texts([1, "simple"], [2, "7"])],
  "statistics of no model": ["ModelStatistics", texts([1, "nope"])],
  "load of no model": ["RepositoryModelLoad", texts([2, "nope"])],
  "unload of no model": ["RepositoryModelUnload", texts([2, "nope"])],
  "shared memory that there is": ["SystemSharedMemoryStatus", texts()],
  "status of no region": ["SystemSharedMemoryStatus", texts([1, "nope"])],
  "a region of no file": [
    "SystemSharedMemoryRegister",
    new BinaryWriter()
      .raw(texts([1, "r"], [2, "/tenon-not-there"]))
      .tag(4, WireType.Varint)
      .uint64(64)
      .finish(),
  ],
  "an unregister of no region": ["SystemSharedMemoryUnregister", texts([1, "nope"])],
  "no message": ["ModelInfer", Uint8Array.of(0xff, 0xff)],
  "no method": ["Nothing", texts()],
};

/** What differs, and why. */
const CLIENTS_FAULT = "the request is at fault: INVALID_ARGUMENT in place of INTERNAL";
const DIFFERENT: Readonly<Record<string, string>> = {
  "a version that is no number": "their text names the C++ function that reads numbers",
  "a shape that is too narrow": "the note behind the shapes is in our own words",
  "rows of two counts": "they name the input that comes first in a hash, we the first that differs",
  "a region of no file": CLIENTS_FAULT,
  "no message": CLIENTS_FAULT,
  "no method": "ours says which method is unknown",
};

type Outcome = { readonly code: number; readonly text: string } | { readonly answer: unknown };

async function outcome(call: Promise<unknown>): Promise<Outcome> {
  return call.then(
    (answer) => ({ answer }),
    ({ code, details }: ServiceError) => ({ code, text: details.replace(/<id_unknown>|id: \w+/, "id") }),
  );
}

function plain({ model, version, id, outputs }: GrpcAnswer): object {
  return {
    model,
    version,
    id,
    outputs: outputs.map(({ raw, ...output }) => ({ ...output, raw: Buffer.from(raw).toString("hex") })),
  };
}

describe("gRPC calls to a real Triton server and to ours", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-triton-"));
  let triton: RealTriton;
  let ours: ServedRepository;
  let clients: readonly GrpcClient[] = [];
  before(async () => {
    const models = Object.entries(MODELS);
    const configs = Object.fromEntries(models.map(([name, { config }]) => [name, config]));
    triton = await startTriton(process.env.TENON_INTEROP!, folder, configs);
    const files = models.flatMap(([name, { config, onnx }]): [string, string | Uint8Array][] => [
      [`${name}/config.pbtxt`, config],
      [`${name}/1/model.onnx`, onnx],
    ]);
    ours = await serveRepository(
      Object.fromEntries(files),
      ...["--model-control", "explicit", "--load-model", "*", "--extensions", "system_shared_memory"],
    );
    clients = [triton.grpcPort, ours.ready.grpcPort].map((port) => new GrpcClient(port));
  });
  after(async () => {
    for (const client of clients) client.close();
    await ours?.[Symbol.asyncDispose]();
    await triton?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const alike = (name: string, call: (client: GrpcClient) => Promise<unknown>): void => {
    it(`answer alike: ${name}`, async () => {
      const [theirs, own] = await Promise.all(clients.map((client) => outcome(call(client))));
      if (DIFFERENT[name] === undefined) assert.deepEqual(own, theirs);
      else assert.notDeepEqual(own, theirs, `does not differ any more: ${DIFFERENT[name]}`);
    });
  };
  for (const [name, request] of Object.entries(INFER))
    alike(name, async (client) => plain(await client.infer(request)));
  for (const [name, [method, message]] of Object.entries(CALLS))
    alike(name, async (client) => Buffer.from(await client.call(method, message)).toString("hex"));
});
