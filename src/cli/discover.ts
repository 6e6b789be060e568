/** Which models a path of the command line stands for: a file, a folder of files, or a model repository. */
import { readFileSync, type Stats, statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { TenonError } from "../base/index.js";
import { isModelName } from "../runtime/index.js";
import { isEmbedderFolder, isModelFolder, isProgram } from "./open-model.js";

export interface FoundModel {
  readonly name: string;
  /** A decimal number above 0; files outside a repository are version 1. */
  readonly version: string;
  readonly path: string;
  /** The folder of a model in a repository. */
  readonly folder?: string;
  /** Its `config.pbtxt`. */
  readonly config?: string;
  /** Every version of a model in a repository, the newest first. */
  readonly versions?: readonly { readonly version: string; readonly path: string }[];
}

export interface Discovery {
  readonly models: readonly FoundModel[];
  /** One sentence for each thing that was seen and not used. */
  readonly warnings: readonly string[];
}

export interface DiscoverOptions {
  /** Default: the process's. */
  readonly cwd?: string;
  /** A folder may hold no model yet. Default false. */
  readonly allowEmpty?: boolean;
}

const EXTENSION = ".onnx";
const VERSION = /^[1-9][0-9]{0,8}$/;

/**
 * Finds the models of every argument: a file `net.onnx` or `net.pt2` (named by its base name), `NAME=net.onnx`, a folder
 * with `config.json` and weights, a folder whose model files and such folders are one model each (of `net.onnx` and the
 * `net.pt2` it was made of the first), or a repository `<model>/<version>/model.onnx`.
 * Throws FILE_NOT_FOUND for what is not there and USAGE for names that a URL cannot hold or that are given twice.
 */
export async function discoverModels(
  paths: readonly string[],
  { cwd = process.cwd(), allowEmpty = false }: DiscoverOptions = {},
): Promise<Discovery> {
  const models: FoundModel[] = [];
  const warnings: string[] = [];
  for (const argument of paths) {
    const found = await discoverOne(argument, cwd, allowEmpty);
    models.push(...found.models);
    warnings.push(...found.warnings);
  }
  const byName = new Map<string, FoundModel>();
  for (const model of models) {
    const other = byName.get(model.name);
    if (other !== undefined) {
      throw new TenonError("USAGE", {
        problem: `two models are named "${model.name}"`,
        given: `${other.path} and ${model.path}`,
        do: `name one of them: ${model.name}-2=${model.path}`,
      });
    }
    byName.set(model.name, model);
  }
  return { models, warnings };
}

async function discoverOne(argument: string, cwd: string, allowEmpty: boolean): Promise<Discovery> {
  const { name, path } = splitName(argument, cwd);
  const stats = statOf(path);
  if (stats === undefined) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "there is no such model file or folder",
      given: argument,
      expected:
        "a .onnx or .pt2 file, a folder with config.json and weights, a folder of models, or a repository <model>/<version>/model.onnx",
    });
  }
  if (stats.isFile() || isModelFolder(path) || isEmbedderFolder(path))
    return one(
      name ?? (stats.isFile() ? withoutExtension(basename(path)) : basename(path)),
      "1",
      path,
      argument,
    );
  const versions = await versionsIn(path);
  if (versions.length > 0) {
    const found = one(name ?? basename(path), versions[0]!, modelFile(path, versions[0]!), argument);
    return { ...found, models: found.models.map((model) => ({ ...model, ...inRepository(path, versions) })) };
  }
  if (name !== undefined) {
    // A volume that holds one model, under whatever name its file has.
    const { models } = await folder(path);
    if (models.length === 1) return one(name, "1", models[0]!.path, argument);
    throw new TenonError("USAGE", {
      problem: "a name can be given to one model, not to a folder of models",
      given: argument,
      expected: "NAME=FILE, or the folder without a name",
    });
  }
  const found = (await repository(path)) ?? (await folder(path));
  if (found.models.length > 0 || allowEmpty) return found;
  throw new TenonError("FILE_NOT_FOUND", {
    problem: "the folder holds no model",
    given: argument,
    expected: "files *.onnx or *.pt2, config.json with weights, or <model>/<version>/model.onnx",
  });
}

/** `NAME=PATH`, unless the whole text is itself a path that exists. */
function splitName(argument: string, cwd: string): { name: string | undefined; path: string } {
  const whole = resolve(cwd, argument);
  const at = argument.indexOf("=");
  if (at <= 0 || /[/\\]/.test(argument.slice(0, at)) || statOf(whole) !== undefined) {
    return { name: undefined, path: whole };
  }
  return { name: argument.slice(0, at), path: resolve(cwd, argument.slice(at + 1)) };
}

