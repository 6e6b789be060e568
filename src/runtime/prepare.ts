/** What is changed in a model before ONNX Runtime sees it, and what it needs to find its external data. */
import { dirname } from "node:path";
import { type OnnxModel, readModel, weightFiles } from "../onnx/index.js";
import type { CompiledMeta } from "./cache.js";

/** A model as it is given: a path or bytes, with the folder in which bytes find their external data. */
export interface ModelSource {
  readonly from: string | Uint8Array;
  readonly baseDir: string | undefined;
}

export interface Prepared {
  /** Path or bytes to hand to ONNX Runtime. */
  readonly source: string | Uint8Array;
  readonly labels: CompiledMeta["labels"];
  /** Session settings that the source needs. */
  readonly config: Readonly<Record<string, string>>;
}

/** Reads the model's structure and checks its external data. Throws FILE_NOT_FOUND or MODEL_INVALID. */
export function readStructure({ from, baseDir }: ModelSource): Promise<OnnxModel> {
  return readModel(from, baseDir === undefined ? {} : { baseDir });
}

export async function prepareModel(source: ModelSource): Promise<Prepared> {
  const model = await readStructure(source);
  const folder = source.baseDir ?? (typeof source.from === "string" ? dirname(source.from) : undefined);
  const outside = weightFiles(model).length > 0;
  const config: Record<string, string> = {};
  if (typeof source.from !== "string" && outside && folder !== undefined) {
    config["session.model_external_initializers_file_folder_path"] = folder;
  }
  return { source: source.from, labels: {}, config };
}
