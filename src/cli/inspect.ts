/** `tenon inspect`: what a model file takes, gives and is made of, without loading it. */
import { Command } from "commander";
import { formatBytes } from "../base/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { print, printJson, styled, table } from "./terminal.js";

interface InspectOptions {
  readonly graph?: boolean;
  readonly weights?: boolean;
}

export function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("print a model's signature, ops and size")
    .argument("<model>", "model file")
    .option("--graph", "print the graph, one node a line")
    .option("--weights", "print every weight, largest first");
  addSettings(command, ["log"]);
  return command.action(async (file: string, options: InspectOptions) => {
    const { json } = await resolveSettings(command);
    const onnx = await import("../onnx/index.js");
    const { weightsOf } = await import("./weights.js");
    const model = await onnx.readModel(file);
    const description = onnx.describe(model);
    const weights = options.weights ? weightsOf(model) : undefined;
    const graph = options.graph ? onnx.print(model) : undefined;
    if (json) {
      const tensors = weights?.map(({ name, dtype, dims, bytes }) => ({ name, dtype, dims, bytes }));
      printJson({ schema: "tenon.inspect/1", file, ...description, tensors, graph });
      return;
    }
    print(onnx.formatDescription(description, styled("bold", file)).trimEnd());
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
