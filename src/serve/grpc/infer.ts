/** ModelInfer: message → tensors → run → message; raw contents are views on both ways. */
import { TenonError } from "../../base/index.js";
import { byteLengthOf, type DType, dtypeFromOip, dtypeInfo, type Tensor } from "../../tensor/index.js";
import { BinarySection, encodeTensor, sizeMismatch } from "../oip/binary.js";
import { duplicateInput, formOf, type InferOutput } from "../oip/request.js";
import type { Parameters, ParameterValue } from "../oip/request-parameters.js";
import { checkStrikes, type Ran, runRequest } from "../oip/run.js";
import { decode, WireReader } from "../protobuf/decode.js";
import { encodeInto, WireWriter } from "../protobuf/encode.js";
import type { DecodedOf } from "../protobuf/table.js";
import type { Finder, ServedModel } from "../served-model.js";
import { type SharedMemory, type SharedPlace, sharedPlace } from "../shared-memory.js";
import type { Call, Subject } from "./call.js";
import { tensorFromContents } from "./contents.js";
import { type InferParameter, ModelInferRequestView, ModelInferResponse } from "./messages.js";

export type InferMessage = DecodedOf<typeof ModelInferRequestView>;

/** Number of `raw_input_contents` and `raw_output_contents` in their messages. */
const RAW_INPUT = 7;
const RAW_OUTPUT = 6;
const DELIMITED = 2;

/** Where the first raw tensor begins, told from the first bytes of a ModelInferRequest; 0 when it is not in them. */
export function rawContentsAt(first: Uint8Array): number {
  const reader = new WireReader(first, "ModelInferRequest");
  try {
    while (reader.at < first.length) {
      const tag = reader.uint32();
      if (tag === RAW_INPUT * 8 + DELIMITED) {
        reader.uint32();
        return reader.at;
      }
      reader.skip(tag & 7);
    }
  } catch {
    // Cut off, or malformed: the whole message is read later, and refused then.
  }
  return 0;
}

