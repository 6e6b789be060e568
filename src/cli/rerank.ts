/** `tenon rerank`: texts of a file by how well they answer a query, best first. */
import { once } from "node:events";
import { Command } from "commander";
import { replaceFile, TenonError } from "../base/index.js";
import { checkOutputFolder } from "./output-folder.js";
import { addSettings, resolveSettings } from "./settings.js";
import { note, printJson, progress, styled } from "./terminal.js";

interface RerankOptions {
  readonly query: string;
  readonly input?: string;
  readonly output?: string;
  readonly text?: string;
  readonly topK?: string;
}

export function rerankCommand(): Command {
  const command = new Command("rerank")
    .description("order texts by how well they answer a query, with a cross-encoder")
    .argument("<model>", "folder of a cross-encoder, or the name of one that was pulled")
    .requiredOption("--query <text>", "what the texts are to answer")
    .option(
      "--input <file>",
      "texts: .txt (one a line), .json, .jsonl, .csv or .parquet; default: lines of stdin",
    )
    .option("--output <file>", "JSONL of {index, score, text}; default: stdout")
    .option("--text <field>", "field or column that holds the text")
    .option("--top-k <n>", "only the best so many");
  addSettings(command, ["lanes", "cache", "cacheMax", "ortLib", "log"]);
  return command.action(async (folder: string, options: RerankOptions) => {
    const { values, json } = await resolveSettings(command);
    const topK = options.topK === undefined ? undefined : positive(options.topK);
    if (options.output !== undefined && options.output !== "-") checkOutputFolder(options.output);
    const [{ openEngine }, { reranker }, { texts }] = await Promise.all([
      import("./engine.js"),
      import("../embed/index.js"),
      import("./text-input.js").then(({ readTexts }) => readTexts(options.input, options.text)),
    ]);
    await using engine = await openEngine(values);
    await using model = await reranker(folder, { engine });
    const bar = progress();
    bar.show(`scoring ${texts.length} texts …`);
    const start = performance.now();
    const hits = await model.rank(options.query, texts, topK === undefined ? {} : { topK });
    const seconds = (performance.now() - start) / 1000;
    bar.clear();
    const lines = hits.map((hit) => `${JSON.stringify(hit)}\n`).join("");
    const { output } = options;
    if (output === undefined || output === "-") {
      if (!process.stdout.write(lines)) await once(process.stdout, "drain");
      return;
    }
    await replaceFile(output, [Buffer.from(lines)]);
    if (json) printJson({ rows: hits.length, scored: texts.length, seconds });
    else note(styled("dim", `${hits.length} of ${texts.length} texts: ${output}`, process.stderr));
  });
}

function positive(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new TenonError("USAGE", { problem: "--top-k", given: text, expected: "a whole number from 1" });
}
