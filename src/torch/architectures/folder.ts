/** architectureFromFolder: a Hugging Face folder with a config and weights, as an ONNX graph on those weights. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { suggest, TenonError } from "../../base/index.js";
import type { OnnxModel } from "../../onnx/index.js";
import { quoted, unsupported } from "../invalid.js";
import { type OpenOptions, openWeights } from "../open.js";
import type { Weights } from "../weights.js";
import type { Architecture, Head } from "./architecture.js";
import { type Config, readConfig } from "./config.js";
import type { ComputeDType } from "./dtype.js";
import { labelsOf } from "./heads.js";
import { Network } from "./network.js";
import { ARCHITECTURES } from "./table.js";
import { WeightBook } from "./weight-book.js";

export interface ArchitectureOptions extends Pick<OpenOptions, "roots" | "hardLinks" | "unknown" | "verify"> {
  /**
   * What stands on the body. `auto` (default): what `architectures` of the config names, and the hidden states where it
   * names the bare model or `modules.json` says that the folder is one of sentence-transformers. `none`: hidden states (`last_hidden_state`), whatever the checkpoint was trained for.
   */
  readonly head?: Head | "auto";
  /**
   * What the graph computes in. `float32` (default): weights of other float dtypes are widened in the graph, so that the
   * file stays as it is. `keep`: the dtype of the weights; bfloat16 has few kernels on the CPU.
   */
  readonly dtype?: ComputeDType | "keep";
  /** For decoders: `past_key_values.N.key/value` as inputs, `present.N.key/value` as outputs. Default false. */
  readonly kvCache?: boolean;
  /** Names of weights beside the architecture's, which the caller reads. Others are refused. */
  readonly aside?: readonly string[];
  /** Version of the default domain, 20 or newer. Default 20. */
  readonly opset?: number;
}

/** The `model_type`s of which a graph can be built, sorted. */
export function knownArchitectures(): string[] {
  return Object.keys(ARCHITECTURES).sort();
}

/** The class names of `architectures` end so. */
const HEAD_OF_CLASS: readonly (readonly [suffix: string, head: Head])[] = [
  ["ForMaskedLM", "masked-lm"],
  ["WithLMHeadModel", "masked-lm"],
  ["ForCausalLM", "causal-lm"],
  ["ForSequenceClassification", "sequence-classification"],
  ["ForTokenClassification", "token-classification"],
  ["ForQuestionAnswering", "question-answering"],
  ["ForImageClassification", "image-classification"],
  ["TextModelWithProjection", "text-embeds"],
  ["VisionModelWithProjection", "image-embeds"],
  ["Model", "none"],
];

/**
 * Builds the graph of a folder as Hugging Face and sentence-transformers write it: `config.json` beside safetensors or
 * `pytorch_model.bin`, in one file or in shards. Inputs and outputs have the names of the usual exports (`input_ids`,
 * `attention_mask`, … to `last_hidden_state`, `pooler_output`, `logits`), sizes `batch` and `sequence` are free. Weights
 * are not copied: they are external data in the folder's files. Labels of a classifier are in the metadata, `labels`.
 *
 * Throws FILE_NOT_FOUND, FILE_INVALID (config or weights are damaged or do not fit each other; every weight is named) and
 * MODEL_UNSUPPORTED (an unknown `model_type`, or a field of the config with a value that would change the numbers).
 *
 * @example
 * const model = await architectureFromFolder("./all-MiniLM-L6-v2", { head: "none" });
 * await saveModel(model, "./all-MiniLM-L6-v2/model.onnx");
 */
export async function architectureFromFolder(
  folder: string,
  options: ArchitectureOptions = {},
): Promise<OnnxModel> {
  const path = join(folder, "config.json");
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "the folder holds no config.json",
      given: folder,
      expected: "config.json beside model.safetensors or pytorch_model.bin",
    });
  }
  const config = readConfig(path, "config.json");
  const architecture = architectureOf(config);
  const embeds = statSync(join(folder, "modules.json"), { throwIfNoEntry: false }) !== undefined;
  const head = headOf(config, architecture, options.head ?? (embeds ? "none" : "auto"));
  const weights = await openWeights(folder, options);
  return build(config, architecture, head, weights, options);
}

function architectureOf(config: Config): Architecture {
  const type = config.text("model_type");
  if (Object.hasOwn(ARCHITECTURES, type)) return ARCHITECTURES[type]!;
  throw unsupported("no graph can be built for this model_type", {
    given: quoted(type),
    expected: suggest(type, knownArchitectures(), 40),
    do: "export the model once with torch.export, or use a folder that holds an ONNX graph",
  });
}

function headOf(config: Config, architecture: Architecture, wanted: Head | "auto"): Head {
  let head = wanted;
  if (head === "auto") {
    const name = config.list("architectures")?.[0];
    if (name === undefined) return "none";
    const found = HEAD_OF_CLASS.find(([suffix]) => typeof name === "string" && name.endsWith(suffix));
    if (found === undefined || architecture.heads[found[1]] === undefined) {
      throw unsupported("the head that config.json names cannot be built", {
        given: quoted(String(name)),
        expected: `a class for ${headsOf(architecture).join(", ")}`,
        do:
          architecture.heads.none === undefined
            ? `ask for head: "${headsOf(architecture)[0]}"`
            : 'ask for head: "none" to have the hidden states',
      });
    }
    head = found[1];
  }
  if (architecture.heads[head] === undefined) {
    throw new TenonError("USAGE", {
      problem: "this architecture has no such head",
      given: head,
      expected: headsOf(architecture).join(", "),
    });
  }
  return head;
}

function headsOf(architecture: Architecture): string[] {
  return Object.keys(architecture.heads);
}

function build(
  config: Config,
  architecture: Architecture,
  head: Head,
  weights: Weights,
  options: ArchitectureOptions,
): OnnxModel {
  config.only("quantization_config");
  const book = new WeightBook(weights, architecture.aliases);
  book.usePrefix(architecture.prefix);
  const wanted = options.dtype ?? "float32";
  const net = new Network(book, wanted === "keep" ? book.floatDType() : wanted, options.opset ?? 20);
  architecture.heads[head]!({ net, config, options: { kvCache: options.kvCache ?? false } });
  book.pass(architecture.aside);
  for (const name of options.aside ?? []) book.passName(name);
  book.finish();
  const model = net.g.model();
  const metadata = new Map([["model_type", config.text("model_type")]]);
  if (head.endsWith("classification")) metadata.set("labels", JSON.stringify(labelsOf(config)));
  return Object.freeze({ ...model, metadata });
}
