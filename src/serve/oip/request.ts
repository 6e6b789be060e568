/** The infer request of the Open Inference Protocol v2 (Triton's dialect), read from its JSON form. */
import { KNOBS, TenonError } from "../../base/index.js";
import { type DType, dtypeFromOip } from "../../tensor/index.js";
import { BYTE, JsonScanner } from "../json/scanner.js";
import { scanTensorData, type TensorValues } from "../json/tensor-data.js";
import { type SharedPlace, sharedPlace } from "../shared-memory.js";
import {
  booleanParameter,
  countParameter,
  type Parameters,
  type ParameterValue,
  unparsable,
} from "./request-parameters.js";

/** What a request may hold; the names are those of the settings. */
export interface RequestLimits {
  /** Brackets inside each other. */
  readonly jsonDepth: number;
  /** Elements and dimensions of one tensor. */
  readonly tensorElements: number;
  readonly tensorRank: number;
  /** Bytes of one element of a string tensor. */
  readonly stringBytes: number;
}

const DEFAULT_LIMITS: RequestLimits = {
  jsonDepth: KNOBS.jsonDepth.default,
  tensorElements: KNOBS.tensorElements.default,
  tensorRank: KNOBS.tensorRank.default,
  stringBytes: KNOBS.stringBytes.default,
};

export interface InferInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Elements that `shape` makes. */
  readonly size: number;
  /** The elements, when they came as JSON. */
  readonly values: TensorValues | undefined;
  /** Bytes in the binary section, when they come from there. */
  readonly binarySize: number | undefined;
  /** Where they lie, when that is shared memory. */
  readonly shared?: SharedPlace | undefined;
}

export interface InferOutput {
  readonly name: string;
  /** Binary or JSON, when the output says so itself. */
  readonly binary: boolean | undefined;
  /** How many of its best values to answer, as strings; undefined: the tensor itself. */
  readonly classification?: number | undefined;
  /** Where to put it, instead of sending it. */
  readonly shared?: SharedPlace | undefined;
}

/** Plain data: it crosses the border of a worker thread. */
export interface InferRequest {
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: readonly InferInput[];
  /** Empty: all of the model's. No name comes twice. */
  readonly outputs: readonly InferOutput[];
}

const NO_PARAMETERS: Parameters = new Map();

/**
 * Reads the JSON of an infer request, `bytes[start, end)`, within `limits` (default: those of the settings).
 * Throws REQUEST_INVALID, INPUT_VALUE, INPUT_DUPLICATE, INPUT_DTYPE or REQUEST_UNSUPPORTED; messages are the
 * protocol's own texts.
 *
 * ```ts
 * const { inputs } = parseInferRequest(await readFile("request.json"));
 * const { name, dtype, shape, values } = inputs[0];
 * ```
 */
export function parseInferRequest(
  bytes: Buffer,
  start = 0,
  end: number = bytes.length,
  limits: RequestLimits = DEFAULT_LIMITS,
): InferRequest {
  const scanner = new JsonScanner(bytes, start, end, limits.jsonDepth);
  let id: string | undefined;
  let parameters = NO_PARAMETERS;
  let inputs: InferInput[] | undefined;
  let outputs: InferOutput[] = [];
  let seen = 0;
  if (scanner.peek() !== BYTE.openObject) scanner.fail("The document is not an object");
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    switch (key) {
      case "id":
        seen = once(seen, 1, key);
        id = readString(scanner, "id");
        break;
      case "parameters":
        seen = once(seen, 2, key);
        parameters = readParameters(scanner);
        break;
      case "inputs":
        seen = once(seen, 4, key);
        inputs = readInputs(scanner, limits);
        break;
      case "outputs":
        seen = once(seen, 8, key);
        outputs = readOutputs(scanner);
        break;
      default:
        scanner.skip();
    }
  }
  scanner.finish();
  if (inputs === undefined) throw missingMember("inputs");
  return { id, parameters, inputs, outputs };
}

function readInputs(scanner: JsonScanner, limits: RequestLimits): InferInput[] {
  needArray(scanner, "inputs");
  const inputs = new Map<string, InferInput>();
  for (let more = scanner.firstItem(); more; more = scanner.nextItem()) {
    const input = readInput(scanner, limits);
    if (inputs.has(input.name)) throw duplicateInput(input.name);
    inputs.set(input.name, input);
  }
  return [...inputs.values()];
}

export function duplicateInput(name: string): TenonError {
  return new TenonError("INPUT_DUPLICATE", {
    problem: `input '${name}' already exists in request`,
    details: { input: name },
  });
}

