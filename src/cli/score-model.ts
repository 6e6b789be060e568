/** The model of a scoring job, loaded: what scores rows, and the hash that a plan knows it by. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import type { Engine, Signature, ValueSignature } from "../runtime/index.js";
import type { Scorer } from "../score/index.js";
import { isModelFolder, openModel } from "./open-model.js";
import { loadTextScorer } from "./score-text.js";

export interface ScoringModel {
  readonly scorer: Scorer;
  readonly sha256: string;
  /** Runs of the model that go on at the same time. */
  readonly lanes: number;
}

/**
 * Loads a model file, an exported program, or the folder of a Hugging Face model. `mapped`: inputs that columns are named
 * for; an embedder's, classifier's or reranker's folder takes texts unless these are others.
 */
export async function loadScoringModel(
  engine: Engine,
  path: string,
  runDeadline: number,
  mapped: readonly string[],
): Promise<ScoringModel> {
  const texts = await loadTextScorer(engine, path, mapped);
  if (texts !== undefined)
    return { scorer: texts.scorer, sha256: await folderHash(path), lanes: texts.model.profile.lanes };
  const source = await openModel(path);
  // A model may run in a process with another working directory.
  const whole = typeof source === "string" ? resolve(source) : source;
  const model = await engine.load(whole, { batch: { max: 1 }, calibrate: false });
  return {
    scorer: {
      signature: withClassNames(model.signature, path),
      run: (inputs) => model.run(inputs, { deadlineMs: runDeadline }),
    },
    sha256: await modelHash(path),
    lanes: model.profile.lanes,
  };
}

/** Names of classes that a folder's `config.json` has, on the outputs with as many scores. */
function withClassNames(signature: Signature, path: string): Signature {
  if (!isModelFolder(path)) return signature;
  const config = JSON.parse(readFileSync(join(path, "config.json"), "utf8")) as {
    readonly id2label?: unknown;
  };
  const names = classNames(config.id2label);
  if (names === undefined) return signature;
  const named = (output: ValueSignature): ValueSignature =>
    output.labels === undefined && output.dims?.length === 2 && output.dims[1] === names.length
      ? { ...output, labels: names }
      : output;
  return { ...signature, outputs: signature.outputs.map(named) };
}

/** `{"0": "no", "1": "yes"}` → no, yes; undefined unless it names 0, 1, … each once. */
function classNames(table: unknown): string[] | undefined {
  if (typeof table !== "object" || table === null) return undefined;
  const names = Object.keys(table).map((_, i) => (table as Record<string, unknown>)[String(i)]);
  return names.length > 1 && names.every((name) => typeof name === "string")
    ? (names as string[])
    : undefined;
}

/** sha256 of the model file; of a model in several files, of its and their hashes. */
async function modelHash(path: string): Promise<string> {
  const { sha256Of } = await import("../score/index.js");
  const files = await modelFiles(path);
  const [only] = files;
  if (files.length === 1) return sha256Of(only!);
  const hash = createHash("sha256");
  for (const file of files) hash.update(await sha256Of(file));
  return hash.digest("hex");
}

/** sha256 of the names and hashes of a folder's own files: weights, tokenizer, and what says how texts are read. */
async function folderHash(folder: string): Promise<string> {
  const [{ sha256Of }, { readdir }] = await Promise.all([
    import("../score/index.js"),
    import("node:fs/promises"),
  ]);
  const names = (await readdir(folder, { recursive: true }))
    .map((name) => name.split(sep).join("/"))
    .filter((name) => /\.(json|txt|model|safetensors|bin)$/.test(name) && !/(^|\/)\./.test(name))
    .sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name}\0${await sha256Of(join(folder, name))}\n`);
  return hash.digest("hex");
}

async function modelFiles(path: string): Promise<readonly string[]> {
  if (isModelFolder(path)) {
    const { readdir } = await import("node:fs/promises");
    const names = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile());
    return names
      .map(({ name }) => name)
      .filter((name) => name === "config.json" || /\.(safetensors|bin|index\.json)$/.test(name))
      .sort()
      .map((name) => join(path, name));
  }
  if (/\.(pt2|ort)$/i.test(path)) return [path];
  const { readModel, weightFiles } = await import("../onnx/index.js");
  return [path, ...weightFiles(await readModel(path))];
}
