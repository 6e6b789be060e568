/** Values of `--input`: a JSON literal, a text, or a file, made a tensor of the dtype that the model takes. */
import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { closest, suggest, TenonError } from "../base/index.js";
import type { Signature, ValueSignature } from "../runtime/index.js";
import {
  type DType,
  dtypeInfo,
  readNpy,
  readNpz,
  type Tensor,
  type TensorValues,
  tensor,
} from "../tensor/index.js";

export type Inputs = Record<string, Tensor>;

/**
 * The inputs that the `--input` texts give: `name=VALUE`, `VALUE` alone for a model of one input, or `@FILE` alone for
 * a file that names its arrays (`.npz`, or a JSON object). VALUE is a JSON literal, a text, or `@FILE` (`.npy`,
 * `.npz` with one array, `.json`). JSON is converted to the model's dtype, where it holds every value; arrays of npy
 * files keep theirs. A single value takes the rank of its input. Throws INPUT_UNKNOWN, INPUT_DUPLICATE, INPUT_VALUE,
 * FILE_NOT_FOUND, FILE_INVALID.
 */
export async function readInputs(
  specs: readonly string[],
  signature: Signature,
  cwd: string,
): Promise<Inputs> {
  const inputs: Inputs = {};
  for (const spec of specs) {
    for (const [name, value] of Object.entries(await readSpec(spec, signature, cwd))) {
      if (Object.hasOwn(inputs, name)) throw new TenonError("INPUT_DUPLICATE", { given: `"${name}" twice` });
      inputs[name] = value;
    }
  }
  return inputs;
}