function readInput(scanner: JsonScanner, limits: RequestLimits): InferInput {
  let name: string | undefined;
  let datatype: string | undefined;
  let shape: number[] | undefined;
  let size = 0;
  let parameters = NO_PARAMETERS;
  let dataAt = -1;
  let values: TensorValues | undefined;
  let seen = 0;
  needObject(scanner, "inputs");
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    switch (key) {
      case "name":
        seen = once(seen, 1, key);
        name = readString(scanner, "name");
        break;
      case "datatype":
        seen = once(seen, 2, key);
        datatype = readString(scanner, "datatype");
        break;
      case "shape":
        seen = once(seen, 4, key);
        shape = readShape(scanner, limits.tensorRank);
        size = elementsOf(shape, limits.tensorElements);
        break;
      case "parameters":
        seen = once(seen, 8, key);
        parameters = readParameters(scanner);
        break;
      case "data":
        seen = once(seen, 16, key);
        dataAt = scanner.at;
        // The usual order puts the shape first; otherwise the data waits until the whole input is known.
        if (name !== undefined && datatype !== undefined && shape !== undefined) {
          values = scanTensorData(scanner, jsonDType(datatype, name), shape, size);
        } else {
          scanner.skipUnchecked();
        }
        break;
      default:
        scanner.skip();
    }
  }
  if (name === undefined) throw missingMember("name");
  if (shape === undefined) throw missingMember("shape");
  if (datatype === undefined) throw missingMember("datatype");
  const dtype = dtypeOf(datatype, name);
  if (dataAt >= 0 && values === undefined) {
    const after = scanner.at;
    scanner.at = dataAt;
    values = scanTensorData(scanner, jsonDType(datatype, name), shape, size);
    scanner.at = after;
  }
  const { binarySize, shared } = sourceOf(parameters, dataAt >= 0);
  return { name, dtype, shape, size, values, binarySize, shared };
}

/** Checks that exactly one source of data is named; the binary section's bytes or the shared memory when it is that. */
function sourceOf(parameters: Parameters, hasData: boolean): Pick<InferInput, "binarySize" | "shared"> {
  const binarySize = parameters.get("binary_data_size");
  const region = parameters.get("shared_memory_region");
  if ((hasData ? 1 : 0) + (binarySize === undefined ? 0 : 1) + (region === undefined ? 0 : 1) !== 1) {
    const set =
      (hasData ? " 'data'" : "") +
      (binarySize === undefined ? "" : " 'binary_data_size'") +
      (region === undefined ? "" : " 'shared_memory_region'");
    throw new TenonError("REQUEST_INVALID", {
      problem:
        "Input must set only one of the following fields: 'data', 'binary_data_size' in 'parameters', " +
        `'shared_memory_region' in 'parameters'. But ${set === "" ? "no field is set" : `set${set}`}`,
    });
  }
  if (binarySize === undefined) return { binarySize, shared: sharedPlace(parameters) };
  if (typeof binarySize !== "number" || !Number.isSafeInteger(binarySize) || binarySize < 0) {
    throw unparsable("binary_data_size", "attempt to access JSON non-unsigned-integer as unsigned-integer");
  }
  return { binarySize, shared: undefined };
}

function readOutputs(scanner: JsonScanner): InferOutput[] {
  needArray(scanner, "outputs");
  const outputs = new Map<string, InferOutput>();
  for (let more = scanner.firstItem(); more; more = scanner.nextItem()) {
    const output = readOutput(scanner);
    if (!outputs.has(output.name)) outputs.set(output.name, output);
  }
  return [...outputs.values()];
}

function readOutput(scanner: JsonScanner): InferOutput {
  let name: string | undefined;
  let parameters: Parameters | undefined;
  needObject(scanner, "outputs");
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    if (key === "name") {
      if (name !== undefined) throw duplicateMember(key);
      name = readString(scanner, "name");
    } else if (key === "parameters") {
      if (parameters !== undefined) throw duplicateMember(key);
      parameters = readParameters(scanner);
    } else {
      scanner.skip();
    }
  }
  if (name === undefined) throw missingMember("name");
  return {
    name,
    binary: booleanParameter(parameters ?? NO_PARAMETERS, "binary_data"),
    ...formOf(parameters ?? NO_PARAMETERS),
  };
}

