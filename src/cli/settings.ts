/** Settings on a command line: an option per setting that the command uses, resolved with environment and file. */
import { type Command, Option } from "commander";
import {
  flagOf,
  type KnobName,
  knob,
  loadConfigFile,
  type ResolvedKnobs,
  resolveKnobs,
} from "../base/index.js";
import { warn } from "./terminal.js";

/** Options that every command has. */
interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

export interface Settings extends ResolvedKnobs {
  readonly json: boolean;
}

/** The settings that a command has options for; other options may have the name of a setting. */
const settingsOf = new WeakMap<Command, readonly KnobName[]>();

/** Adds `--json`, `--config` and one option for each named setting. */
export function addSettings(command: Command, names: readonly KnobName[]): Command {
  for (const name of names) {
    const { placeholder, description, format, default: fallback, secret } = knob(name);
    if (secret === true) continue;
    const text = format(fallback);
    const shown = text === "" ? description : `${description} (default: ${text})`;
    command.addOption(new Option(`${flagOf(name)} <${placeholder}>`, shown));
  }
  settingsOf.set(command, names);
  return command
    .option("--config <file>", "config file; default: tenon.config.json, .mjs or .ts here, if there is one")
    .option("--json", "print JSON for machines");
}

/** Resolves every setting for this invocation and warns of `TENON_*` variables that no setting has. */
export async function resolveSettings(command: Command): Promise<Settings> {
  const options = command.opts<CommonOptions & Partial<Record<KnobName, string>>>();
  const file = await loadConfigFile({ cwd: process.cwd(), path: options.config });
  const flags: Partial<Record<KnobName, string>> = {};
  for (const name of settingsOf.get(command) ?? []) {
    const text = options[name];
    if (text !== undefined) flags[name] = text;
  }
  const resolved = resolveKnobs({ flags, env: process.env, file });
  for (const text of resolved.warnings) warn(text);
  return { ...resolved, json: options.json === true };
}