async function readSpec(spec: string, { inputs }: Signature, cwd: string): Promise<Inputs> {
  const at = spec.indexOf("=");
  const named = at < 0 ? undefined : inputs.find(({ name }) => name === spec.slice(0, at));
  if (named !== undefined) return { [named.name]: await readValue(spec.slice(at + 1), named, cwd) };
  if (spec.startsWith("@")) {
    const several = await readSeveral(spec.slice(1), inputs, cwd);
    if (several !== undefined) return several;
  }
  const names = inputs.map(({ name }) => name);
  const only = inputs.length === 1 ? inputs[0] : undefined;
  const misspelt = at > 0 && (only?.dtype !== "string" || closest(spec.slice(0, at), names) !== undefined);
  if (misspelt && !/^[@[{"]/.test(spec)) {
    throw new TenonError("INPUT_UNKNOWN", {
      given: `"${spec.slice(0, at)}"`,
      expected: suggest(spec.slice(0, at), names),
    });
  }
  if (only !== undefined) return { [only.name]: await readValue(spec, only, cwd) };
  throw new TenonError("USAGE", {
    problem: "the value does not say which input it is for",
    given: spec.length > 60 ? `${spec.slice(0, 60)}…` : spec,
    expected: `NAME=VALUE, where NAME is one of ${names.join(", ")}`,
  });
}

/** The arrays of a file that names them itself; undefined for files of one value. */
async function readSeveral(
  file: string,
  inputs: readonly ValueSignature[],
  cwd: string,
): Promise<Inputs | undefined> {
  const kind = extname(file).toLowerCase();
  if (kind === ".npz") {
    const arrays = await readNpzFile(file, cwd);
    return inputs.length === 1 && Object.keys(arrays).length === 1 ? undefined : arrays;
  }
  if (kind !== ".json") return undefined;
  const content = await readText(file, cwd);
  if (!/^\s*\{/.test(content)) return undefined;
  const fields = parseJson(content, file) as Record<string, unknown>;
  const result: Inputs = {};
  for (const name of Object.keys(fields)) {
    const input = inputs.find((candidate) => candidate.name === name);
    if (input === undefined) {
      const names = inputs.map((candidate) => candidate.name);
      throw new TenonError("INPUT_UNKNOWN", {
        given: `"${name}" in ${file}`,
        expected: suggest(name, names),
      });
    }
    const exact = isWide(input.dtype) ? (parseJson(quoteIntegers(content), file) as typeof fields) : fields;
    result[name] = toTensor(exact[name], input, `${name} in ${file}`);
  }
  return result;
}

async function readValue(text: string, input: ValueSignature, cwd: string): Promise<Tensor> {
  if (text.startsWith("@")) return readFileValue(text.slice(1), input, cwd);
  if (input.dtype === "string" && !/^\s*["[]/.test(text)) return toTensor(text, input, text);
  return toTensor(parseJson(exactText(text, input.dtype), "the value"), input, "the value");
}

async function readFileValue(file: string, input: ValueSignature, cwd: string): Promise<Tensor> {
  const kind = extname(file).toLowerCase();
  if (kind === ".npy") return readNpy(await readBytes(file, cwd));
  if (kind === ".json")
    return toTensor(parseJson(exactText(await readText(file, cwd), input.dtype), file), input, file);
  if (kind === ".npz") {
    const arrays = await readNpzFile(file, cwd);
    const names = Object.keys(arrays);
    const found = arrays[input.name] ?? (names.length === 1 ? arrays[names[0]!] : undefined);
    if (found !== undefined) return found;
    throw new TenonError("FILE_INVALID", {
      problem: `the file has no array "${input.name}"`,
      given: file,
      expected: `${suggest(input.name, names)}`,
    });
  }
  throw new TenonError("USAGE", {
    problem: "the kind of an input file is told by its extension",
    given: `@${file}`,
    expected: "a file .npy, .npz or .json",
    ...(input.dtype === "string" ? { do: `write a text that begins with @ as JSON: '"@${file}"'` } : {}),
  });
}

function toTensor(value: unknown, input: ValueSignature, from: string): Tensor {
  const values = isWide(input.dtype) ? mapLeaves(value, (leaf) => toBigInt(leaf, input, from)) : value;
  if (values === null || values === undefined || (typeof values === "object" && !Array.isArray(values))) {
    throw new TenonError("INPUT_VALUE", {
      given: `${values === null ? "null" : "an object"} in ${from}`,
      expected: `values for "${input.name}": ${input.dtype}, single or in nested arrays`,
      details: { input: input.name },
    });
  }
  try {
    // `tensor` itself checks every element.
    const made: Tensor = tensor(values as TensorValues, { dtype: input.dtype });
    const rank = input.dims?.length ?? 0;
    return made.rank === 0 && rank > 0 ? made.reshape(new Array<number>(rank).fill(1)) : made;
  } catch (cause) {
    const { problem, given, expected } = cause as TenonError;
    throw new TenonError("INPUT_VALUE", {
      problem: `"${input.name}" cannot be read from ${from}: ${problem}`,
      ...(given === undefined ? {} : { given }),
      ...(expected === undefined ? {} : { expected }),
      details: { input: input.name },
      cause,
    });
  }
}

/** 64-bit integers, which JavaScript's numbers do not hold exactly. */
function isWide(dtype: DType): boolean {
  return dtypeInfo(dtype).bits === 64 && ["int", "uint"].includes(dtypeInfo(dtype).kind);
}

function exactText(json: string, dtype: DType): string {
  return isWide(dtype) ? quoteIntegers(json) : json;
}

/** Puts every integer outside of texts into quotes, so that its digits survive JSON.parse. */
function quoteIntegers(json: string): string {
  return json.replace(/"(?:\\.|[^"\\])*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (token) =>
    /^-?\d+$/.test(token) ? `"${token}"` : token,
  );
}

function toBigInt(leaf: unknown, input: ValueSignature, from: string): unknown {
  if (typeof leaf !== "string") return leaf;
  if (/^-?\d+$/.test(leaf)) return BigInt(leaf);
  throw new TenonError("INPUT_VALUE", {
    given: `"${leaf}" in ${from}`,
    expected: `integers for "${input.name}"`,
    details: { input: input.name },
  });
}

function mapLeaves(value: unknown, map: (leaf: unknown) => unknown): unknown {
  return Array.isArray(value) ? value.map((item) => mapLeaves(item, map)) : map(value);
}

function parseJson(text: string, from: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TenonError(from === "the value" ? "INPUT_VALUE" : "FILE_INVALID", {
      problem: `${from} is not valid JSON`,
      given: text.length > 60 ? `${text.slice(0, 60)}…` : text,
      expected: "a literal such as 3, [[1, 2], [3, 4]] or true, or @FILE",
      cause,
    });
  }
}

async function readNpzFile(file: string, cwd: string): Promise<Inputs> {
  return { ...readNpz(await readBytes(file, cwd)) };
}

async function readText(file: string, cwd: string): Promise<string> {
  return Buffer.from(await readBytes(file, cwd)).toString("utf8");
}

async function readBytes(file: string, cwd: string): Promise<Uint8Array> {
  try {
    return await readFile(resolve(cwd, file));
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { problem: "an input file cannot be read", given: file, cause });
  }
}
