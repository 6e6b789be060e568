/** Client: models of a server of the Open Inference Protocol v2 (Tenon, Triton, KServe) over `fetch`. */
import { type Datatype, type GivenElements, isDatatype } from "./datatypes.js";
import { InferenceError } from "./errors.js";
import { solveShape } from "./shape.js";
import {
  type Answer,
  decodeAnswer,
  encodeRequest,
  HEADER_LENGTH,
  type RequestTensor,
  type ResultTensor,
} from "./wire.js";

/** Datatypes of one model, by the names of its inputs and outputs; `tenon types` writes them. */
export interface ModelTypes {
  readonly inputs: Readonly<Record<string, Datatype>>;
  readonly outputs: Readonly<Record<string, Datatype>>;
}

/** Elements alone where the model's dims leave one open dim at most, else elements with their shape. */
export type Input<D extends Datatype = Datatype> =
  | GivenElements<D>
  | { readonly data: GivenElements<D>; readonly shape: readonly number[]; readonly datatype?: D };

export interface InferOptions {
  /** Default: the version that the server chooses. */
  readonly version?: string;
  /** Outputs wanted; default: all. */
  readonly outputs?: readonly string[];
  /** Given back with the answer. */
  readonly id?: string;
  /** Request parameters of the protocol, such as `priority` or `timeout` (microseconds). */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /** Ends the request on the way; the server drops what has not begun. */
  readonly signal?: AbortSignal;
}

export interface ClientOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly apiKey?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds until a request is given up; default 60,000, 0: never. */
  readonly timeout?: number;
  /** Further tries of a request that the server had no room for (503, 429), after the time it names; default 2. */
  readonly retries?: number;
  /** Default: the global one. */
  readonly fetch?: typeof fetch;
}

/** One input or output as a server declares it; −1 is an open dim. */
export interface TensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface ModelMetadata {
  readonly name: string;
  readonly versions?: readonly string[];
  readonly platform: string;
  readonly inputs: readonly TensorMetadata[];
  readonly outputs: readonly TensorMetadata[];
}

export interface IndexEntry {
  readonly name: string;
  readonly version?: string;
  readonly state?: string;
  readonly reason?: string;
}

type NameOf<M> = Extract<keyof M, string>;
type TypesOf<M, N extends keyof M> = M[N] extends ModelTypes ? M[N] : never;
type InputsOf<T extends ModelTypes> = { readonly [K in keyof T["inputs"]]: Input<T["inputs"][K]> };
type OutputsOf<T extends ModelTypes> = {
  readonly [K in keyof T["outputs"]]: ResultTensor<T["outputs"][K]>;
};

/** Longest wait before another try, in seconds, whatever the server asks for. */
const LONGEST_WAIT = 30;

/** A server by its address, such as `http://127.0.0.1:8000`. `M`: the models of a file that `tenon types` wrote. */
export class Client<M extends { readonly [K in keyof M]: ModelTypes } = Record<string, ModelTypes>> {
  readonly url: string;
  readonly #options: ClientOptions;
  readonly #metadata = new Map<string, Promise<ModelMetadata>>();

  /** Throws TypeError for an address that is no URL of http or https. */
  constructor(url: string, options: ClientOptions = {}) {
    const { protocol } = new URL(url);
    if (!/^https?:$/.test(protocol)) throw new TypeError(`"${url}" is no address of http or https`);
    this.url = url.replace(/\/+$/, "");
    this.#options = options;
  }

  /**
   * Runs a model once. Elements travel as bytes, answers are views on the received buffer. Datatypes and missing shapes
   * come from the model's metadata, which is fetched once per model and version.
   *
   * Throws TypeError for inputs that do not fit, InferenceError for what the server refuses.
   */
  async infer<N extends NameOf<M>>(
    model: N,
    inputs: InputsOf<TypesOf<M, N>>,
    options: InferOptions = {},
  ): Promise<OutputsOf<TypesOf<M, N>>> {
    const { outputs } = await this.inferRaw(model, inputs as Readonly<Record<string, Input>>, options);
    return Object.fromEntries(outputs) as OutputsOf<TypesOf<M, N>>;
  }

