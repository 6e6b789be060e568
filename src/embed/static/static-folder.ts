/** Which folders hold static models. */
import { join } from "node:path";
import { modulesOf } from "../card/card.js";
import { isFile, readFields } from "../card/files.js";

/** Whether a folder holds vectors of tokens alone. Reads no weights; false for a folder that cannot be read. */
export function isStaticFolder(folder: string): boolean {
  try {
    const modules = modulesOf(folder);
    if (modules !== undefined) return modules[0]?.kind === "StaticEmbedding";
    const config = readFields(folder, "config.json");
    const kind = config?.model_type;
    return (
      config !== undefined &&
      (kind === undefined || kind === "model2vec") &&
      isFile(join(folder, "model.safetensors")) &&
      isFile(join(folder, "tokenizer.json"))
    );
  } catch {
    return false;
  }
}
