/** The command line as a whole: its verbs, its help text, and how a failure ends it. */
import { Command } from "commander";
import { benchCommand } from "./bench.js";
import { convertCommand } from "./convert.js";
import { doctorCommand } from "./doctor.js";
import { embedCommand } from "./embed.js";
import { envCommand } from "./env.js";
import { EXIT, exitCodeHelp } from "./exit-codes.js";
import { reportFailure } from "./failure.js";
import { inspectCommand } from "./inspect.js";
import { pullCommand } from "./pull.js";
import { rerankCommand } from "./rerank.js";
import { runCommand } from "./run.js";
import { scoreCommand } from "./score.js";
import { serveCommand } from "./serve.js";
import { typesCommand } from "./types.js";
import { packageVersion } from "./version.js";

/** Runs one command line (without `node` and the script) and tells its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: "user" });
    return EXIT.done;
  } catch (error) {
    return reportFailure(error, { json: args.includes("--json"), debug: debugging(args) });
  }
}

/** All commands, composed. */
export function createProgram(): Command {
  const program = new Command("tenon")
    .description("Load any trained model, run it fast, serve it.")
    .version(packageVersion(), "-V, --version")
    .addHelpText("after", exitCodeHelp())
    .exitOverride()
    // Options behind the name of a command are those of that command.
    .enablePositionalOptions()
    // Failures are printed in one place, in one form.
    .configureOutput({ outputError: () => undefined });
  for (const command of [
    serveCommand(),
    runCommand(),
    scoreCommand(),
    embedCommand(),
    rerankCommand(),
    pullCommand(),
    benchCommand(),
    inspectCommand(),
    convertCommand(),
    doctorCommand(),
    typesCommand(),
    envCommand(),
  ])
    program.addCommand(inherit(command, program));
  return program;
}

/** Settings of the program for a command and those below it. */
function inherit(command: Command, from: Command): Command {
  for (const below of command.commands) inherit(below as Command, from); // the list is of a read-only type
  return command.copyInheritedSettings(from);
}

function debugging(args: readonly string[]): boolean {
  const at = args.indexOf("--log");
  return args.includes("--log=debug") || (at >= 0 ? args[at + 1] : process.env.TENON_LOG) === "debug";
}
