/** The reference models as files, written once into the project's cache folder. */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeModel } from "tenon/onnx";
import { MODELS, type ModelName } from "../../test/support/models.js";

const ROOT = resolve(import.meta.dirname, "../../..");

/** Where benches keep what they make. */
const CACHE = join(ROOT, ".cache");

/** Tenon's own cache: compiled models, and what was measured of them. */
export const COMPILED = join(CACHE, "compiled");

/** Forgets what earlier benches left in Tenon's cache, so that every series starts from the same state. */
export function clearCompiled(): void {
  rmSync(COMPILED, { recursive: true, force: true });
}

/** The path of a reference model, which is built on its first use. */
export async function modelFile(name: ModelName): Promise<string> {
  const folder = join(CACHE, "models");
  const file = join(folder, `${name}.onnx`);
  if (existsSync(file)) return file;
  mkdirSync(folder, { recursive: true });
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, writeModel(MODELS[name].build()));
  renameSync(partial, file);
  return file;
}

export async function modelMegabytes(name: ModelName): Promise<number> {
  return statSync(await modelFile(name)).size / 1e6;
}
