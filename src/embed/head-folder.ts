/** Which folders hold models that classify texts or pairs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isFields, isFile } from "./card/files.js";

/** What the names of their architectures end in. */
export const HEAD = "ForSequenceClassification";

/** Whether the folder's config names a model that classifies texts or pairs, as rerankers do. */
export function isHeadFolder(folder: string): boolean {
  const path = join(folder, "config.json");
  if (!isFile(path) || !isFile(join(folder, "tokenizer.json"))) return false;
  try {
    const config: unknown = JSON.parse(readFileSync(path, "utf8"));
    const names = isFields(config) ? config.architectures : undefined;
    return Array.isArray(names) && String(names[0]).endsWith(HEAD);
  } catch {
    return false;
  }
}
