/** Settings resolved: defaults < config file < `TENON_*` < flags, each value with the place it came from. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { closest, suggest } from "./did-you-mean.js";
import { TenonError } from "./errors.js";
import { flagOf, KNOB_NAMES, type KnobName, type Knobs, knob, variableOf } from "./knobs.js";

/** Names looked for in the working directory, the first one present wins. */
export const CONFIG_FILES = ["tenon.config.json", "tenon.config.mjs", "tenon.config.ts"] as const;

/** What a config file holds, with the path it was read from. */
export interface ConfigFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Where a value came from; `from` is the flag, the variable or the file's path. */
export interface Origin {
  readonly source: "default" | "file" | "env" | "flag";
  readonly from?: string;
}

export interface ResolvedKnobs {
  readonly values: Knobs;
  readonly origins: Readonly<Record<KnobName, Origin>>;
  /** One sentence for each `TENON_*` variable that no setting has. */
  readonly warnings: readonly string[];
}

export interface KnobSources {
  /** Texts by setting name, as a command line gave them. */
  readonly flags?: Readonly<Partial<Record<KnobName, string>>>;
  /** Default: none; pass `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile | undefined;
}

/** Merges the sources and checks every value; throws CONFIG_INVALID that names the flag, variable or key. */
export function resolveKnobs(sources: KnobSources = {}): ResolvedKnobs {
  const { flags = {}, env = {}, file } = sources;
  if (file !== undefined) checkKeys(file);
  const values: Record<string, unknown> = {};
  const origins: Partial<Record<KnobName, Origin>> = {};
  for (const name of KNOB_NAMES) {
    const flag = flags[name];
    const variable = env[variableOf(name)];
    if (flag !== undefined) {
      values[name] = parseAs(name, flag, flagOf(name));
      origins[name] = { source: "flag", from: flagOf(name) };
    } else if (variable !== undefined && variable !== "") {
      values[name] = parseAs(name, variable, variableOf(name));
      origins[name] = { source: "env", from: variableOf(name) };
    } else if (file?.values[name] !== undefined) {
      values[name] = fromFile(name, file.values[name], file.path);
      origins[name] = { source: "file", from: file.path };
    } else {
      values[name] = knob(name).default;
      origins[name] = { source: "default" };
    }
  }
  return {
    // Every name of the table was just filled from its own row.
    values: values as unknown as Knobs,
    origins: origins as Record<KnobName, Origin>,
    warnings: unknownVariables(env),
  };
}

/**
 * Reads `path`, or the first of CONFIG_FILES in `cwd` (undefined when there is none). JSON files hold one
 * object; modules export it as default. Keys are setting names (`httpPort`); values are the texts that flags
 * take, or plain numbers, booleans and lists where no unit is needed.
 */
export async function loadConfigFile(options: {
  readonly cwd: string;
  readonly path?: string | undefined;
}): Promise<ConfigFile | undefined> {
  const path =
    options.path === undefined
      ? CONFIG_FILES.map((name) => join(options.cwd, name)).find((candidate) => existsSync(candidate))
      : resolve(options.cwd, options.path);
  if (path === undefined) return undefined;
  if (!existsSync(path)) {
    throw new TenonError("FILE_NOT_FOUND", { given: path, expected: "a config file" });
  }
  const values = path.endsWith(".json") ? await readJson(path) : await importDefault(path);
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "the config file does not hold an object",
      given: path,
      expected: path.endsWith(".json") ? '{"httpPort": 8000}' : "export default { httpPort: 8000 }",
    });
  }
  return { path, values: values as Record<string, unknown> };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "the config file is not valid JSON",
      given: `${path} (${cause instanceof Error ? cause.message : cause})`,
      cause,
    });
  }
}

async function importDefault(path: string): Promise<unknown> {
  // The types of Node.js 20 do not know this feature flag yet.
  const features = process.features as { readonly typescript?: unknown };
  if (path.endsWith(".ts") && !features.typescript) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "this Node.js does not run TypeScript files",
      given: `${path} under Node.js ${process.versions.node}`,
      expected: "Node.js 22.18 or newer for a .ts config file",
      do: "rename it to tenon.config.mjs (plain JavaScript) or tenon.config.json",
    });
  }
  try {
    const module: { readonly default?: unknown } = await import(pathToFileURL(path).href);
    return module.default;
  } catch (cause) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "the config file cannot be run",
      given: `${path} (${cause instanceof Error ? cause.message : cause})`,
      cause,
    });
  }
}

function checkKeys(file: ConfigFile): void {
  for (const key of Object.keys(file.values)) {
    if (KNOB_NAMES.some((name) => name === key)) continue;
    throw new TenonError("CONFIG_INVALID", {
      problem: "unknown setting in the config file",
      given: `"${key}" in ${file.path}`,
      expected: suggest(key.replaceAll(/[-_]/g, ""), KNOB_NAMES, 40),
    });
  }
}

function parseAs(name: KnobName, text: string, from: string): unknown {
  try {
    return knob(name).parse(text);
  } catch (cause) {
    const expected = cause instanceof TenonError && cause.expected ? cause.expected : knob(name).expected;
    throw new TenonError("CONFIG_INVALID", {
      problem: `${from} has a value it cannot have`,
      given: `"${text}"`,
      expected,
      details: { knob: name, from },
      cause,
    });
  }
}

function fromFile(name: KnobName, value: unknown, path: string): unknown {
  const { accepts, expected } = knob(name);
  const from = `${name} in ${path}`;
  if (typeof value === "string") return parseAs(name, value, from);
  const plain =
    (accepts === "number" && typeof value === "number") ||
    (accepts === "boolean" && typeof value === "boolean");
  if (plain) return parseAs(name, String(value), from);
  if (accepts === "list" && Array.isArray(value) && value.every((part) => typeof part === "string")) {
    return parseAs(name, value.join(","), from);
  }
  throw new TenonError("CONFIG_INVALID", {
    problem: `${from} has a value it cannot have`,
    given: JSON.stringify(value) ?? String(value),
    expected: accepts === "text" ? `${expected}, as a text` : expected,
    details: { knob: name, from },
  });
}

function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = KNOB_NAMES.map(variableOf);
  return Object.keys(env)
    .filter((name) => name.startsWith("TENON_") && !known.includes(name))
    .sort()
    .map((name) => {
      const near = closest(name, known);
      return `unknown environment variable ${name}${near === undefined ? "" : `; did you mean ${near}?`}`;
    });
}
