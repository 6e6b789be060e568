/** What is changed in a model before ONNX Runtime sees it, and what it needs to find its external data. */
import { TenonError } from "../base/index.js";
import type { CompiledMeta } from "./cache.js";

export interface Prepared {
  /** Path or bytes to hand to ONNX Runtime. */
  readonly source: string | Uint8Array;
  /** Files outside the model file that hold weights, absolute. */
  readonly externalFiles: readonly string[];
  readonly labels: CompiledMeta["labels"];
  /** Session settings that the source needs. */
  readonly config: Readonly<Record<string, string>>;
}

/** Throws MODEL_INVALID for what is no readable ONNX file. */
export async function prepareModel(source: string | Uint8Array): Promise<Prepared> {
  if (typeof source !== "string" && source.byteLength === 0) throw new TenonError("MODEL_INVALID");
  return { source, externalFiles: [], labels: {}, config: {} };
}