/** What an output's parameters ask for in its place: classes, or shared memory. Throws REQUEST_INVALID for both. */
export function formOf(parameters: Parameters): Pick<InferOutput, "classification" | "shared"> {
  const classification = classificationOf(parameters);
  const shared = sharedPlace(parameters);
  if (classification === undefined || shared === undefined) return { classification, shared };
  throw new TenonError("REQUEST_INVALID", {
    problem: "shared memory can't be used with the classification extension",
  });
}

/** How many classes an output's parameters ask for; undefined for none, which 0 means too. */
function classificationOf(parameters: Parameters): number | undefined {
  const count = countParameter(parameters, "classification");
  return count === 0 ? undefined : count;
}

/** An object of scalars. */
export function readParameters(scanner: JsonScanner): Parameters {
  needObject(scanner, "parameters");
  const parameters = new Map<string, ParameterValue>();
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    if (parameters.has(key)) throw duplicateMember(key);
    parameters.set(key, readParameter(scanner, key));
  }
  return parameters;
}

export function readParameter(scanner: JsonScanner, key: string): ParameterValue {
  if (key.startsWith("triton_")) {
    throw new TenonError("REQUEST_INVALID", {
      problem:
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    });
  }
  if (scanner.peek() === BYTE.quote) return scanner.string();
  const flag = scanner.boolean();
  if (flag !== undefined) return flag;
  const text = scanner.numberText();
  if (text === undefined) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `parameter '${key}' has invalid type. It should be either 'int', 'bool', or 'string'.`,
    });
  }
  const value = Number(text);
  return Number.isSafeInteger(value) || !/^-?[0-9]{1,40}$/.test(text) ? value : BigInt(text);
}

function readShape(scanner: JsonScanner, maxRank: number): number[] {
  needArray(scanner, "shape");
  const shape: number[] = [];
  for (let more = scanner.firstItem(); more; more = scanner.nextItem()) {
    shape.push(readDim(scanner));
    if (shape.length > maxRank) throw unparsable("shape", `a tensor has at most ${maxRank} dimensions`);
  }
  return shape;
}

/** Dims are short, so they are read without a detour through text. */
function readDim(scanner: JsonScanner): number {
  const { bytes } = scanner;
  scanner.peek();
  let at = scanner.at;
  let dim = 0;
  let digit = bytes[at]! - 48;
  while (digit >>> 0 <= 9 && at - scanner.at < 15) {
    dim = dim * 10 + digit;
    digit = bytes[++at]! - 48;
  }
  const next = bytes[at]!;
  const ends = next === BYTE.comma || next === BYTE.closeArray || next <= 32;
  if (at === scanner.at || !ends || (bytes[scanner.at] === 48 && at - scanner.at > 1)) {
    throw unparsable("shape", "attempt to access JSON non-unsigned-integer as unsigned-integer");
  }
  scanner.at = at;
  return dim;
}

function elementsOf(shape: readonly number[], maxElements: number): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  if (size > maxElements) throw unparsable("shape", `a tensor has at most ${maxElements} elements`);
  return size;
}

function dtypeOf(datatype: string, input: string): DType {
  const dtype = dtypeFromOip(datatype);
  if (dtype !== undefined) return dtype;
  throw new TenonError("REQUEST_INVALID", { problem: `invalid datatype for input ${input}` });
}

function jsonDType(datatype: string, input: string): DType {
  const dtype = dtypeOf(datatype, input);
  if (dtype !== "float16" && dtype !== "bfloat16") return dtype;
  throw new TenonError("REQUEST_INVALID", {
    problem: `receiving ${datatype} data via JSON is not supported. Please use the binary data format for input ${input}`,
  });
}

function readString(scanner: JsonScanner, key: string): string {
  if (scanner.peek() !== BYTE.quote) throw unparsable(key, "attempt to access JSON non-string as string");
  return scanner.string();
}

function needArray(scanner: JsonScanner, key: string): void {
  if (scanner.peek() !== BYTE.openArray) throw unparsable(key, "attempt to access JSON non-array as array");
}

function needObject(scanner: JsonScanner, key: string): void {
  if (scanner.peek() !== BYTE.openObject)
    throw unparsable(key, "attempt to access JSON non-object as object");
}

/** `seen` with the bit of a member in it; throws when it is there already. */
function once(seen: number, bit: number, key: string): number {
  if ((seen & bit) !== 0) throw duplicateMember(key);
  return seen | bit;
}

function missingMember(key: string): TenonError {
  return unparsable(key, `attempt to access non-existing object member '${key}'`);
}

function duplicateMember(key: string): TenonError {
  return unparsable(key, `object member '${key}' is set twice`);
}
