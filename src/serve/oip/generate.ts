/** The generate extension: inputs and parameters as one flat JSON object, outputs the same way back, whole or as events. */
import { TenonError } from "../../base/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { Exchange } from "../http/exchange.js";
import { readJsonBody } from "../http/json-body.js";
import type { HeaderList } from "../http/open-exchange.js";
import { BYTE, JsonScanner } from "../json/scanner.js";
import { scanTensorData } from "../json/tensor-data.js";
import { JsonWriter } from "../json/writer.js";
import type { Finder, ServedModel } from "../served-model.js";
import { writeElements } from "./answer.js";
import { type RequestLimits, readParameter, readParameters } from "./request.js";
import type { Parameters, ParameterValue } from "./request-parameters.js";
import { jsonTensor } from "./request-tensors.js";
import { checkStrikes, runRequest } from "./run.js";

/** A request that is read. */
interface Generate {
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** Answers one request: with an object, or with that object as the only event of a stream. */
export async function generate(exchange: Exchange, find: Finder, streamed: boolean): Promise<void> {
  await find.wake?.();
  const model = find();
  exchange.model = model;
  checkStrikes(exchange, model);
  const { settings, bodies } = exchange.exchanges;
  const body = await readJsonBody(exchange, settings.jsonBodyMax);
  const asked = readGenerate(body, model, settings);
  exchange.bodyId = asked.id;
  exchange.runningSince = performance.now();
  const request = { parameters: asked.parameters, outputs: [] };
  const { wire, wanted, outputs } = await runRequest(exchange, find, request, asked.inputs, false);
  bodies.give(body);
  try {
    const writer = new JsonWriter(1024);
    if (streamed) writer.ascii("data: ");
    writer.ascii("{");
    if (asked.id !== undefined && asked.id !== "") {
      writer.ascii('"id":');
      writer.string(asked.id);
      writer.ascii(",");
    }
    writer.json(wire.identity);
    for (const { wire: output } of wanted) {
      const tensor = outputs[output.name]!.contiguous();
      writer.ascii(",");
      writer.string(output.name);
      writer.ascii(tensor.size === 1 ? ":" : ":[");
      writeElements(writer, tensor, 0, tensor.size, settings.json);
      if (tensor.size !== 1) writer.ascii("]");
    }
    writer.ascii(streamed ? "}\n\n" : "}");
    exchange.answer(200, streamed ? EVENT_HEADERS : JSON_HEADERS, [writer.take()]);
  } finally {
    outputs[Symbol.dispose]();
  }
}

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];
const EVENT_HEADERS: HeaderList = [
  "Content-Type",
  "text/event-stream; charset=utf-8",
  "Cache-Control",
  "no-cache",
];

/** Keys that name inputs are tensors, `id` is the id, and all others are parameters; an object `parameters` lies flat. */
function readGenerate(bytes: Buffer, model: ServedModel, limits: RequestLimits): Generate {
  const scanner = new JsonScanner(bytes, 0, bytes.length, limits.jsonDepth);
  let id: string | undefined;
  const parameters = new Map<string, ParameterValue>();
  // Without a prototype: inputs may be called anything.
  const inputs: Record<string, Tensor> = Object.create(null);
  if (scanner.peek() !== BYTE.openObject) scanner.fail("The document is not an object");
  const set = (key: string, value: ParameterValue): void => {
    if (parameters.has(key)) throw twice(key);
    parameters.set(key, value);
  };
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    if (Object.hasOwn(inputs, key)) throw twice(key);
    const input = model.signature.inputs.find(({ name }) => name === key);
    if (input !== undefined) inputs[key] = readInput(scanner, model, input, limits);
    else if (key === "id" && scanner.peek() === BYTE.quote) id = scanner.string();
    else if (key === "parameters" && scanner.peek() === BYTE.openObject) {
      for (const [name, value] of readParameters(scanner)) set(name, value);
    } else set(key, readParameter(scanner, key));
  }
  scanner.finish();
  return { id, parameters, inputs };
}

function twice(key: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem: `'${key.slice(0, 64)}' is set twice` });
}

type Input = ServedModel["signature"]["inputs"][number];

/** A scalar is one element, an array as many as it has; the batch dimension of 1 is put in front. */
function readInput(
  scanner: JsonScanner,
  model: ServedModel,
  { name, dtype, dims }: Input,
  limits: RequestLimits,
): Tensor {
  const from = scanner.at;
  let count = 1;
  const flat = scanner.peek() === BYTE.openArray;
  if (flat) {
    count = 0;
    for (let more = scanner.firstItem(); more; more = scanner.nextItem()) {
      if (scanner.peek() === BYTE.openArray) {
        throw new TenonError("REQUEST_INVALID", {
          problem: `attempt to use the nested array '${name}': generate takes a value or a flat array`,
        });
      }
      scanner.skip();
      count++;
    }
  } else scanner.skip();
  if (count > limits.tensorElements) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `Unable to parse '${name}': a tensor has at most ${limits.tensorElements} elements`,
    });
  }
  const text = scanner.bytes.subarray(from, scanner.at);
  const array = flat ? text : Buffer.concat([Buffer.from("["), text, Buffer.from("]")]);
  const inner = new JsonScanner(array, 0, array.length, limits.jsonDepth);
  const rank = (dims?.length ?? 1) - (model.maxBatch > 0 ? 1 : 0);
  const row = rank === 0 && count === 1 ? [] : [count];
  const shape = model.maxBatch > 0 ? [1, ...row] : row;
  const values = scanTensorData(inner, dtype, shape, count);
  return jsonTensor({ name, dtype, shape, size: count, values, binarySize: undefined });
}
