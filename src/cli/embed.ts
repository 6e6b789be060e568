/** `tenon embed`: a vector for each text of a file. */
import { Command, Option } from "commander";
import { formatCount, formatDuration, type Knobs, TenonError } from "../base/index.js";
import type { EmbedMatrix, OutputType, Quant } from "../embed/index.js";
import type { Engine } from "../runtime/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

interface EmbedCommandOptions {
  readonly input?: string;
  readonly output?: string;
  readonly text?: string;
  readonly promptName?: string;
  readonly prompt?: string;
  readonly dims?: string;
  readonly dtype: OutputType;
  readonly quant: Quant;
}

export function embedCommand(): Command {
  const command = new Command("embed")
    .description("make a vector of each text of a file")
    .argument(
      "<model>",
      "folder of a sentence-transformers or Hugging Face model, or the name of one that was pulled",
    )
    .option(
      "--input <file>",
      "texts: .txt (one a line), .json, .jsonl, .csv or .parquet; default: lines of stdin",
    )
    .option("--output <file>", "vectors: .npy, .json, .jsonl or .parquet; default: JSONL on stdout")
    .option("--text <field>", "field or column that holds the text")
    .addOption(
      new Option("--prompt-name <name>", "which of the model's prompts stands in front").conflicts("prompt"),
    )
    .option("--prompt <text>", "text that stands in front")
    .option("--dims <n>", "cut vectors to so many numbers")
    .addOption(
      new Option("--dtype <dtype>", "what a vector is made of")
        .choices(["float32", "float16", "int8", "binary", "ubinary"])
        .default("float32"),
    );
  command.addOption(
    new Option("--quant <kind>", "int8-row: products in integers, faster and a little less exact")
      .choices(["none", "int8-row"])
      .default("none"),
  );
  addSettings(command, ["lanes", "cache", "cacheMax", "ortLib", "log"]);
  return command.action(async (folder: string, options: EmbedCommandOptions) => {
    const { values, json } = await resolveSettings(command);
    const { output } = options;
    const { checkVectorOutput, writeVectors } = await import("./vector-output.js");
    checkVectorOutput(output);
    const toFile = output !== undefined && output !== "-";
    const [{ embedder, isStaticFolder, modelFolder }, { texts }] = await Promise.all([
      import("../embed/index.js"),
      import("./text-input.js").then(({ readTexts }) => readTexts(options.input, options.text)),
    ]);
    // A static model needs no ONNX Runtime.
    await using engine = isStaticFolder(modelFolder(folder)) ? undefined : await engineOf(values);
    await using model = await embedder(folder, {
      ...(engine === undefined ? {} : { engine }),
      output: options.dtype,
      quant: options.quant,
      ...(options.dims === undefined ? {} : { dims: dimsOf(options.dims) }),
    });
    tellPrompts(options, Object.keys(model.card.prompts.value));
    tellCut(options, model.card.truncateDim);
    if (model.accuracy !== undefined) {
      const { mean, least, texts: measured } = model.accuracy;
      note(
        styled(
          "dim",
          `int8-row: cosine to the model itself ${mean.toFixed(4)}, least ${least.toFixed(4)} on ${measured} texts`,
          process.stderr,
        ),
      );
    }
    const bar = progress();
    const start = performance.now();
    let shown = 0;
    const matrix = await model.embed(texts, {
      ...(options.prompt === undefined ? {} : { prompt: options.prompt }),
      ...(options.promptName === undefined ? {} : { promptName: options.promptName }),
      onProgress: (done) => {
        const now = performance.now();
        if (now - shown < 200) return;
        shown = now;
        const rate = (1000 * done) / (now - start);
        const left = (1000 * (texts.length - done)) / rate;
        bar.show(
          `${Math.floor((100 * done) / texts.length)} %  ${formatCount(done)} texts  ${formatCount(rate)} texts/s  ${formatDuration(left)} left`,
        );
      },
    });
    const seconds = (performance.now() - start) / 1000;
    bar.clear();
    await writeVectors(output, matrix);
    if (!toFile) return;
    report(output, matrix, seconds, json);
  });
}

async function engineOf(values: Knobs): Promise<Engine> {
  const { openEngine } = await import("./engine.js");
  return openEngine(values);
}

function dimsOf(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new TenonError("USAGE", { problem: "--dims", given: text, expected: "a whole number from 1" });
}

/** A model that has prompts and is given none may be meant to have one. */
function tellPrompts(options: EmbedCommandOptions, names: readonly string[]): void {
  if (names.length === 0 || options.prompt !== undefined || options.promptName !== undefined) return;
  note(styled("dim", `the model has prompts, for --prompt-name: ${names.join(", ")}`, process.stderr));
}

/** Vectors of a model that was not trained for it lose more by a cut than their numbers. */
function tellCut(options: EmbedCommandOptions, trained: number | undefined): void {
  if (options.dims === undefined || trained !== undefined) return;
  note(
    `${styled("yellow", "warning", process.stderr)} the model does not say that it was trained to be cut (matryoshka): --dims may cost much accuracy`,
  );
}

function report(output: string, matrix: EmbedMatrix, seconds: number, json: boolean): void {
  const { rows, dims, truncated } = matrix;
  const tokens = matrix.tokens.reduce((sum, count) => sum + count, 0);
  if (json) {
    printJson({ rows, dims, tokens, truncated: truncated.length, seconds });
    return;
  }
  print(`${rows} vectors of ${dims}: ${output}`);
  const cut = truncated.length === 0 ? "" : `; ${truncated.length} texts were cut`;
  note(
    styled(
      "dim",
      `${formatDuration(1000 * seconds)}, ${formatCount(rows / Math.max(seconds, 1e-9))} texts/s, ${formatCount(tokens)} tokens${cut}`,
      process.stderr,
    ),
  );
}
