/** The infer route: body → tensors → run → answer. */
import { deflate, gzip } from "node:zlib";
import { TenonError } from "../../base/index.js";
import { StringStorage, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import { bodyLimit, checkAnnouncedLength, readBody } from "../http/body.js";
import type { BodyPart, Exchange, HeaderList } from "../http/exchange.js";
import type { Finder, ServedModel } from "../served-model.js";
import type { SharedMemory } from "../shared-memory.js";
import { type Answer, type AnswerOutput, composeAnswer } from "./answer.js";
import { BinarySection, encodeTensor, headerLength } from "./binary.js";
import { wireOf } from "./model-wire.js";
import { rawInput } from "./raw-request.js";
import type { InferInput, InferRequest } from "./request.js";
import { booleanParameter } from "./request-parameters.js";
import { checkStrikes, runRequest } from "./run.js";
import type { OipServer } from "./server.js";

/**
 * Answers one infer request; what it throws becomes the answer. `find` gives the model that the path means now: it may
 * have been replaced while the body came in.
 */
export async function infer(exchange: Exchange, find: Finder, { scans, memory }: OipServer): Promise<void> {
  const waking = find.wake?.();
  if (waking !== undefined) await waking;
  const model = find();
  exchange.model = model;
  checkStrikes(exchange, model);
  const { settings } = exchange.exchanges;
  // A model with values that the protocol cannot carry is refused before its body is read.
  wireOf(model);
  const { headers } = exchange.req;
  const lengthHeader = headers["inference-header-content-length"];
  const given = typeof lengthHeader === "string" ? lengthHeader : undefined;
  const maxBytes = bodyLimit(settings, given !== undefined);
  checkAnnouncedLength(exchange.req, maxBytes);
  const body = await readBody(exchange.req, {
    maxBytes,
    maxChunks: settings.bodyChunks,
    headerLength: headerLength(given, undefined),
    pool: exchange.exchanges.bodies,
  });
  exchange.bytesIn = body.length;
  const jsonLength = headerLength(given, body.length);
  if (jsonLength === 0) {
    const inputs = { [model.signature.inputs[0]?.name ?? ""]: rawInput(model, body) };
    await runAndAnswer(exchange, find, RAW_REQUEST, inputs, body, memory);
    return;
  }
  const end = jsonLength ?? body.length;
  if (end > settings.jsonBodyMax) {
    throw new TenonError("REQUEST_TOO_LARGE", {
      problem: `JSON of ${end} bytes exceeds the maximum allowed value of ${settings.jsonBodyMax} bytes. Use --json-body-max to increase the limit.`,
    });
  }
  // Taken before the body may move to the scanning thread, which it does only when this is empty.
  const section = body.subarray(end);
  const scanned = scans.read(body, end);
  const request = scanned instanceof Promise ? await scanned : scanned;
  exchange.bodyId = request.id;
  const inputs = tensorsOf(request, section, model, settings.stringBytes, memory);
  await runAndAnswer(exchange, find, request, inputs, body, memory);
}

/** A request without any JSON: everything is answered in binary form. */
const RAW_REQUEST: InferRequest = {
  id: undefined,
  parameters: new Map([["binary_data_output", true]]),
  inputs: [],
  outputs: [],
};

function tensorsOf(
  request: InferRequest,
  section: Uint8Array,
  model: ServedModel,
  maxStringBytes: number,
  memory: SharedMemory,
): Record<string, Tensor> {
  const binary = new BinarySection(section, model.name, maxStringBytes);
  // Without a prototype: inputs may be called anything.
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const input of request.inputs) {
    const { name, dtype, shape, size, binarySize, shared } = input;
    if (shared !== undefined) {
      const place = new BinarySection(memory.read(shared), model.name, maxStringBytes);
      tensors[name] = place.take(name, dtype, shape, size, shared.size);
    } else if (binarySize === undefined) tensors[name] = jsonTensor(input);
    else tensors[name] = binary.take(name, dtype, shape, size, binarySize);
  }
  binary.finish();
  return tensors;
}

export function jsonTensor({ dtype, shape, values }: InferInput): Tensor {
  if (values === undefined)
    throw new TenonError("INTERNAL", { problem: "an input without data passed the reader" });
  if ("offsets" in values) {
    return tensorFromStorage("string", shape, StringStorage.fromBytes(values.bytes, values.offsets));
  }
  return tensorFromStorage(dtype, shape, values as never); // the reader made the storage for this dtype
}

async function runAndAnswer(
  exchange: Exchange,
  find: Finder,
  request: InferRequest,
  inputs: Readonly<Record<string, Tensor>>,
  body: Buffer,
  memory: SharedMemory,
): Promise<void> {
  exchange.runningSince = performance.now();
  const allBinary = booleanParameter(request.parameters, "binary_data_output") ?? false;
  const { wire, wanted, outputs } = await runRequest(exchange, find, request, inputs, allBinary);
  // Only now: native code may still read the inputs of a run that failed or was given up.
  exchange.exchanges.bodies.give(body);
  let holding = false;
  try {
    const answered = wanted.map((output): AnswerOutput => {
      const tensor = outputs[output.wire.name] as Tensor;
      if (output.shared === undefined) return { ...output, tensor };
      const bytes = encodeTensor(tensor);
      memory.write(output.shared, bytes, output.wire.name);
      return { ...output, tensor, shared: { ...output.shared, size: bytes.length } };
    });
    const composed = composeAnswer(wire, request.id, answered, exchange.exchanges.settings.json);
    const answer = composed instanceof Promise ? await composed : composed;
    const sent = await compress(exchange, answer);
    // Parts that are views on the outputs keep them until the socket has taken the answer.
    if (sent === answer && answer.parts.length > 1) {
      holding = true;
      exchange.hold(outputs);
    }
    exchange.answer(200, sent.headers, sent.parts);
  } finally {
    if (!holding) outputs[Symbol.dispose]();
  }
}

/** Bodies below this size are sent as they are. */
const WORTH_COMPRESSING = 1024;

/** The answer in an encoding that the client accepts, where the setting allows it; else the very answer. */
function compress(exchange: Exchange, answer: Answer): Answer | Promise<Answer> {
  if (!exchange.exchanges.settings.responseCompression) return answer;
  const encoding = acceptedEncoding(exchange.req.headers["accept-encoding"]);
  const length = answer.parts.reduce((total, part) => total + part.length, 0);
  if (encoding === undefined || length < WORTH_COMPRESSING) return answer;
  const bytes = Buffer.concat(
    answer.parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : part)),
  );
  return new Promise((resolve, reject) => {
    (encoding === "gzip" ? gzip : deflate)(bytes, (error, compressed) => {
      if (error !== null) reject(new TenonError("INTERNAL", { cause: error }));
      const headers: HeaderList = [
        ...answer.headers,
        "Content-Encoding",
        encoding,
        "Vary",
        "Accept-Encoding",
      ];
      const parts: readonly BodyPart[] = [compressed];
      resolve({ headers, parts });
    });
  });
}

/** gzip or deflate, the first that the client names and does not refuse with `q=0`. */
function acceptedEncoding(header: string | string[] | undefined): "gzip" | "deflate" | undefined {
  for (const entry of String(header ?? "").split(",")) {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim().toLowerCase());
    if ((name === "gzip" || name === "deflate") && !parameters.some((p) => /^q=0(\.0*)?$/.test(p)))
      return name;
  }
  return undefined;
}
