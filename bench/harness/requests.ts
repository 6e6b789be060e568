/** Infer requests of the Open Inference Protocol as bytes, ready to be sent again and again. */
import { DTYPES, type Tensor } from "tenon/tensor";

export type RequestFormat = "json" | "binary";

/** Head and body of one infer request. */
export interface InferRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function inferRequest(
  model: string,
  inputs: Readonly<Record<string, Tensor>>,
  format: RequestFormat,
): InferRequest {
  const path = `/v2/models/${model}/infer`;
  const entries = Object.entries(inputs);
  if (format === "json") {
    const body = Buffer.from(
      JSON.stringify({
        inputs: entries.map(([name, tensor]) => ({
          name,
          datatype: DTYPES[tensor.dtype].oip,
          shape: tensor.shape,
          data: Array.from(tensor.data as Float32Array | BigInt64Array, Number),
        })),
      }),
    );
    return { path, headers: { "content-type": "application/json" }, body };
  }
  const header = Buffer.from(
    JSON.stringify({
      inputs: entries.map(([name, tensor]) => ({
        name,
        datatype: DTYPES[tensor.dtype].oip,
        shape: tensor.shape,
        parameters: { binary_data_size: tensor.byteLength },
      })),
      parameters: { binary_data_output: true },
    }),
  );
  return {
    path,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(header.length),
    },
    body: Buffer.concat([header, ...entries.map(([, tensor]) => tensor.bytes)]),
  };
}

/** The whole HTTP/1.1 message. */
export function wireBytes(request: InferRequest, host: string): Buffer {
  const lines = [
    `POST ${request.path} HTTP/1.1`,
    `host: ${host}`,
    ...Object.entries(request.headers).map(([name, text]) => `${name}: ${text}`),
    `content-length: ${request.body.length}`,
  ];
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`), request.body]);
}

/** Sends one request and gives the first output's float32 values: to see that servers answer alike. */
export async function firstOutput(port: number, request: InferRequest): Promise<Float32Array> {
  const response = await fetch(`http://127.0.0.1:${port}${request.path}`, {
    method: "POST",
    headers: request.headers,
    body: request.body,
  });
  if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const headerLength = response.headers.get("inference-header-content-length");
  const header = bytes.subarray(0, headerLength === null ? bytes.length : Number(headerLength));
  const { outputs } = JSON.parse(new TextDecoder().decode(header)) as {
    outputs: { data?: number[]; parameters?: { binary_data_size: number } }[];
  };
  const first = outputs[0]!;
  if (first.data !== undefined) return Float32Array.from(first.data);
  const size = first.parameters!.binary_data_size;
  return new Float32Array(bytes.slice(header.length, header.length + size).buffer);
}