function one(name: string, version: string, path: string, argument: string): Discovery {
  checkName(name, argument.includes("=") ? argument.slice(argument.indexOf("=") + 1) : argument);
  return { models: [{ name, version, path }], warnings: [] };
}

async function folder(path: string): Promise<Discovery> {
  const models = new Map<string, FoundModel>();
  // Sorted, `net.onnx` stands before `net.pt2`.
  for (const file of (await readdir(path)).sort()) {
    const found = file.startsWith(".") ? undefined : modelIn(join(path, file));
    if (found === undefined || models.has(found.name)) continue;
    checkName(found.name, found.path);
    models.set(found.name, { ...found, version: "1" });
  }
  return { models: [...models.values()].sort(byNameOrder), warnings: [] };
}

/** What an entry of a folder of models stands for. */
function modelIn(path: string): Pick<FoundModel, "name" | "path"> | undefined {
  const file = basename(path);
  if (isModelFolder(path) || isEmbedderFolder(path)) return { name: file, path };
  if (isProgram(path)) return { name: withoutExtension(file), path };
  if (!file.endsWith(EXTENSION)) return undefined;
  const inside = statOf(path)?.isDirectory() ? join(path, "model.onnx") : path;
  return { name: withoutExtension(file), path: inside };
}

/** The models of a repository; undefined when no subfolder holds a version. */
async function repository(path: string): Promise<Discovery | undefined> {
  const models: FoundModel[] = [];
  const warnings: string[] = [];
  const empty: string[] = [];
  for (const name of (await readdir(path)).sort()) {
    const model = join(path, name);
    if (name.startsWith(".") || !statOf(model)?.isDirectory()) continue;
    const versions = await versionsIn(model);
    if (versions.length === 0) {
      empty.push(name);
      continue;
    }
    checkName(name, modelFile(model, versions[0]!));
    models.push({
      name,
      version: versions[0]!,
      path: modelFile(model, versions[0]!),
      ...inRepository(model, versions),
    });
  }
  if (models.length === 0) return undefined;
  for (const name of empty) warnings.push(`${name} holds no <version>/model.onnx and is left out`);
  return { models, warnings };
}

function inRepository(
  model: string,
  versions: readonly string[],
): Pick<FoundModel, "folder" | "config" | "versions"> {
  return {
    folder: model,
    ...(hasConfig(model) ? { config: join(model, CONFIG) } : {}),
    versions: versions.map((version) => ({ version, path: modelFile(model, version) })),
  };
}

const CONFIG = "config.pbtxt";

function hasConfig(model: string): boolean {
  return statOf(join(model, CONFIG))?.isFile() === true;
}

/** Version folders that hold a model, newest first. A configuration may name another file than `model.onnx`. */
async function versionsIn(model: string): Promise<string[]> {
  const any = hasConfig(model);
  const names = (await readdir(model)).filter((name) => VERSION.test(name));
  const versions = names
    .filter((version) =>
      any ? statOf(join(model, version))?.isDirectory() : statOf(modelFile(model, version))?.isFile(),
    )
    .sort((a, b) => Number(b) - Number(a));
  return versions.length === 0 && any && namesEnsemble(join(model, CONFIG)) ? ["1"] : versions;
}

/** An ensemble has no file of its own, and often lost its empty version folder on the way. */
function namesEnsemble(config: string): boolean {
  return (
    (statOf(config)?.size ?? 0) <= 2 ** 20 && /\bensemble(_scheduling)?\b/.test(readFileSync(config, "utf8"))
  );
}

/** `<version>/model.onnx`, or the file of that name in a folder of that name (models with external data). */
function modelFile(model: string, version: string): string {
  const path = join(model, version, "model.onnx");
  return statOf(path)?.isDirectory() ? join(path, "model.onnx") : path;
}

function checkName(name: string, path: string): void {
  if (isModelName(name)) return;
  throw new TenonError("USAGE", {
    problem: "a URL cannot hold this model name",
    given: `"${name}"`,
    expected: "1 to 128 letters, digits, dots, hyphens or underscores, and no leading dot",
    do: `name it: NAME=${path}`,
  });
}

function withoutExtension(file: string): string {
  return file.endsWith(EXTENSION) ? file.slice(0, -EXTENSION.length) : file.replace(/(?<=.)\.[^.]*$/, "");
}

function byNameOrder(a: FoundModel, b: FoundModel): number {
  return a.name < b.name ? -1 : 1;
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
