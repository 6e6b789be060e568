/** The thread that reads large JSON requests, so that the event loop does not; it never touches ONNX Runtime. */
import { parentPort, type TransferListItem } from "node:worker_threads";
import { toTenonError } from "../../base/index.js";
import { type InferRequest, parseInferRequest, type RequestLimits } from "./request.js";

/** What the thread is asked: the JSON is `bytes[start, end)`. */
export interface ScanJob {
  readonly number: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly limits: RequestLimits;
}

/** What it answers; an error is rebuilt on the other side. */
export type ScanResult =
  | { readonly number: number; readonly request: InferRequest }
  | { readonly number: number; readonly code: string; readonly problem: string };

function scan({ number, bytes, start, end, limits }: ScanJob): ScanResult {
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { number, request: parseInferRequest(buffer, start, end, limits) };
  } catch (error) {
    const { code, message } = toTenonError(error);
    return { number, code, problem: message };
  }
}

function buffersOf(result: ScanResult): TransferListItem[] {
  if (!("request" in result)) return [];
  return result.request.inputs.flatMap(({ values }) => {
    if (values === undefined) return [];
    const arrays = "offsets" in values ? [values.bytes, values.offsets] : [values];
    return arrays.map((array) => array.buffer as ArrayBuffer); // allocated here, never shared
  });
}

parentPort?.on("message", (job: ScanJob) => {
  const result = scan(job);
  parentPort?.postMessage(result, buffersOf(result));
});
