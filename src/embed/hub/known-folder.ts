/** Which known model a folder holds, told by its files rather than by its name. */
import { join } from "node:path";
import { isFile } from "../card/files.js";
import { fileHash } from "./file-hash.js";
import { KNOWN_MODELS, type KnownModel, knownModel } from "./known.js";
import type { GoldenVectors } from "./known-facts.js";

/** How a folder's files stand to those that the registry knows. */
export interface KnownFiles {
  readonly model: KnownModel;
  readonly same: readonly string[];
  readonly other: readonly string[];
  readonly absent: readonly string[];
}

/**
 * The model of this name, or one whose weights lie in the folder, and what became of its files; undefined for a model that the
 * registry has no hashes of. Reads and hashes all of the files.
 */
export async function knownFiles(given: string, folder: string): Promise<KnownFiles | undefined> {
  const model = knownModel(given) ?? (await modelByWeights(folder));
  if (model?.facts === undefined) return undefined;
  const found: Record<"same" | "other" | "absent", string[]> = { same: [], other: [], absent: [] };
  for (const [file, hash] of Object.entries(model.facts.files)) {
    const path = join(folder, file);
    if (!isFile(path)) found.absent.push(file);
    else found[(await fileHash(path, "sha256")) === hash ? "same" : "other"].push(file);
  }
  return { model, ...found };
}

/** What a known model's vectors should be, by its name or its weights. */
export async function goldenOf(given: string, folder: string): Promise<GoldenVectors | undefined> {
  return (knownModel(given) ?? (await modelByWeights(folder)))?.facts?.golden;
}

const WEIGHTS = /(^|\/)(model\.safetensors|pytorch_model\.bin|model\.onnx)$/;

async function modelByWeights(folder: string): Promise<KnownModel | undefined> {
  const seen = new Map<string, string>();
  for (const model of KNOWN_MODELS) {
    for (const [file, hash] of Object.entries(model.facts?.files ?? {})) {
      const path = join(folder, file);
      if (!WEIGHTS.test(file) || !isFile(path)) continue;
      if (!seen.has(path)) seen.set(path, await fileHash(path, "sha256"));
      if (seen.get(path) === hash) return model;
    }
  }
  return undefined;
}
