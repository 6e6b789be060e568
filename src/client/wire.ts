/** Requests and answers of one inference: a JSON header, tensors behind it as bytes (binary tensor data extension). */
import {
  type Datatype,
  decodeElements,
  type ElementsOf,
  elementsFromJson,
  encodeElements,
  type GivenElements,
  isDatatype,
} from "./datatypes.js";
import { InferenceError } from "./errors.js";

/** A tensor of an answer: elements row-major. */
export interface ResultTensor<D extends Datatype = Datatype> {
  readonly datatype: D;
  readonly shape: readonly number[];
  readonly data: ElementsOf<D>;
}

/** A tensor to send, complete. */
export interface RequestTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: GivenElements<Datatype>;
}

export interface RequestParts {
  readonly id?: string | undefined;
  /** Outputs wanted; undefined: all. */
  readonly outputs?: readonly string[] | undefined;
  readonly parameters?: Readonly<Record<string, string | number | boolean>> | undefined;
}

/** What a server answered. */
export interface Answer {
  readonly id: string | undefined;
  readonly modelName: string;
  readonly modelVersion: string | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly outputs: ReadonlyMap<string, ResultTensor>;
}

/** The header in which both sides tell how long the JSON part is. */
export const HEADER_LENGTH = "inference-header-content-length";

/** One request as bytes, and the length of its JSON part. Throws TypeError for elements that do not fit. */
export function encodeRequest(
  tensors: readonly RequestTensor[],
  parts: RequestParts,
): { readonly body: Uint8Array<ArrayBuffer>; readonly headerLength: number } {
  const sections = tensors.map((tensor) => encodeTensor(tensor));
  const header = new TextEncoder().encode(
    JSON.stringify({
      id: parts.id,
      parameters: { ...parts.parameters, binary_data_output: true },
      inputs: tensors.map(({ name, datatype, shape }, i) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: sections[i]!.length },
      })),
      outputs: parts.outputs?.map((name) => ({ name, parameters: { binary_data: true } })),
    }),
  );
  const body = new Uint8Array(sections.reduce((sum, { length }) => sum + length, header.length));
  body.set(header);
  let at = header.length;
  for (const section of sections) {
    body.set(section, at);
    at += section.length;
  }
  return { body, headerLength: header.length };
}

function encodeTensor({ name, datatype, shape, data }: RequestTensor): Uint8Array {
  const count = countOf(shape);
  if (data.length !== count) {
    throw new TypeError(
      `input "${name}" of shape [${shape.join(", ")}] has ${count} elements, and ${data.length} were given`,
    );
  }
  try {
    return encodeElements(datatype, data);
  } catch (error) {
    throw new TypeError(`input "${name}": ${(error as Error).message}`);
  }
}

/** Reads an answer. `headerLength` null: all of it is JSON. Throws InferenceError for an answer that is none. */
export function decodeAnswer(body: Uint8Array, headerLength: number | null): Answer {
  try {
    return readAnswer(body, headerLength ?? body.length);
  } catch (error) {
    throw new InferenceError(`the server's answer cannot be read: ${(error as Error).message}`, {
      status: 200,
      cause: error,
    });
  }
}

function readAnswer(body: Uint8Array, headerLength: number): Answer {
  if (!(headerLength >= 0 && headerLength <= body.length)) {
    throw new RangeError(`its JSON part is said to be ${headerLength} of ${body.length} bytes long`);
  }
  const header = JSON.parse(new TextDecoder().decode(body.subarray(0, headerLength))) as Header;
  if (!Array.isArray(header.outputs)) throw new TypeError("it has no outputs");
  const outputs = new Map<string, ResultTensor>();
  let at = headerLength;
  for (const { name, datatype, shape, parameters, data } of header.outputs) {
    if (!isDatatype(datatype)) throw new TypeError(`output "${name}" has the unknown datatype ${datatype}`);
    const count = countOf(shape);
    const size = parameters?.binary_data_size;
    if (typeof size === "number") {
      if (at + size > body.length) throw new RangeError(`output "${name}" is cut short`);
      const bytes = body.subarray(at, at + size);
      outputs.set(name, { datatype, shape, data: decodeElements(datatype, bytes, count) });
      at += size;
    } else {
      if (!Array.isArray(data)) throw new TypeError(`output "${name}" has no data`);
      outputs.set(name, { datatype, shape, data: elementsFromJson(datatype, data.flat(Infinity), count) });
    }
  }
  return {
    id: header.id,
    modelName: header.model_name,
    modelVersion: header.model_version,
    parameters: header.parameters ?? {},
    outputs,
  };
}

interface Header {
  readonly id?: string;
  readonly model_name: string;
  readonly model_version?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly outputs?: readonly {
    readonly name: string;
    readonly datatype: string;
    readonly shape: readonly number[];
    readonly parameters?: { readonly binary_data_size?: unknown };
    readonly data?: readonly unknown[];
  }[];
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
