/** `tenon convert`: a model folder or a model file as an ONNX file, with other weights or an adapter if asked for. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { Command, Option } from "commander";
import { formatBytes, TenonError } from "../base/index.js";
import type { OnnxModel, SaveOptions } from "../onnx/index.js";
import type { ComputeDType, Head } from "../torch/index.js";
import { isModelFolder, isProgram, refuseWeightsOnly } from "./open-model.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

interface ConvertOptions {
  readonly output?: string;
  readonly embed?: boolean;
  readonly dtype?: ComputeDType | "keep";
  readonly opset?: number;
  readonly head?: Head | "auto";
  readonly kvCache?: boolean;
  readonly weights?: string;
  readonly adapter?: string;
  readonly force?: boolean;
  readonly dim?: readonly string[];
}

const HEADS: readonly (Head | "auto")[] = [
  "auto",
  "none",
  "masked-lm",
  "causal-lm",
  "sequence-classification",
  "token-classification",
  "question-answering",
  "image-classification",
  "text-embeds",
  "image-embeds",
];

export function convertCommand(): Command {
  const command = new Command("convert")
    .description("write a model as an ONNX file")
    .argument("<model>", "exported program (.pt2), folder of a Hugging Face model, or ONNX file")
    .option("-o, --output <file>", "the ONNX file; default: model.onnx in the folder, or beside the program")
    .option("--embed", "put the weights into the file in place of pointing at them")
    .addOption(
      new Option(
        "--dtype <dtype>",
        "what the graph of a folder or program computes in; default: float32",
      ).choices(["keep", "float32", "float16"]),
    )
    .option("--opset <n>", "version of the default domain, 20 to 26; default: 20, or that of the file", opset)
    .addOption(new Option("--head <head>", "what stands on a folder's model; default: auto").choices(HEADS))
    .option("--kv-cache", "past keys and values as inputs, present ones as outputs, of a folder's decoder")
    .option("--dim <symbol=name...>", "names of a program's free dims: s53=frames")
    .option("--weights <file>", "a checkpoint of the same network in place of the weights")
    .option("--adapter <folder>", "a LoRA adapter in the layout of PEFT, merged into the weights")
    .option("--force", "replace the output file");
  addSettings(command, ["log"]);
  return command.action(async (input: string, options: ConvertOptions) => {
    const { json } = await resolveSettings(command);
    const output = outputOf(input, options);
    const bar = progress();
    bar.show(`converting ${input} …`);
    const model = await converted(input, options);
    const { saveModel } = await import("../onnx/index.js");
    const placed = await placeOf(model, dirname(output), options.embed ?? false);
    if (placed.copied > 0) bar.show(`writing ${formatBytes(placed.copied)} of weights …`);
    await saveModel(model, output, { weights: placed.weights });
    bar.clear();
    await report(output, json, placed);
  });
}

function opset(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 20 && value <= 26) return value;
  throw new TenonError("USAGE", { problem: "--opset is out of range", given: text, expected: "20 to 26" });
}

function outputOf(input: string, { output, force = false }: ConvertOptions): string {
  const path = output ?? defaultOutput(input);
  if (path === undefined) {
    throw new TenonError("USAGE", {
      problem: "the output needs a name",
      given: input,
      do: "give --output FILE",
    });
  }
  if (resolve(path) === resolve(input))
    throw new TenonError("USAGE", { problem: "the output would replace the input", given: path });
  if (existsSync(path) && !force) {
    throw new TenonError("USAGE", {
      problem: "the output exists",
      given: path,
      do: "give another, or --force",
    });
  }
  return path;
}

function defaultOutput(input: string): string | undefined {
  if (isProgram(input)) return input.replace(/\.pt2$/, ".onnx");
  return isModelFolder(input) ? join(input, "model.onnx") : undefined;
}

/** `s53=frames` as a record. */
function dimNames(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^(\w+)=([A-Za-z_]\w*)$/.exec(text);
      if (match === null)
        throw new TenonError("USAGE", {
          problem: "--dim is no SYMBOL=NAME",
          given: text,
          expected: "s53=frames",
        });
      return [match[1]!, match[2]!];
    }),
  );
}

