/** openAdapter: a LoRA adapter in the layout of PEFT, with its scales computed and everything else refused by name. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { type Config, readConfig } from "../architectures/config.js";
import { damaged, quoted, unsupported } from "../invalid.js";
import { openWeights } from "../open.js";
import type { TensorRef } from "../tensor-ref.js";

/** A change of one weight: `weight + scale * b a` for a linear layer, `weight + scale * (b a)ᵀ` for an embedding. */
export interface LowRank {
  /** The module's name in the model that was tuned. */
  readonly module: string;
  readonly kind: "linear" | "embedding";
  /** [rank, in]. */
  readonly a: TensorRef;
  /** [out, rank]. */
  readonly b: TensorRef;
  readonly scale: number;
}

export interface Adapter {
  readonly changes: readonly LowRank[];
  /** Weights that were trained whole (`modules_to_save`), by their name in the model. */
  readonly replaced: ReadonlyMap<string, TensorRef>;
}

const PREFIX = "base_model.model.";

/** Ways to start training that leave the base's weights as they are. */
const STARTS = [true, false, "gaussian", "eva", "orthogonal"] as const;

/** Fields that, when set, make something else of an adapter than a sum. */
const UNSET = [
  "layer_replication",
  "target_parameters",
  "alora_invocation_tokens",
  "trainable_token_indices",
  "arrow_config",
  "kasa_config",
  "monteclora_config",
  "use_bdlora",
];

/**
 * Reads `adapter_config.json` and `adapter_model.safetensors` (or `.bin`) of a folder; tensors are not read yet. Throws
 * FILE_NOT_FOUND, FILE_INVALID for tensors that do not belong together, and MODEL_UNSUPPORTED for other methods than
 * LoRA and for its variants that are no plain sum (DoRA, biases, PiSSA and others that change the base).
 */
export async function openAdapter(folder: string): Promise<Adapter> {
  const path = join(folder, "adapter_config.json");
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true || !isFile(path)) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "there is no adapter",
      given: folder,
      expected: "a folder with adapter_config.json and adapter_model.safetensors",
    });
  }
  const config = readConfig(path, "adapter_config.json");
  refuseVariants(config);
  const file = ["adapter_model.safetensors", "adapter_model.bin"]
    .map((name) => join(folder, name))
    .find(isFile);
  if (file === undefined)
    throw damaged("the adapter has no weights", { given: folder, expected: "adapter_model.safetensors" });
  const { tensors } = await openWeights(file);
  return sorted(config, tensors);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function refuseVariants(config: Config): void {
  config.oneOf("peft_type", ["LORA"]);
  config.only("bias", "none");
  for (const flag of ["use_dora", "lora_bias", "use_qalora", "fan_in_fan_out"]) config.only(flag, false);
  for (const field of UNSET) config.only(field);
  config.only("init_lora_weights", ...STARTS);
}

function sorted(config: Config, tensors: ReadonlyMap<string, TensorRef>): Adapter {
  const halves = new Map<string, { a?: TensorRef; b?: TensorRef; kind: LowRank["kind"] }>();
  const replaced = new Map<string, TensorRef>();
  for (const [full, ref] of tensors) {
    const name = full.startsWith(PREFIX) ? full.slice(PREFIX.length) : full;
    const match = /^(.+)\.lora_(embedding_)?([AB])(\.weight)?$/.exec(name);
    if (match === null) {
      if (name.includes("lora_"))
        throw unsupported(`the adapter holds ${quoted(name)}, which is no part of a plain LoRA`);
      replaced.set(name, ref);
      continue;
    }
    const [, module, embedding, half] = match;
    const kind = embedding === undefined ? "linear" : "embedding";
    const pair = halves.get(module!) ?? { kind };
    halves.set(module!, { ...pair, ...(half === "A" ? { a: ref } : { b: ref }) });
  }
  const changes = [...halves].map(([module, { a, b, kind }]): LowRank => {
    if (a === undefined || b === undefined)
      throw damaged(`the adapter has one half only of ${quoted(module)}`, { expected: "lora_A and lora_B" });
    if (a.shape.length !== 2 || b.shape.length !== 2)
      throw unsupported(`the adapter changes ${quoted(module)}, which is no linear layer or embedding`, {
        given: `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`,
      });
    const rank = byModule(config, "rank_pattern", module) ?? config.size("r", 8);
    if (a.shape[0] !== rank || b.shape[1] !== rank)
      throw damaged(`the adapter's halves of ${quoted(module)} do not have the rank that its config says`, {
        given: `[${a.shape.join(", ")}] and [${b.shape.join(", ")}]`,
        expected: `rank ${rank}`,
      });
    const alpha = byModule(config, "alpha_pattern", module) ?? config.number("lora_alpha", 8);
    const scale = alpha / (config.flag("use_rslora", false) ? Math.sqrt(rank) : rank);
    return { module, kind, a, b, scale };
  });
  if (changes.length === 0) throw damaged("the adapter holds no lora_A and lora_B");
  return { changes, replaced };
}

/** A number for modules whose name ends with a key of a pattern. Keys that are real expressions are refused. */
function byModule(config: Config, field: string, module: string): number | undefined {
  const pattern = config.object(field);
  for (const key of pattern?.keys() ?? []) {
    if (!/^\^?[\w.]+$/.test(key))
      throw unsupported(`adapter_config.json: ${field} has a key that is an expression`, {
        given: quoted(key),
      });
    const whole = key.startsWith("^");
    const name = whole ? key.slice(1) : key;
    if (module === name || (!whole && module.endsWith(`.${name}`))) return pattern!.number(key);
  }
  return undefined;
}
