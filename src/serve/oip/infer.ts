/** The infer route: body → tensors → run → answer. */
import { TenonError } from "../../base/index.js";
import type { Tensor } from "../../tensor/index.js";
import { bodyLimit, checkAnnouncedLength, readBody } from "../http/body.js";
import type { Exchange } from "../http/exchange.js";
import type { OpenExchange } from "../http/open-exchange.js";
import type { Finder, ServedModel } from "../served-model.js";
import type { SharedMemory } from "../shared-memory.js";
import { type AnswerOutput, composeAnswer } from "./answer.js";
import { encodeTensor, headerLength } from "./binary.js";
import { compressed } from "./compression.js";
import { wireOf } from "./model-wire.js";
import { rawInput } from "./raw-request.js";
import type { InferRequest } from "./request.js";
import { booleanParameter } from "./request-parameters.js";
import { requestTensors } from "./request-tensors.js";
import { checkStrikes, runRequest } from "./run.js";
import type { OipServer } from "./server.js";

/**
 * Answers one infer request; what it throws becomes the answer. `find` gives the model that the path means now: it may
 * have been replaced while the body came in.
 */
export async function infer(exchange: Exchange, find: Finder, { scans, memory }: OipServer): Promise<void> {
  const waking = find.wake?.();
  if (waking !== undefined) await waking;
  const model = askedModel(exchange, find);
  const { settings } = exchange.exchanges;
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
  await runBody(exchange, find, model, body, { scans, memory });
}

/** As `infer`, of a request whose body has come whole. */
export async function inferWhole(
  exchange: OpenExchange,
  find: Finder,
  body: Buffer,
  server: Pick<OipServer, "scans" | "memory">,
): Promise<void> {
  const waking = find.wake?.();
  if (waking !== undefined) await waking;
  await runBody(exchange, find, askedModel(exchange, find), body, server);
}

async function runBody(
  exchange: OpenExchange,
  find: Finder,
  model: ServedModel,
  body: Buffer,
  { scans, memory }: Pick<OipServer, "scans" | "memory">,
): Promise<void> {
  const { settings } = exchange.exchanges;
  const lengthHeader = exchange.headers["inference-header-content-length"];
  const given = typeof lengthHeader === "string" ? lengthHeader : undefined;
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
  const inputs = requestTensors(request, {
    section,
    memory,
    model: model.name,
    stringBytes: settings.stringBytes,
  });
  await runAndAnswer(exchange, find, request, inputs, body, memory);
}

/** The model that is asked for, unless the exchange may not ask it, or the protocol cannot carry its values. */
export function askedModel(exchange: OpenExchange, find: Finder): ServedModel {
  const model = find();
  exchange.model = model;
  checkStrikes(exchange, model);
  wireOf(model);
  return model;
}

/** A request without any JSON: everything is answered in binary form. */
const RAW_REQUEST: InferRequest = {
  id: undefined,
  parameters: new Map([["binary_data_output", true]]),
  inputs: [],
  outputs: [],
};

async function runAndAnswer(
  exchange: OpenExchange,
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
    const { responseCompression } = exchange.exchanges.settings;
    const sent = responseCompression ? await compressed(answer, exchange.headers["accept-encoding"]) : answer;
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
