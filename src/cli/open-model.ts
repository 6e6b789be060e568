/** What a path of the command line is, as something that an engine loads: model files as they are, folders as graphs. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import type { OnnxModel } from "../onnx/index.js";

/** True for a folder with `config.json` beside weights, as Hugging Face and sentence-transformers write them. */
export function isModelFolder(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  return isFile(join(path, "config.json")) && WEIGHTS.some((name) => isFile(join(path, name)));
}

/** True for a folder that sentence-transformers or model2vec wrote. */
export function isEmbedderFolder(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const has = (name: string): boolean => isFile(join(path, name));
  if (has("modules.json")) return has("config.json") || has("config_sentence_transformers.json");
  return has("model.safetensors") && has("tokenizer.json") && has("config.json") && isModel2vec(path);
}

/** True where `config.json` names no architecture or model2vec's. */
function isModel2vec(folder: string): boolean {
  try {
    const { model_type: kind } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
    return kind === undefined || kind === "model2vec";
  } catch {
    return false;
  }
}

const WEIGHTS = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

/** Endings of files that hold weights, and no graph that can be read. */
const WEIGHTS_ONLY = /\.(safetensors|pth|pt|bin|ckpt|index\.json)$/;

/**
 * The model of a path: the path of a model file, also of the `model.onnx` in a model's folder, else a graph on the
 * folder's or the exported program's weights. Throws MODEL_UNSUPPORTED for a file without a graph, and what
 * `architectureFromFolder` and `convertProgram` throw.
 */
export async function openModel(path: string): Promise<string | OnnxModel> {
  if (isModelFolder(path)) {
    const converted = join(path, "model.onnx");
    if (isFile(converted)) return converted;
    const { architectureFromFolder } = await import("../torch/index.js");
    return architectureFromFolder(path);
  }
  refuseWeightsOnly(path);
  if (isProgram(path)) {
    const { convertProgram } = await import("../torch/index.js");
    return convertProgram(path);
  }
  return path;
}

/** The graph that `openModel` stands for. */
export async function openGraph(path: string): Promise<OnnxModel> {
  const model = await openModel(path);
  if (typeof model !== "string") return model;
  const { readModel } = await import("../onnx/index.js");
  return readModel(model);
}

/** True for a file of `torch.export.save`, by its name. */
export function isProgram(path: string): boolean {
  return path.endsWith(".pt2") && isFile(path);
}

/** Throws MODEL_UNSUPPORTED for a file that has weights and no graph, saying how to give one. */
export function refuseWeightsOnly(path: string): void {
  if (!WEIGHTS_ONLY.test(path) || !isFile(path)) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "the file holds weights and no graph that can be read",
    given: path,
    expected:
      "a .onnx file, a .pt2 of torch.export.save, or a folder that holds config.json beside the weights",
    do: "to put the weights into a graph: tenon convert GRAPH --weights FILE --output OUT.onnx",
  });
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
