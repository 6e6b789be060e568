/** weightFiles: the files beside a model that hold weights of it. */
import type { Model } from "./graph.js";
import { modelToProto } from "./to-proto.js";

/** Absolute paths, links resolved, of the external data files that the reader found; each once. */
export function weightFiles(model: Model): string[] {
  const files = new Set<string>();
  modelToProto(model, (data) => {
    const { payload } = data;
    const range = payload.in === "external" ? payload.range : undefined;
    if (range !== undefined && !(range instanceof Uint8Array)) files.add(range.file.path);
    return data;
  });
  return [...files];
}