/** A request that is read and checked, but for what only its model knows. */
export interface Asked {
  readonly message: InferMessage;
  readonly find: Finder;
  readonly parameters: Parameters;
  readonly outputs: readonly InferOutput[];
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** What the answer to a request is: parts of one message, which are views on what `held` keeps. */
export interface Answered {
  readonly parts: readonly Uint8Array[];
  readonly held: Disposable;
}

/** The request in a message. `finder` makes what gives the model of a name and a version. */
export function readInfer(
  call: Call,
  subject: Subject,
  bytes: Uint8Array,
  finder: (name: string, version: string | undefined) => Finder,
  memory: SharedMemory,
): Asked | Promise<Asked> {
  const message = decode(ModelInferRequestView, bytes);
  subject.requestId = message.id;
  const version = versionOf(message.model_version);
  const findNow = finder(message.model_name, version);
  const read = (): Asked => {
    const model = findNow();
    subject.model = model;
    checkStrikes(call, model);
    return {
      message,
      find: findNow,
      parameters: parametersOf(message.parameters),
      outputs: outputsOf(message),
      inputs: tensorsOf(call, message, model, memory),
    };
  };
  const waking = findNow.wake?.();
  return waking === undefined ? read() : waking.then(read);
}

/** The version that a request names; undefined for none. Throws REQUEST_INVALID. */
export function versionOf(text: string): string | undefined {
  if (text === "") return undefined;
  if (/^[1-9][0-9]{0,18}$/.test(text)) return text;
  throw new TenonError("REQUEST_INVALID", {
    problem: `failed to get model version from specified version string '${text.slice(0, 64)}', version should be an integral value > 0`,
  });
}

type ParameterMap = ReadonlyMap<string, DecodedOf<typeof InferParameter>>;

function parameterValue(key: string, parameter: DecodedOf<typeof InferParameter>): ParameterValue {
  const { bool_param, int64_param, string_param, double_param, uint64_param } = parameter;
  const value = bool_param ?? int64_param ?? string_param ?? double_param ?? uint64_param;
  if (value !== undefined) return value;
  throw new TenonError("REQUEST_INVALID", {
    problem: `parameter '${key.slice(0, 64)}' has invalid type. It should be either 'int', 'bool', or 'string'.`,
  });
}

/** The one reserved parameter that clients of a stream may set. */
export const EMPTY_FINAL = "triton_enable_empty_final_response";

function parametersOf(map: ParameterMap): Parameters {
  const parameters = new Map<string, ParameterValue>();
  for (const [key, parameter] of map) {
    if (key.startsWith("triton_") && key !== EMPTY_FINAL) {
      throw new TenonError("REQUEST_INVALID", {
        problem:
          "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting " +
          `with 'triton_' are allowed: ${EMPTY_FINAL}`,
      });
    }
    parameters.set(key, parameterValue(key, parameter));
  }
  return parameters;
}

function outputsOf({ outputs }: InferMessage): readonly InferOutput[] {
  const wanted = new Map<string, InferOutput>();
  for (const { name, parameters } of outputs) {
    const form = formOf(parametersOf(parameters));
    if (!wanted.has(name)) wanted.set(name, { name, binary: true, ...form });
  }
  return [...wanted.values()];
}

function tensorsOf(
  call: Call,
  message: InferMessage,
  model: ServedModel,
  memory: SharedMemory,
): Record<string, Tensor> {
  const { inputs, raw_input_contents: raw } = message;
  const { stringBytes } = call.calls.settings;
  // Without a prototype: inputs may be called anything.
  const tensors: Record<string, Tensor> = Object.create(null);
  if (raw.length > inputs.length) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `raw_input_contents has ${raw.length} entries for ${inputs.length} inputs of model '${model.name}'`,
    });
  }
  let next = 0;
  for (const input of inputs) {
    const { name, contents: parts } = input;
    if (Object.hasOwn(tensors, name)) throw duplicateInput(name);
    const dtype = dtypeFromOip(input.datatype);
    if (dtype === undefined) {
      const spec = model.signature.inputs.find((each) => each.name === name);
      if (spec === undefined) throw new TenonError("INPUT_UNKNOWN", { details: { input: name } });
      throw new TenonError("INPUT_DTYPE", {
        problem: `invalid datatype for input ${name}`,
        details: { input: name, dtype: "<invalid>", expectedDtype: spec.dtype },
      });
    }
    const { shape, size } = shapeOf(call, name, model, input.shape);
    const shared = input.parameters.size === 0 ? undefined : sharedPlace(parametersOf(input.parameters));
    if (shared !== undefined) {
      const section = new BinarySection(memory.read(shared), model.name, stringBytes);
      tensors[name] = section.take(name, dtype, shape, size, shared.size);
      continue;
    }
    if (raw.length > 0 || parts.length === 0) {
      if (parts.some(({ length }) => length > 0)) {
        throw new TenonError("REQUEST_INVALID", {
          problem: `contents field must not be specified when using raw_input_contents for '${name}' for model '${model.name}'`,
        });
      }
      const bytes = raw[next++];
      if (bytes === undefined) {
        throw new TenonError("REQUEST_INVALID", {
          problem: `unable to find data for input tensor '${name}' for model '${model.name}' in request.`,
        });
      }
      const section = new BinarySection(bytes, model.name, stringBytes);
      tensors[name] = section.take(name, dtype, shape, size, checkedLength(bytes, name, model, dtype, size));
    } else {
      const contents = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      tensors[name] = tensorFromContents(
        contents,
        { input: name, model: model.name },
        dtype,
        shape,
        size,
        stringBytes,
      );
    }
  }
  if (next < raw.length) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `raw_input_contents has ${raw.length} entries for ${next} inputs of model '${model.name}' that are not in shared memory`,
    });
  }
  return tensors;
}

