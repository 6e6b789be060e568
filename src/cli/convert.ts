/** `tenon convert`: a model folder or a model file as an ONNX file, with other weights or an adapter if asked for. */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join, sep } from "node:path";
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
    const source = sourceOf(input);
    refuseOptions(source, input, options);
    const output = outputOf(source, input, options);
    const bar = progress();
    bar.show(`converting ${input} …`);
    const model = await converted(source, input, options);
    const { saveModel, weightFiles } = await import("../onnx/index.js");
    const placed = await placeOf(model, dirname(output), options.embed ?? false);
    const written = placed.weights === "external" ? [output, dataFile(output)] : [output];
    refuseSources(written, [input, ...weightFiles(model)]);
    if (placed.weights === "external" && !options.force) refuseExisting(dataFile(output));
    await saveModel(model, output, {
      weights: placed.weights,
      onWrite: (bytes, total) =>
        bar.show(`writing ${formatBytes(total)}: ${Math.floor((100 * bytes) / total)} %`),
    });
    bar.clear();
    await report(output, json, placed);
  });
}

/** What a model is converted from. */
type Source = "folder" | "program" | "onnx";

function sourceOf(input: string): Source {
  if (!existsSync(input))
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "there is no such model file or folder",
      given: input,
      expected: "a .pt2 or .onnx file, or a folder with config.json and weights",
    });
  if (isModelFolder(input)) return "folder";
  if (isProgram(input)) return "program";
  refuseWeightsOnly(input);
  return "onnx";
}

/** Options that not every source takes. */
const TAKEN_BY: Readonly<
  Record<"dtype" | "head" | "kvCache" | "dim", { readonly flag: string; readonly sources: readonly Source[] }>
> = {
  dtype: { flag: "--dtype", sources: ["folder", "program"] },
  head: { flag: "--head", sources: ["folder"] },
  kvCache: { flag: "--kv-cache", sources: ["folder"] },
  dim: { flag: "--dim", sources: ["program"] },
};

const SOURCES: Readonly<Record<Source, string>> = {
  folder: "a folder with config.json",
  program: "an exported program (.pt2)",
  onnx: "an ONNX file",
};

function refuseOptions(source: Source, input: string, options: ConvertOptions): void {
  for (const [key, { flag, sources }] of Object.entries(TAKEN_BY)) {
    if (options[key as keyof typeof TAKEN_BY] === undefined || sources.includes(source)) continue;
    throw new TenonError("USAGE", {
      problem: `${SOURCES[source]} takes no ${flag}`,
      given: input,
      expected: `${flag} for ${sources.map((kind) => SOURCES[kind]).join(" or ")}`,
    });
  }
}

function opset(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 20 && value <= 26) return value;
  throw new TenonError("USAGE", { problem: "--opset is out of range", given: text, expected: "20 to 26" });
}

function outputOf(source: Source, input: string, { output, force = false }: ConvertOptions): string {
  const path = output ?? defaultOutput(source, input);
  if (path === undefined) {
    throw new TenonError("USAGE", {
      problem: "the output needs a name",
      given: input,
      do: "give --output FILE",
    });
  }
  if (isFolder(path)) throw new TenonError("USAGE", { problem: "the output is a folder", given: path });
  if (!isFolder(dirname(path)))
    throw new TenonError("USAGE", { problem: "the output's folder does not exist", given: dirname(path) });
  refuseSources([path], [input]);
  if (!force) refuseExisting(path);
  return path;
}

function defaultOutput(source: Source, input: string): string | undefined {
  if (source === "program") return input.replace(/\.pt2$/, ".onnx");
  return source === "folder" ? join(input, "model.onnx") : undefined;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Where the weights are copied to that do not stay where they are. */
function dataFile(output: string): string {
  return `${output}.data`;
}

function refuseExisting(path: string): void {
  if (!existsSync(path)) return;
  throw new TenonError("USAGE", {
    problem: "the output exists",
    given: path,
    do: "give another, or --force",
  });
}

/** What a model is read from is not replaced by it, whatever path leads there. */
function refuseSources(written: readonly string[], sources: readonly string[]): void {
  const read = new Set(sources.map((path) => realpathSync(path)));
  for (const path of written)
    if (existsSync(path) && read.has(realpathSync(path)))
      throw new TenonError("USAGE", { problem: "the output would replace the input", given: path });
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

async function converted(source: Source, input: string, options: ConvertOptions): Promise<OnnxModel> {
  const [onnx, torch] = await Promise.all([import("../onnx/index.js"), import("../torch/index.js")]);
  let model = await graphOf(source, input, options);
  if (options.weights !== undefined)
    model = torch.swapWeights(model, await torch.openWeights(options.weights));
  if (options.adapter !== undefined)
    model = torch.mergeAdapter(model, await torch.openAdapter(options.adapter));
  return options.opset === undefined ? model : onnx.upgrade(model, options.opset);
}

async function graphOf(source: Source, input: string, options: ConvertOptions): Promise<OnnxModel> {
  const { dtype, head, kvCache, dim } = options;
  if (source === "onnx") {
    const { readModel } = await import("../onnx/index.js");
    return readModel(input);
  }
  const { architectureFromFolder, convertProgram } = await import("../torch/index.js");
  if (source === "folder")
    return architectureFromFolder(input, {
      ...(dtype === undefined ? {} : { dtype }),
      ...(head === undefined ? {} : { head }),
      ...(kvCache === undefined ? {} : { kvCache }),
    });
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

interface Placed {
  readonly weights: NonNullable<SaveOptions["weights"]>;
  /** Bytes that are written anew. */
  readonly copied: number;
  /** Bytes that stay where they are. */
  readonly kept: number;
}

/** Weights of other folders up to this size go into the ONNX file, as those of an adapter. */
const INSIDE_UP_TO = 16 * 2 ** 20;

/** Weights in the output's folder stay where they are; those of other folders go inside, or beside it where they are many. */
async function placeOf(model: OnnxModel, folder: string, embed: boolean): Promise<Placed> {
  const { chunkLength } = await import("../onnx/index.js");
  const inside = realpathSync(folder) + sep;
  let kept = 0;
  let outside = 0;
  for (const { payload } of model.graph.initializers.values()) {
    if (payload.in !== "external" || payload.range === undefined) continue;
    const bytes = chunkLength(payload.range);
    if (!(payload.range instanceof Uint8Array) && payload.range.file.path.startsWith(inside)) kept += bytes;
    else outside += bytes;
  }
  if (embed || (kept === 0 && outside <= INSIDE_UP_TO))
    return { weights: "embed", copied: kept + outside, kept: 0 };
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
    keep: `${formatBytes(kept)} of weights stay where they are${copied > 0 ? `, ${formatBytes(copied)} are inside` : ""}`,
    embed: "weights inside",
    external: `${formatBytes(copied)} of weights were copied to ${dataFile(output)}`,
  }[weights];
  note(styled("dim", `${size}, ${nodes} nodes, opset ${opsets["ai.onnx"]}; ${where}`, process.stderr));
}
