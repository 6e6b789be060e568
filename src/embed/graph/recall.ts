/** What a dense graph is made of, as one text: the folder's files as they are now, the card, the options and this code. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import type { ModelCard } from "../card/card.js";
import { codeStamp } from "../code-stamp.js";
import type { OutputType, Quant } from "./names.js";

/** Folders with more than a model in them are not walked through. */
const MOST_FILES = 256;
const DEEPEST = 3;

export interface DenseChoices {
  readonly dims: number | undefined;
  readonly output: OutputType;
  readonly tokenOutputs: boolean;
  readonly quant: Quant;
}

/** Undefined where other files count, or there are too many. */
export function denseRecall(card: ModelCard, choices: DenseChoices): string | undefined {
  const { folder, transformer, pooling, includePrompt, normalize, dense } = card;
  const files: string[] = [];
  try {
    if (!stampFiles(realpathSync(folder), "", 0, files)) return undefined;
  } catch {
    return undefined; // a folder that changes, or cannot be read
  }
  const said = [transformer, pooling.value, includePrompt, normalize.value, dense];
  return JSON.stringify([codeStamp(), realpathSync(folder), files.sort(), said, choices]);
}

function stampFiles(root: string, inner: string, depth: number, files: string[]): boolean {
  for (const entry of readdirSync(join(root, inner), { withFileTypes: true })) {
    // An adapter names a model that lies elsewhere.
    if (entry.name === "adapter_config.json") return false;
    const path = join(inner, entry.name);
    const info = statSync(join(root, path), { bigint: true });
    if (info.isDirectory()) {
      if (depth === DEEPEST || !stampFiles(root, path, depth + 1, files)) return false;
    } else files.push(`${path} ${info.size} ${info.mtimeNs} ${info.dev}:${info.ino}`);
    if (files.length > MOST_FILES) return false;
  }
  return true;
}