function checkedLength(
  bytes: Uint8Array,
  name: string,
  model: ServedModel,
  dtype: DType,
  size: number,
): number {
  if (dtype !== "string" && bytes.length !== byteLengthOf(dtype, size)) {
    throw sizeMismatch(name, model.name, byteLengthOf(dtype, size), bytes.length);
  }
  return bytes.length;
}

function shapeOf(
  call: Call,
  input: string,
  model: ServedModel,
  dims: readonly (number | bigint)[],
): { readonly shape: readonly number[]; readonly size: number } {
  const { tensorElements, tensorRank } = call.calls.settings;
  const refuse = (problem: string): TenonError =>
    new TenonError("REQUEST_INVALID", { problem: `the shape of input '${input}' ${problem}` });
  if (dims.length > tensorRank)
    throw refuse(`has ${dims.length} dimensions; at most ${tensorRank} are allowed`);
  let size = 1;
  const shape = dims.map((dim) => {
    if (typeof dim !== "number") throw refuse(`has the dimension ${dim}`);
    if (dim < 0) {
      throw new TenonError("REQUEST_INVALID", {
        problem: `All input dimensions should be specified for input '${input}' for model '${model.name}', got [${dims.join(",")}]`,
        details: { named: true },
      });
    }
    size *= dim;
    return dim;
  });
  if (size > tensorElements) throw refuse(`makes ${size} elements; at most ${tensorElements} are allowed`);
  return { shape, size };
}

/** Runs a request. */
export function runInfer(call: Call, asked: Asked): Promise<Ran> {
  return runRequest(call, asked.find, asked, asked.inputs, true);
}

/** The answer as a ModelInferResponse, whose raw contents are the outputs' own memory. */
export function answerInfer(
  { model, wanted, outputs }: Ran,
  id: string,
  parameters: Answer["parameters"],
  memory: SharedMemory,
): Answered {
  const placed = new Map<string, ReturnType<typeof placedIn>>();
  for (const { wire, shared } of wanted) {
    if (shared === undefined) continue;
    const bytes = encodeTensor(outputs[wire.name]!);
    memory.write(shared, bytes, wire.name);
    placed.set(wire.name, placedIn(shared, bytes.length));
  }
  const writer = new WireWriter();
  encodeInto(writer, ModelInferResponse, {
    model_name: model.name,
    model_version: model.version,
    id,
    parameters,
    outputs: wanted.map(({ wire }) => {
      const tensor = outputs[wire.name]!;
      const datatype = dtypeInfo(wire.dtype).oip ?? "";
      return { name: wire.name, datatype, shape: tensor.shape, parameters: placed.get(wire.name) };
    }),
  });
  const parts: Uint8Array[] = [];
  let start = 0;
  for (const { wire } of wanted) {
    const bytes = placed.has(wire.name) ? new Uint8Array(0) : encodeTensor(outputs[wire.name]!);
    writer.tag(RAW_OUTPUT, DELIMITED);
    writer.varint(bytes.length);
    parts.push(Uint8Array.from(writer.result().subarray(start)), bytes);
    start = writer.length;
  }
  if (wanted.length === 0) parts.push(writer.result());
  return { parts, held: outputs };
}

/** The parameters of an output that lies in shared memory. */
function placedIn({ region, offset }: SharedPlace, size: number): ParameterMapWritten {
  return new Map<string, { string_param?: string; int64_param?: number }>([
    ["shared_memory_region", { string_param: region }],
    ["shared_memory_byte_size", { int64_param: size }],
    ...(offset === 0 ? [] : ([["shared_memory_offset", { int64_param: offset }]] as const)),
  ]);
}

type ParameterMapWritten = ReadonlyMap<
  string,
  { readonly string_param?: string; readonly int64_param?: number }
>;

type Answer = { readonly parameters: ReadonlyMap<string, { readonly bool_param?: boolean }> };
