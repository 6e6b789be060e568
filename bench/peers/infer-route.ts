/** An infer route as a team writes it with fastify and the official binding: JSON and binary tensors of the protocol. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { type InferenceSession, Tensor } from "onnxruntime-node";

interface NamedTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: number[];
  readonly data?: number[];
  readonly parameters?: { readonly binary_data_size?: number };
}

interface InferBody {
  readonly inputs: readonly NamedTensor[];
  readonly parameters?: { readonly binary_data_output?: boolean };
}

const DTYPES = { FP32: "float32", INT64: "int64" } as const;
type Datatype = keyof typeof DTYPES;
const OIP_NAMES: Readonly<Record<string, Datatype>> = { float32: "FP32", int64: "INT64" };

function fromJson({ datatype, shape, data = [] }: NamedTensor): Tensor {
  if (datatype === "FP32") return new Tensor("float32", Float32Array.from(data), shape);
  if (datatype === "INT64") return new Tensor("int64", BigInt64Array.from(data, BigInt), shape);
  throw new Error(`unsupported datatype ${datatype}`);
}

function fromBytes({ datatype, shape }: NamedTensor, bytes: Buffer): Tensor {
  const copy = new Uint8Array(bytes).buffer;
  if (datatype === "FP32") return new Tensor("float32", new Float32Array(copy), shape);
  if (datatype === "INT64") return new Tensor("int64", new BigInt64Array(copy), shape);
  throw new Error(`unsupported datatype ${datatype}`);
}

function feedsOf(body: InferBody, tensors: Buffer): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  let at = 0;
  for (const input of body.inputs) {
    const size = input.parameters?.binary_data_size;
    feeds[input.name] =
      size === undefined ? fromJson(input) : fromBytes(input, tensors.subarray(at, (at += size)));
  }
  return feeds;
}

function sendJson(reply: FastifyReply, model: string, outputs: InferenceSession.ReturnType): FastifyReply {
  return reply.send({
    model_name: model,
    model_version: "1",
    outputs: Object.entries(outputs).map(([name, tensor]) => ({
      name,
      datatype: OIP_NAMES[tensor.type],
      shape: tensor.dims,
      data: Array.from(tensor.data as Float32Array),
    })),
  });
}

function sendBinary(reply: FastifyReply, model: string, outputs: InferenceSession.ReturnType): FastifyReply {
  const entries = Object.entries(outputs).map(([name, tensor]) => {
    const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
    return { name, tensor, bytes: Buffer.from(buffer, byteOffset, byteLength) };
  });
  const header = Buffer.from(
    JSON.stringify({
      model_name: model,
      model_version: "1",
      outputs: entries.map(({ name, tensor, bytes }) => ({
        name,
        datatype: OIP_NAMES[tensor.type],
        shape: tensor.dims,
        parameters: { binary_data_size: bytes.length },
      })),
    }),
  );
  return reply
    .header("content-type", "application/octet-stream")
    .header("inference-header-content-length", header.length)
    .send(Buffer.concat([header, ...entries.map(({ bytes }) => bytes)]));
}

/** A fastify server with one model, listening on a free port of the loopback interface (`port` 0). */
export async function inferServer(
  model: string,
  session: InferenceSession,
  port = 0,
): Promise<FastifyInstance> {
  const app = fastify({ bodyLimit: 64 << 20 });
  app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, (_request, body, done) => {
    done(null, body);
  });
  app.post(`/v2/models/${model}/infer`, async (request: FastifyRequest, reply) => {
    const headerLength = request.headers["inference-header-content-length"];
    if (headerLength === undefined) {
      const outputs = await session.run(feedsOf(request.body as InferBody, Buffer.alloc(0)));
      return sendJson(reply, model, outputs);
    }
    const bytes = request.body as Buffer;
    const body = JSON.parse(bytes.toString("utf8", 0, Number(headerLength))) as InferBody;
    const outputs = await session.run(feedsOf(body, bytes.subarray(Number(headerLength))));
    return sendBinary(reply, model, outputs);
  });
  await app.listen({ port, host: "127.0.0.1" });
  return app;
}
