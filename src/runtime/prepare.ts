/** What is changed in a model before ONNX Runtime sees it, and what it needs to find its external data. */
import { dirname } from "node:path";
import type { Finding, LabelsByOutput, OnnxModel, Trust } from "../onnx/index.js";
import type { CompiledMeta } from "./cache.js";

/** A model as it is given: a path or bytes, with the folder in which bytes find their external data. */
export interface ModelSource {
  readonly from: string | Uint8Array;
  readonly baseDir: string | undefined;
  /** How far its author is trusted. */
  readonly trust: Trust;
  /** Gives the source where it has to be read after all; `from` is empty then. */
  readonly late?: () => Promise<Omit<ModelSource, "trust" | "late">>;
  /** What `from` holds, where it is known already; it is not read again then. */
  readonly structure?: OnnxModel;
}

export interface Prepared {
  /** Path or bytes to hand to ONNX Runtime. */
  readonly source: string | Uint8Array;
  readonly labels: CompiledMeta["labels"];
  /** What preflight says about the model; none of it refuses. */
  readonly findings: readonly Finding[];
  /** Session settings that the source needs. */
  readonly config: Readonly<Record<string, string>>;
}

/** Reads the model's structure and checks its external data. Throws FILE_NOT_FOUND or MODEL_INVALID. */
export async function readStructure({
  from,
  baseDir,
  structure,
}: Omit<ModelSource, "trust">): Promise<OnnxModel> {
  if (structure !== undefined) return structure;
  const { readModel } = await import("../onnx/index.js");
  return await readModel(from, baseDir === undefined ? {} : { baseDir });
}

/**
 * Preflight, before ONNX Runtime sees the model. Final ZipMaps give way to their scores, since ONNX Runtime would
 * answer with sequences of maps; absent values at the end of nodes are dropped, since they crash it.
 * `plain`: the graph is run as it is, and products with transposed weights read them where they lie.
 * Throws what `readStructure` throws, and MODEL_INVALID or MODEL_UNSUPPORTED for what preflight refuses.
 */
export async function prepareModel(source: ModelSource, plain = false): Promise<Prepared> {
  const { dropZipMap, preflight, refusal, takeTransposed, weightFiles, writeBeside } = await import(
    "../onnx/index.js"
  );
  const model = await readStructure(source);
  const findings = preflight(model, { trust: source.trust });
  const refused = refusal(findings);
  if (refused !== undefined) throw refused;
  const { model: plainer, labels } = dropZipMap(model);
  const changed = plain ? takeTransposed.apply(plainer) : plainer;
  const folder = source.baseDir ?? (typeof source.from === "string" ? dirname(source.from) : undefined);
  // The writer drops absent values.
  if (changed !== model || findings.some(({ code }) => code === "TRAILING_EMPTY")) {
    const { bytes, folder: beside } = writeBeside(changed);
    return { source: bytes, labels: toJson(labels), findings, config: inFolder(beside) };
  }
  const outside = typeof source.from !== "string" && folder !== undefined && weightFiles(model).length > 0;
  return { source: source.from, labels: {}, findings, config: inFolder(outside ? folder : undefined) };
}

/** Where ONNX Runtime looks for the external data of a model that it gets as bytes. */
function inFolder(folder: string | undefined): Prepared["config"] {
  return folder === undefined ? {} : { "session.model_external_initializers_file_folder_path": folder };
}

function toJson(labels: LabelsByOutput): CompiledMeta["labels"] {
  const entries = [...labels].map(
    ([name, values]) =>
      [name, values.map((label) => (typeof label === "string" ? label : { int64: String(label) }))] as const,
  );
  return Object.fromEntries(entries);
}
