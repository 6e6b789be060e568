/** Sharded checkpoints: an index file of JSON that says which file holds which tensor. */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { formatBytes } from "../base/index.js";
import { externalFiles, resolvePath } from "../onnx/index.js";
import { damaged, quoted } from "./invalid.js";
import { parseJson } from "./json.js";
import type { Json } from "./json-value.js";
import type { TensorRef } from "./tensor-ref.js";
import type { Weights } from "./weights.js";

export interface ShardOptions {
  /** Folders beside the index's own in which shards may really lie (links resolved). */
  readonly roots?: readonly string[];
  /** Accept shards with several hard links, as package managers make them; default false. */
  readonly hardLinks?: boolean;
}

const MAX_INDEX = 64 * 2 ** 20;

/**
 * The tensors that an index names, from its shards in the same folder. Throws FILE_INVALID when a shard lacks one, and
 * MODEL_INVALID for a path that leaves the folder.
 */
export async function shardedWeights(
  path: string,
  openShard: (path: string) => Promise<Weights>,
  options: ShardOptions,
): Promise<Weights> {
  const { map, metadata } = readIndex(path);
  const locate = externalFiles(dirname(path), dirname(resolvePath(path)), options);
  const shards = new Map<string, Weights>();
  const tensors = new Map<string, TensorRef>();
  for (const [name, file] of map) {
    let shard = shards.get(file);
    if (shard === undefined) {
      const found = locate(new Map([["location", file]]), name);
      if (found === undefined || found instanceof Uint8Array) throw damaged("a shard is no file");
      shard = await openShard(found.file.path);
      shards.set(file, shard);
      for (const [key, text] of shard.metadata) if (!metadata.has(key)) metadata.set(key, text);
    }
    const tensor = shard.tensors.get(name);
    if (tensor === undefined)
      throw damaged(`shard ${quoted(file)} lacks tensor ${quoted(name)}`, {
        do: "fetch the checkpoint again, whole",
      });
    tensors.set(name, tensor);
  }
  return { format: "sharded", tensors, metadata };
}

function readIndex(path: string): { map: Map<string, string>; metadata: Map<string, string> } {
  const { size } = statSync(resolvePath(path));
  if (size > MAX_INDEX)
    throw damaged("the index of the checkpoint is too large", {
      given: formatBytes(size),
      expected: `at most ${formatBytes(MAX_INDEX)}`,
    });
  const index = parseJson(readFileSync(path), "the index of the checkpoint");
  const files = index instanceof Map ? index.get("weight_map") : undefined;
  if (!(index instanceof Map) || !(files instanceof Map)) {
    throw damaged("the index of the checkpoint has no weight_map", { given: path });
  }
  const map = new Map<string, string>();
  for (const [name, file] of files) {
    if (typeof file !== "string")
      throw damaged(`the index of the checkpoint names no file for ${quoted(name)}`);
    map.set(name, file);
  }
  return { map, metadata: textsOf(index.get("metadata")) };
}

function textsOf(value: Json | undefined): Map<string, string> {
  const texts = new Map<string, string>();
  if (value instanceof Map)
    for (const [key, text] of value) if (typeof text !== "object") texts.set(key, String(text));
  return texts;
}
