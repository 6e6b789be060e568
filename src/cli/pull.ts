/** `tenon pull`: a model's files from a hub into the cache. */
import { Command } from "commander";
import { formatBytes } from "../base/index.js";
import { note, print, printJson, progress, styled } from "./terminal.js";

export function pullCommand(): Command {
  return new Command("pull")
    .description("bring a model of texts from Hugging Face's hub into the cache that its tools share")
    .argument("<name>", "OWNER/NAME on the hub, or the short name of a known model")
    .option("--revision <revision>", "branch, tag or commit; default: main")
    .option("--json", "print one JSON object")
    .addHelpText(
      "after",
      "\nHF_HOME or HF_HUB_CACHE name the cache, HF_ENDPOINT the hub, HF_TOKEN who asks; with HF_HUB_OFFLINE=1 nobody is asked.\n",
    )
    .action(async (name: string, options: { readonly revision?: string; readonly json?: boolean }) => {
      const { pull } = await import("../embed/index.js");
      const bar = progress();
      const pulled = await pull(name, {
        ...(options.revision === undefined ? {} : { revision: options.revision }),
        onProgress: ({ file, done, bytes }) =>
          bar.show(`${file}  ${formatBytes(done)}${bytes === undefined ? "" : ` of ${formatBytes(bytes)}`}`),
      });
      bar.clear();
      if (options.json === true) {
        printJson(pulled);
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
    });
}