async function converted(input: string, options: ConvertOptions): Promise<OnnxModel> {
  const [onnx, torch] = await Promise.all([import("../onnx/index.js"), import("../torch/index.js")]);
  let model = await sourceOf(input, options);
  if (options.weights !== undefined)
    model = torch.swapWeights(model, await torch.openWeights(options.weights));
  if (options.adapter !== undefined)
    model = torch.mergeAdapter(model, await torch.openAdapter(options.adapter));
  return options.opset === undefined ? model : onnx.upgrade(model, options.opset);
}

async function sourceOf(input: string, options: ConvertOptions): Promise<OnnxModel> {
  if (isModelFolder(input)) {
    const { architectureFromFolder } = await import("../torch/index.js");
    const { dtype, head, kvCache } = options;
    return architectureFromFolder(input, {
      ...(dtype === undefined ? {} : { dtype }),
      ...(head === undefined ? {} : { head }),
      ...(kvCache === undefined ? {} : { kvCache }),
    });
  }
  const program = isProgram(input);
  for (const key of program ? (["head", "kvCache"] as const) : (["dtype", "head", "kvCache"] as const)) {
    if (options[key] === undefined) continue;
    const flag = key === "kvCache" ? "--kv-cache" : `--${key}`;
    throw new TenonError("USAGE", { problem: `${flag} is for a folder, whose graph is built`, given: input });
  }
  if (program) {
    const { convertProgram } = await import("../torch/index.js");
    const { dtype, dim } = options;
    if (dtype === "float16" || dtype === "bfloat16") {
      throw new TenonError("USAGE", {
        problem: `a program is not narrowed to ${dtype}`,
        given: input,
        do: "export the model in half precision, or leave --dtype out",
      });
    }
    return convertProgram(input, {
      ...(dtype === undefined ? {} : { dtype }),
      ...(dim === undefined ? {} : { dims: dimNames(dim) }),
    });
  }
  refuseWeightsOnly(input);
  const { readModel } = await import("../onnx/index.js");
  return readModel(input);
}

interface Placed {
  readonly weights: NonNullable<SaveOptions["weights"]>;
  /** Bytes that are written anew. */
  readonly copied: number;
  /** Bytes that stay where they are. */
  readonly kept: number;
}

/** Weights of other folders up to this size go into the ONNX file, as those of an adapter. */
const INSIDE_UP_TO = 16 * 2 ** 20;

/** Weights in the output's folder stay where they are; those of other folders are written beside the output. */
async function placeOf(model: OnnxModel, folder: string, embed: boolean): Promise<Placed> {
  const { chunkLength } = await import("../onnx/index.js");
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new TenonError("USAGE", { problem: "the output's folder does not exist", given: folder });
  const inside = realpathSync(folder) + sep;
  let kept = 0;
  let outside = 0;
  for (const { payload } of model.graph.initializers.values()) {
    if (payload.in !== "external" || payload.range === undefined) continue;
    const bytes = chunkLength(payload.range);
    if (!(payload.range instanceof Uint8Array) && payload.range.file.path.startsWith(inside)) kept += bytes;
    else outside += bytes;
  }
  if (embed) return { weights: "embed", copied: kept + outside, kept: 0 };
  if (outside <= INSIDE_UP_TO) return { weights: "keep", copied: outside, kept };
  return { weights: "external", copied: kept + outside, kept: 0 };
}

async function report(output: string, json: boolean, { weights, copied, kept }: Placed): Promise<void> {
  const { describe, readModel } = await import("../onnx/index.js");
  const { opsets, nodes, inputs, outputs } = describe(await readModel(output));
  if (json) {
    printJson({
      schema: "tenon.convert/1",
      output,
      opset: opsets["ai.onnx"],
      nodes,
      inputs: inputs.map(({ name, type }) => ({ name, type })),
      outputs: outputs.map(({ name, type }) => ({ name, type })),
      weights: { mode: weights, bytes: copied + kept, copied },
      unsupported: [],
    });
    return;
  }
  print(output);
  const size = formatBytes(statSync(output).size);
  const where = {
    keep: `${formatBytes(kept)} of weights stay where they are`,
    embed: "weights inside",
    external: `${formatBytes(copied)} of weights were copied to ${output}.data`,
  }[weights];
  note(styled("dim", `${size}, ${nodes} nodes, opset ${opsets["ai.onnx"]}; ${where}`, process.stderr));
}
