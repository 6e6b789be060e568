/** A client of the infer protocol for tests: requests of either form, and answers taken apart and checked for leaks. */
import { assertDiscreet } from "./served.js";

export interface Output {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data?: readonly unknown[];
  readonly parameters?: { readonly binary_data_size: number };
}

export interface Answer {
  readonly id?: string;
  readonly model_name: string;
  readonly model_version: string;
  readonly outputs: readonly Output[];
}

export interface Result {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: Answer & { readonly error?: string };
  /** Behind the JSON header. */
  readonly binary: Buffer;
}

/** Posts a body and takes the answer apart. */
export async function post(
  url: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const answer = await fetch(url, { method: "POST", body: Buffer.from(body), headers });
  const bytes = Buffer.from(await answer.arrayBuffer());
  const length = Number(answer.headers.get("inference-header-content-length") ?? bytes.length);
  const text = bytes.subarray(0, length).toString();
  assertDiscreet(answer.status, text);
  const bare = text.replaceAll(/\b(?:NaN|-?Infinity)\b/g, (token) => `"${token}"`).replaceAll('-"', '"-');
  const json = JSON.parse(bare) as Result["json"];
  return { status: answer.status, headers: answer.headers, text, json, binary: bytes.subarray(length) };
}

/** A request whose tensors lie behind the JSON. */
export function binaryRequest(
  header: object,
  ...sections: readonly Uint8Array[]
): { body: Buffer; headers: Record<string, string> } {
  const json = Buffer.from(JSON.stringify(header));
  return {
    body: Buffer.concat([json, ...sections]),
    headers: { "Inference-Header-Content-Length": String(json.length) },
  };
}

/** The bytes of an array. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** The two rows that tests send to the model `simple`. */
export const row = Int32Array.from({ length: 16 }, (_, i) => i);
export const ones = new Int32Array(16).fill(1);

/** The header of such a request in binary form. */
export function simpleBinary(sizes = [64, 64], extra: object = {}): object {
  return {
    inputs: [
      { name: "INPUT0", shape: [1, 16], datatype: "INT32", parameters: { binary_data_size: sizes[0] } },
      { name: "INPUT1", shape: [1, 16], datatype: "INT32", parameters: { binary_data_size: sizes[1] } },
    ],
    ...extra,
  };
}
