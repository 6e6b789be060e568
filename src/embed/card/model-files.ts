/** Where a folder keeps its model: the names that are looked for, and what is said where there is none. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { isFile, isFolder } from "./files.js";

/** Where a folder keeps an ONNX file; the first that is there counts. */
const GRAPHS = ["onnx/model.onnx", "model.onnx", "model_optimized.onnx", "onnx/model_optimized.onnx"];

/** Graphs of other numbers than the model's own, for folders that hold nothing else. */
const QUANTISED = ["model_quantized.onnx", "onnx/model_quantized.onnx"];

const WEIGHTS = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];

/** What a folder with a model in it has at the least one of. */
const CONFIGS = ["config.json", "modules.json"];

export interface ModelPlace {
  readonly folder: string;
  /** Where config, tokenizer and weights of the transformer are. */
  readonly transformer: string;
}

/** The file that the graph is read from: an ONNX file by its path, else weights by their name. Throws MODEL_INCOMPLETE. */
export function modelFile(place: ModelPlace): { readonly graph: string } | { readonly weights: string } {
  const { folder, transformer } = place;
  const graphIn = (names: readonly string[]): string | undefined =>
    [...new Set([folder, transformer])]
      .flatMap((home) => names.map((name) => join(home, name)))
      .find((path) => isFile(path));
  const graph = graphIn(GRAPHS);
  if (graph !== undefined) return { graph };
  const weights = WEIGHTS.find((name) => isFile(join(transformer, name)));
  if (weights !== undefined) return { weights };
  const quantised = graphIn(QUANTISED);
  if (quantised !== undefined) return { graph: quantised };
  throw new TenonError("MODEL_INCOMPLETE", {
    problem: "the model's folder has neither weights nor an ONNX file",
    given: transformer,
    expected: [...GRAPHS.slice(0, 2), ...WEIGHTS].join(" or "),
    do: "finish the download; for models of a hub: tenon pull NAME",
  });
}

/** Throws MODEL_INCOMPLETE for what is no folder, and for one without any model. */
export function assertModelFolder(folder: string): void {
  if (!isFolder(folder)) {
    throw new TenonError("MODEL_INCOMPLETE", {
      problem: "there is no such model folder",
      given: folder,
      expected: "a folder with config.json, tokenizer.json and weights or an ONNX file",
      ...(isFile(folder) ? { do: "give the folder that holds the file" } : {}),
    });
  }
  if (CONFIGS.some((name) => isFile(join(folder, name)))) return;
  const inner = modelsIn(folder);
  throw new TenonError("MODEL_INCOMPLETE", {
    problem: "there is no model in the folder",
    given: folder,
    expected: "config.json or modules.json, beside tokenizer.json and weights or an ONNX file",
    do:
      inner.length === 0
        ? "give the folder that a model was saved in, or the name of one that was pulled: tenon pull NAME"
        : `give the folder of a model: ${inner.join(", ")}`,
  });
}

/** Folders right below that hold models, some of them. */
function modelsIn(folder: string): readonly string[] {
  const found: string[] = [];
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }).slice(0, 200)) {
      const inner = join(folder, entry.name);
      if (found.length < 3 && isFolder(inner) && CONFIGS.some((name) => isFile(join(inner, name))))
        found.push(inner);
    }
  } catch {
    // A folder that cannot be listed has nothing to offer.
  }
  return found;
}