  /** As `infer`, with the whole answer: id, version, parameters. */
  async inferRaw(
    model: string,
    inputs: Readonly<Record<string, Input>>,
    options: InferOptions = {},
  ): Promise<Answer> {
    const metadata = await this.metadata(model, options.version);
    const tensors = Object.entries(inputs).map(([name, input]) => toRequest(metadata, name, input));
    const { body, headerLength } = encodeRequest(tensors, options);
    const answer = await this.#send("POST", `${pathOf(model, options.version)}/infer`, {
      body,
      headers: { "content-type": "application/octet-stream", [HEADER_LENGTH]: String(headerLength) },
      signal: options.signal,
    });
    const length = answer.headers.get(HEADER_LENGTH);
    return decodeAnswer(answer.body, length === null ? null : Number(length));
  }

  /** What a model takes and gives; kept after the first time. Throws InferenceError. */
  async metadata(model: string, version?: string): Promise<ModelMetadata> {
    const path = pathOf(model, version);
    let known = this.#metadata.get(path);
    if (known === undefined) {
      known = this.#send("GET", path).then(({ body }) => readMetadata(body));
      this.#metadata.set(path, known);
      known.catch(() => this.#metadata.delete(path));
    }
    return known;
  }

  /** The server's models. Throws InferenceError, also where the server keeps its index to itself. */
  async models(): Promise<readonly IndexEntry[]> {
    const { body } = await this.#send("POST", "/v2/repository/index", { body: "{}" });
    return readIndex(body);
  }

  /** True when the server, or one model of it, answers that it is ready; false when it does not answer. */
  async ready(model?: string): Promise<boolean> {
    const path = model === undefined ? "/v2/health/ready" : `${pathOf(model, undefined)}/ready`;
    try {
      await this.#send("GET", path, {}, 0);
      return true;
    } catch (error) {
      if (error instanceof InferenceError) return false;
      throw error;
    }
  }

  async #send(
    method: string,
    path: string,
    parts: {
      readonly body?: string | Uint8Array<ArrayBuffer>;
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal | undefined;
    } = {},
    retries = this.#options.retries ?? 2,
  ): Promise<{ readonly headers: Headers; readonly body: Uint8Array }> {
    const { apiKey, headers, timeout = 60_000, fetch = globalThis.fetch } = this.#options;
    const authorization = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    const signals = [parts.signal, timeout > 0 ? AbortSignal.timeout(timeout) : undefined].filter(
      (signal) => signal !== undefined,
    );
    const signal = AbortSignal.any(signals);
    try {
      for (let attempt = 0; ; attempt++) {
        const answer = await fetch(this.url + path, {
          method,
          headers: { ...authorization, ...headers, ...parts.headers },
          ...(parts.body === undefined ? {} : { body: parts.body }),
          signal,
        });
        const body = new Uint8Array(await answer.arrayBuffer());
        if (answer.status === 200) return { headers: answer.headers, body };
        const error = failureOf(answer, body);
        if (attempt >= retries || error.retryAfter === undefined) throw error;
        await sleep(Math.min(error.retryAfter, LONGEST_WAIT) * 1000, signal);
      }
    } catch (cause) {
      if (cause instanceof InferenceError) throw cause;
      // The caller's own end of a request is no failure of the server.
      parts.signal?.throwIfAborted();
      throw new InferenceError(`no answer from ${this.url}: ${reasonOf(cause)}`, { status: 0, cause });
    }
  }
}

/** `new Client(url, options)` in a word. */
export function connect<M extends { readonly [K in keyof M]: ModelTypes } = Record<string, ModelTypes>>(
  url: string,
  options: ClientOptions = {},
): Client<M> {
  return new Client<M>(url, options);
}

function pathOf(model: string, version: string | undefined): string {
  const path = `/v2/models/${encodeURIComponent(model)}`;
  return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`;
}

function toRequest(metadata: ModelMetadata, name: string, input: Input): RequestTensor {
  const declared = metadata.inputs.find((value) => value.name === name);
  if (declared === undefined) {
    const names = metadata.inputs.map((value) => `"${value.name}"`).join(", ");
    throw new TypeError(`model "${metadata.name}" has no input "${name}"; it takes ${names}`);
  }
  const given = isElements(input) ? { data: input } : input;
  const datatype = ("datatype" in given && given.datatype) || declared.datatype;
  if (!isDatatype(datatype)) throw new TypeError(`input "${name}" has the unknown datatype ${datatype}`);
  const shape = ("shape" in given && given.shape) || solveShape(name, declared.shape, given.data.length);
  return { name, datatype, shape, data: given.data };
}

function isElements(input: Input): input is GivenElements<Datatype> {
  return ArrayBuffer.isView(input) || Array.isArray(input);
}

/** Reads JSON that `isIt` knows. Throws InferenceError. */
function readJson<T>(body: Uint8Array, what: string, isIt: (value: unknown) => value is T): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch (cause) {
    throw new InferenceError(`the server's answer is no ${what}`, { status: 200, cause });
  }
  if (isIt(value)) return value;
  throw new InferenceError(`the server's answer is no ${what}`, { status: 200 });
}

function readMetadata(body: Uint8Array): ModelMetadata {
  const isTensor = (value: unknown): value is TensorMetadata => {
    const { name, datatype, shape } = (value ?? {}) as Partial<TensorMetadata>; // each is looked at
    return typeof name === "string" && typeof datatype === "string" && Array.isArray(shape);
  };
  return readJson(body, "metadata of a model", (value): value is ModelMetadata => {
    const { name, inputs, outputs } = (value ?? {}) as Partial<ModelMetadata>; // each is looked at
    return (
      typeof name === "string" &&
      [inputs, outputs].every((list) => Array.isArray(list) && list.every(isTensor))
    );
  });
}

function readIndex(body: Uint8Array): readonly IndexEntry[] {
  return readJson(
    body,
    "index of models",
    (value): value is readonly IndexEntry[] =>
      Array.isArray(value) &&
      value.every((row) => typeof (row as Partial<IndexEntry> | null)?.name === "string"),
  );
}

function failureOf(answer: Response, body: Uint8Array): InferenceError {
  const text = new TextDecoder().decode(body);
  let message = text.slice(0, 1000);
  try {
    const { error } = JSON.parse(text) as { readonly error?: unknown };
    if (typeof error === "string") message = error;
  } catch {
    // A body that is no JSON is its own message.
  }
  const busy = answer.status === 503 || answer.status === 429;
  const retryAfter = Number(answer.headers.get("retry-after") ?? Number.NaN);
  return new InferenceError(message || `status ${answer.status}`, {
    status: answer.status,
    code: answer.headers.get("x-tenon-error") ?? undefined,
    retryAfter: busy && retryAfter >= 0 ? retryAfter : undefined,
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
