/** The command line as a whole: its verbs, its help text, and how a failure ends it. */
import { Command } from "commander";
import { EXIT, exitCodeHelp } from "./exit-codes.js";
import { reportFailure } from "./failure.js";
import { packageVersion } from "./version.js";

/** The commands in the order of the help text. Only that which is asked for is read. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.js")).serveCommand(),
  run: async () => (await import("./run.js")).runCommand(),
  score: async () => (await import("./score.js")).scoreCommand(),
  sweep: async () => (await import("./sweep.js")).sweepCommand(),
  embed: async () => (await import("./embed.js")).embedCommand(),
  rerank: async () => (await import("./rerank.js")).rerankCommand(),
  pull: async () => (await import("./pull.js")).pullCommand(),
  bench: async () => (await import("./bench.js")).benchCommand(),
  inspect: async () => (await import("./inspect.js")).inspectCommand(),
  convert: async () => (await import("./convert.js")).convertCommand(),
  doctor: async () => (await import("./doctor.js")).doctorCommand(),
  types: async () => (await import("./types.js")).typesCommand(),
  env: async () => (await import("./env.js")).envCommand(),
};

/** Runs one command line (without `node` and the script) and tells its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(args[0]);
    await program.parseAsync(args, { from: "user" });
    return EXIT.done;
  } catch (error) {
    return reportFailure(error, { json: args.includes("--json"), debug: debugging(args) });
  }
}

/** All commands, composed; only the one that `first`, the first argument, names, where it names one. */
export async function createProgram(first?: string): Promise<Command> {
  const program = new Command("tenon")
    .description("Load any trained model, run it fast, serve it.")
    .version(packageVersion(), "-V, --version")
    .addHelpText("after", exitCodeHelp())
    .exitOverride()
    // Options behind the name of a command are those of that command.
    .enablePositionalOptions()
    // Failures are printed in one place, in one form.
    .configureOutput({ outputError: () => undefined });
  const isNamed = first !== undefined && Object.hasOwn(COMMANDS, first);
  const makers = isNamed ? [COMMANDS[first]!] : Object.values(COMMANDS);
  for (const command of await Promise.all(makers.map((make) => make())))
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
