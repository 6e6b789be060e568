/** `tenon run`: one run of a model on given inputs; prints the outputs or writes them to a file. */
import { Command } from "commander";
import { formatDuration } from "../base/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson, styled } from "./terminal.js";

interface RunOptions {
  readonly input: readonly string[];
  readonly outputs?: string;
}

export function runCommand(): Command {
  const command = new Command("run")
    .description("run a model once and print its outputs")
    .argument("<model>", "model file")
    .option(
      "--input <name=value>",
      "an input: a JSON literal, a text or @FILE.json; repeatable",
      (value: string, previous: readonly string[]) => [...previous, value],
      [],
    )
    .option("--outputs <names>", "the outputs to compute, separated by commas; default: all");
  addSettings(command, ["cache", "cacheMax", "ortLib", "runDeadline", "log"]);
  return command.action(async (file: string, options: RunOptions) => {
    const { values, json } = await resolveSettings(command);
    const [{ openEngine }, { readInputs }] = await Promise.all([
      import("./engine.js"),
      import("./values.js"),
    ]);
    await using engine = await openEngine(values);
    const model = await engine.load(file, { batch: { max: 1 }, calibrate: false });
    const inputs = await readInputs(options.input, model.signature, process.cwd());
    const names = options.outputs?.split(",").map((name) => name.trim());
    const startedAt = performance.now();
    const outputs = await model.run(inputs, {
      deadlineMs: values.runDeadline,
      ...(names === undefined ? {} : { outputs: names }),
    });
    const milliseconds = performance.now() - startedAt;
    const { jsonValues, tensorText } = await import("./tensor-text.js");
    if (json) {
      const list = Object.entries(outputs).map(([name, tensor]) => ({
        name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        data: jsonValues(tensor),
      }));
      printJson({ schema: "tenon.run/1", model: model.name, milliseconds, outputs: list });
      return;
    }
    for (const [name, tensor] of Object.entries(outputs))
      print(`${styled("bold", name)} ${tensorText(tensor)}`);
    note(styled("dim", `${model.name}: ${formatDuration(milliseconds)}`, process.stderr));
  });
}
