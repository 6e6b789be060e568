/** What is changed in a model before ONNX Runtime sees it, and what it needs to find its external data. */
import { dirname } from "node:path";
import {
  dropZipMap,
  type LabelsByOutput,
  type OnnxModel,
  readModel,
  weightFiles,
  writeModel,
} from "../onnx/index.js";
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

/** Final ZipMaps give way to their scores, since ONNX Runtime would answer with sequences of maps. */
export async function prepareModel(source: ModelSource): Promise<Prepared> {
  const model = await readStructure(source);
  const { model: changed, labels } = dropZipMap(model);
  const folder = source.baseDir ?? (typeof source.from === "string" ? dirname(source.from) : undefined);
  if (changed !== model) return { source: writeModel(changed), labels: toJson(labels), config: {} };
  const outside = typeof source.from !== "string" && folder !== undefined && weightFiles(model).length > 0;
  return {
    source: source.from,
    labels: {},
    config: outside ? { "session.model_external_initializers_file_folder_path": folder } : {},
  };
}

function toJson(labels: LabelsByOutput): CompiledMeta["labels"] {
  const entries = [...labels].map(
    ([name, values]) =>
      [name, values.map((label) => (typeof label === "string" ? label : { int64: String(label) }))] as const,
  );
  return Object.fromEntries(entries);
}
