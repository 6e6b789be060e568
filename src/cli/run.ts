/** `tenon run`: one run of a model on given inputs; prints the outputs or writes them to a file. */
import { writeFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { Command } from "commander";
import { formatDuration, TenonError } from "../base/index.js";
import type { Outputs } from "../runtime/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

interface RunOptions {
  readonly input: readonly string[];
  readonly outputs?: string;
  readonly output?: string;
}

export function runCommand(): Command {
  const command = new Command("run")
    .description("run a model once and print its outputs")
    .argument("<model>", "model file, exported program (.pt2), or folder of a Hugging Face model")
    .option(
      "--input <name=value>",
      "an input: a JSON literal, a text, @FILE.npy, @FILE.npz or @FILE.json; repeatable",
      (value: string, previous: readonly string[]) => [...previous, value],
      [],
    )
    .option("--outputs <names>", "the outputs to compute, separated by commas; default: all")
    .option("--output <file>", "write the outputs to this .npz file in place of printing them");
  addSettings(command, ["cache", "cacheMax", "ortLib", "runDeadline", "log"]);
  return command.action(async (file: string, options: RunOptions) => {
    const { values, json } = await resolveSettings(command);
    const [{ openEngine }, { openModel }, { readInputs }] = await Promise.all([
      import("./engine.js"),
      import("./open-model.js"),
      import("./values.js"),
    ]);
    const bar = progress();
    bar.show(`loading ${file} …`);
    const opened = openModel(file);
    // What is wrong with the model is told where it is awaited, after the engine is open.
    opened.catch(() => undefined);
    await using engine = await openEngine(values);
    const model = await engine.load(await opened, {
      name: nameOf(file),
      batch: { max: 1 },
      calibrate: false,
      quickStart: true,
    });
    bar.clear();
    const inputs = await readInputs(options.input, model.signature, process.cwd());
    const names = options.outputs?.split(",").map((name) => name.trim());
    const startedAt = performance.now();
    const outputs = await model.run(inputs, {
      deadlineMs: values.runDeadline,
      ...(names === undefined ? {} : { outputs: names }),
    });
    const milliseconds = performance.now() - startedAt;
    await report(model.name, outputs, milliseconds, { json, output: options.output });
    if (values.cache === "off") return;
    bar.show("compiling for the next run …");
    await engine.compiled();
    bar.clear();
  });
}

async function report(
  name: string,
  outputs: Outputs,
  milliseconds: number,
  { json, output }: { readonly json: boolean; readonly output: string | undefined },
): Promise<void> {
  const { jsonValues, tensorText } = await import("./tensor-text.js");
  const saved = output !== undefined;
  if (output !== undefined) await writeOutputs(output, outputs);
  if (json) {
    const list = Object.entries(outputs).map(([key, tensor]) => ({
      name: key,
      dtype: tensor.dtype,
      shape: tensor.shape,
      ...(saved ? {} : { data: jsonValues(tensor) }),
    }));
    printJson({ schema: "tenon.run/1", model: name, milliseconds, outputs: list });
    return;
  }
  for (const [key, tensor] of Object.entries(outputs)) {
    const text = saved ? `${tensor.dtype} [${tensor.shape.join(", ")}]` : tensorText(tensor);
    print(`${styled("bold", key)} ${text}`);
  }
  note(styled("dim", `${name}: ${formatDuration(milliseconds)}`, process.stderr));
}

async function writeOutputs(file: string, outputs: Outputs): Promise<void> {
  const { writeNpz } = await import("../tensor/index.js");
  const bytes = writeNpz(Object.fromEntries(Object.entries(outputs)));
  try {
    await writeFile(file, bytes);
  } catch (cause) {
    throw new TenonError("USAGE", {
      problem: "the output file cannot be written",
      given: file,
      expected: "a path in a folder that exists and may be written to",
      cause,
    });
  }
}

/** A name for the run alone, which no URL has to hold. */
function nameOf(path: string): string {
  const name = basename(resolve(path)).replace(/(?<=.)\.[^.]*$/, "");
  return name
    .replace(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^\./, "_")
    .slice(0, 128);
}
