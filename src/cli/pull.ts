/** `tenon pull`: a model's files from a hub into the cache. */
import { Command } from "commander";
import { formatBytes, TenonError } from "../base/index.js";
import type { GoldenCheck, KnownFiles, Pulled } from "../embed/index.js";
import { filesText } from "./doctor-folder.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

export function pullCommand(): Command {
  return new Command("pull")
    .description("bring a model of texts from Hugging Face's hub into the cache that its tools share")
    .argument("<name>", "OWNER/NAME on the hub, or the short name of a known model")
    .option("--revision <revision>", "branch, tag or commit; default: that of the registry, else main")
    .option(
      "--check",
      "open the embedder and compare its vectors and files with those that the registry knows",
    )
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nHF_HOME or HF_HUB_CACHE name the cache, HF_ENDPOINT the hub, HF_TOKEN who asks; with HF_HUB_OFFLINE=1 nobody is asked.\n",
    )
    .action(async (name: string, options: PullCommandOptions) => {
      const { pull } = await import("../embed/index.js");
      const bar = progress();
      const pulled = await pull(name, {
        ...(options.revision === undefined ? {} : { revision: options.revision }),
        onProgress: ({ file, done, bytes }) =>
          bar.show(`${file}  ${formatBytes(done)}${bytes === undefined ? "" : ` of ${formatBytes(bytes)}`}`),
      });
      bar.clear();
      const check = options.check === true ? await checked(name, pulled) : undefined;
      if (options.json === true) {
        printJson({ ...pulled, ...check });
        return;
      }
      print(pulled.folder);
      note(
        styled(
          "dim",
          `${pulled.repository} at ${pulled.commit.slice(0, 12)}, ${pulled.files.length} files, ${formatBytes(pulled.bytes)} read`,
          process.stderr,
        ),
      );
      if (check !== undefined) note(styled("dim", checkText(check), process.stderr));
    });
}

interface PullCommandOptions {
  readonly revision?: string;
  readonly check?: boolean;
  readonly json?: boolean;
}

interface Check {
  readonly golden: GoldenCheck | undefined;
  readonly files: KnownFiles | undefined;
}

/** Throws GOLDEN_MISMATCH and FILE_INVALID for what is not as the registry has it. */
async function checked(name: string, { folder }: Pulled): Promise<Check> {
  const { embedder, knownFiles } = await import("../embed/index.js");
  const files = await knownFiles(name, folder);
  if (files !== undefined && files.other.length > 0) {
    throw new TenonError("FILE_INVALID", {
      problem: "files are not those that the registry knows",
      given: files.other.join(", "),
      expected: `those of ${files.model.repository} at ${files.model.facts?.revision ?? "the hub"}`,
      do: "take the folder out of the cache, and pull again",
    });
  }
  await using model = await embedder(folder, { verify: true });
  return { golden: model.golden, files };
}

function checkText({ golden, files }: Check): string {
  const vectors =
    golden?.least === undefined
      ? "the registry has no vectors of this model to compare with"
      : `vectors: cosine ${golden.least.toFixed(6)} to those of ${golden.from}`;
  return `${vectors}; ${files === undefined ? "and no hashes of its files" : filesText(files)}`;
}
