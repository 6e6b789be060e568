/** openWeights: any file of weights, told apart by what it holds rather than by its name. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import { Archive, looksLikeZip } from "./archive.js";
import {
  checkpointRoot,
  legacyCheckpoint,
  looksLikeLegacy,
  type UnknownCalls,
  zipCheckpoint,
} from "./checkpoint.js";
import { damaged } from "./invalid.js";
import { containedModel } from "./pt2/container.js";
import { refuseCompiled, refuseKnown } from "./refuse.js";
import { type Region, withRegion } from "./region.js";
import { looksLikeSafetensors, safetensorsIn } from "./safetensors.js";
import { type ShardOptions, shardedWeights } from "./sharded.js";
import type { Weights } from "./weights.js";

export interface OpenOptions extends ShardOptions {
  /**
   * What a pickle that wants to call something off the list of constructors gives. `refuse` (default): an error that names it.
   * `placeholder`: inert objects, of which no tensor may be made. Nothing is called either way.
   */
  readonly unknown?: UnknownCalls;
  /** Which model of an archive of several. */
  readonly model?: string;
  /** Compare every entry of an archive with its checksum, which reads the whole file. Default false. */
  readonly verify?: boolean;
}

/** Names that a folder is searched for, the first one wins. */
const IN_FOLDER = [
  "model.safetensors.index.json",
  "model.safetensors",
  "pytorch_model.bin.index.json",
  "pytorch_model.bin",
  "adapter_model.safetensors",
  "adapter_model.bin",
];

/** Formats are told apart by so many bytes. */
const HEAD = 512;

/**
 * The tensors of a checkpoint by name, unread: safetensors, `torch.save` (zip and older), exported programs, TorchScript
 * (weights only), an index of shards, or a Hugging Face folder that holds one of these. Reads the structure, no tensor.
 *
 * Throws FILE_NOT_FOUND; FILE_INVALID for what is damaged, lies, or wants something called; MODEL_UNSUPPORTED for what
 * is recognised and refused (quantised and sparse tensors, compiled programs, other formats).
 *
 * @example
 * const { tensors } = await openWeights("model.safetensors");
 * const weight = materialize(tensors.get("encoder.weight")!);
 */
export async function openWeights(input: string | Uint8Array, options: OpenOptions = {}): Promise<Weights> {
  if (typeof input !== "string") return openOne(input, options);
  const path = isFolder(input) ? weightsIn(input) : input;
  if (path.endsWith(".json")) return shardedWeights(path, async (shard) => openOne(shard, options), options);
  return openOne(path, options);
}

function openOne(input: string | Uint8Array, options: OpenOptions): Weights {
  return withRegion(input, (region) => {
    const head = region.bytes(0, Math.min(HEAD, region.size));
    if (looksLikeZip(head)) return archived(region, options);
    if (looksLikeLegacy(head)) return legacyCheckpoint(region, options.unknown ?? "refuse");
    if (looksLikeSafetensors(head)) return safetensorsIn(region);
    refuseKnown(head);
    throw damaged("the file holds no weights in a format that is known", {
      ...(typeof input === "string" ? { given: input } : {}),
      expected: "safetensors, a checkpoint of torch.save, an exported program, or an index of shards",
    });
  });
}

function archived(region: Region, options: OpenOptions): Weights {
  const archive = new Archive(region);
  if (options.verify) archive.verify();
  const model = containedModel(archive, options.model);
  if (model !== undefined) {
    const { tensors } = model.weights();
    return { format: "exported-program", tensors, metadata: new Map([["model", model.name]]) };
  }
  const root = checkpointRoot(archive);
  if (root !== undefined) return zipCheckpoint(archive, root, options.unknown ?? "refuse");
  refuseCompiled(archive);
  throw damaged("the archive holds no weights", {
    expected: "a checkpoint of torch.save or an exported program",
  });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", {
      given: path,
      expected: "a file of weights, or a folder with one",
      cause,
    });
  }
}

function weightsIn(folder: string): string {
  for (const name of IN_FOLDER) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  }
  throw new TenonError("FILE_NOT_FOUND", {
    problem: "the folder holds no weights",
    given: folder,
    expected: `one of ${IN_FOLDER.join(", ")}`,
  });
}
