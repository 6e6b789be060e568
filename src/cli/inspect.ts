/** `tenon inspect`: what a model or weight file takes, gives and is made of, without loading it. */
import { statSync } from "node:fs";
import { Command } from "commander";
import { formatBytes, isTenonError } from "../base/index.js";
import { isModelFolder, openGraph } from "./open-model.js";
import { addSettings, resolveSettings } from "./settings.js";
import { print, printJson, styled, table, warn } from "./terminal.js";
import type { Weight } from "./weights.js";

interface InspectOptions {
  readonly graph?: boolean;
  readonly weights?: boolean;
}

/** What a format's reader found. */
interface Report {
  /** Fields of the JSON document. */
  readonly description: object;
  readonly text: (title: string) => string;
  readonly weights: () => readonly Weight[];
  /** Absent: the file holds none. */
  readonly graph?: () => string;
}

interface Format {
  readonly accepts: (file: string) => boolean;
  readonly inspect: (file: string) => Promise<Report>;
}

/** The first one that accepts the file reads it. */
const FORMATS: readonly Format[] = [
  { accepts: (file) => file.endsWith(".pt2"), inspect: inspectProgram },
  { accepts: isModelFolder, inspect: inspectFolder },
  {
    accepts: (file) =>
      /\.(safetensors|pth|pt|bin|ckpt|pte|index\.json)$/.test(file) ||
      statSync(file, { throwIfNoEntry: false })?.isDirectory() === true,
    inspect: inspectWeights,
  },
  { accepts: () => true, inspect: inspectOnnx },
];

export function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("print a model's signature, ops and size")
    .argument("<model>", "model file, weight file, or folder of a Hugging Face model")
    .option("--graph", "print the graph, one node a line")
    .option("--weights", "print every weight, largest first");
  addSettings(command, ["log"]);
  return command.action(async (file: string, options: InspectOptions) => {
    const { json } = await resolveSettings(command);
    const format = FORMATS.find(({ accepts }) => accepts(file))!;
    const report = await format.inspect(file);
    const weights = options.weights ? report.weights() : undefined;
    const graph = options.graph ? report.graph?.() : undefined;
    if (json) {
      const tensors = weights?.map(({ name, dtype, dims, bytes }) => ({ name, dtype, dims, bytes }));
      printJson({ schema: "tenon.inspect/1", file, ...report.description, tensors, graph });
      return;
    }
    print(report.text(styled("bold", file)).trimEnd());
    if (weights !== undefined) {
      print("");
      const rows = weights.map(({ name, dtype, dims, bytes }) => [
        name,
        `${dtype}[${dims.join(", ")}]`,
        formatBytes(bytes),
      ]);
      print(table(rows, [2]));
    }
    if (graph !== undefined) {
      print("");
      print(graph.trimEnd());
    }
  });
}

async function inspectOnnx(file: string): Promise<Report> {
  const [onnx, { weightsOf }] = await Promise.all([import("../onnx/index.js"), import("./weights.js")]);
  const model = await openGraph(file);
  const description = onnx.describe(model);
  return {
    description,
    text: (title) => onnx.formatDescription(description, title),
    weights: () => weightsOf(model),
    graph: () => onnx.print(model),
  };
}

/** The graph that a folder's files make up; of an architecture that is not known, its weights. */
async function inspectFolder(folder: string): Promise<Report> {
  try {
    return await inspectOnnx(folder);
  } catch (error) {
    if (!isTenonError(error, "MODEL_UNSUPPORTED")) throw error;
    warn(error.message);
    return inspectWeights(folder);
  }
}

async function inspectProgram(file: string): Promise<Report> {
  const torch = await import("../torch/index.js");
  const { weightsOfRefs } = await import("./weights.js");
  const program = await torch.readProgram(file);
  const description = torch.describeProgram(program);
  return {
    description,
    text: (title) => torch.formatProgram(description, title),
    weights: () => weightsOfRefs(program.weights.values()),
    graph: () => torch.printProgram(program),
  };
}

async function inspectWeights(file: string): Promise<Report> {
  const torch = await import("../torch/index.js");
  const { weightsOfRefs } = await import("./weights.js");
  const weights = await torch.openWeights(file);
  const description = torch.describeWeights(weights);
  return {
    description,
    text: (title) => torch.formatWeights(description, title),
    weights: () => weightsOfRefs(weights.tensors.values()),
  };
}
