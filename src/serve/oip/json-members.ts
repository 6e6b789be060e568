/** Members of small JSON objects that requests without tensors carry. */
import { TenonError } from "../../base/index.js";
import type { Exchange } from "../http/exchange.js";
import { readJsonBody } from "../http/json-body.js";
import { BYTE, JsonScanner } from "../json/scanner.js";
import { readParameters } from "./request.js";
import type { Parameters } from "./request-parameters.js";

/**
 * The scalars that a body sets: those of its member `member` when that is an object, else the member itself; without
 * `member`, all of its members, which must be scalars. An empty body sets none; further members are ignored. Throws
 * REQUEST_INVALID, REQUEST_TOO_LARGE.
 */
export async function readMembers(
  exchange: Exchange,
  member?: string,
  maxBytes: number = exchange.exchanges.settings.jsonBodyMax,
): Promise<Parameters> {
  const body = await readJsonBody(exchange, maxBytes);
  const found = new Map<string, boolean>();
  if (body.length === 0) return found;
  const scanner = new JsonScanner(body, 0, body.length, exchange.exchanges.settings.jsonDepth);
  if (scanner.peek() !== BYTE.openObject) scanner.fail("The document is not an object");
  if (member === undefined) {
    const all = readParameters(scanner);
    scanner.finish();
    return all;
  }
  let parameters: Parameters = found;
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    if (key !== member) scanner.skip();
    else if (scanner.peek() === BYTE.openObject) parameters = readParameters(scanner);
    else {
      const flag = scanner.boolean();
      if (flag !== undefined) found.set(member, flag);
      else scanner.fail(`Member '${member}' has the wrong type`);
    }
  }
  scanner.finish();
  return parameters;
}

/** Settings are few. */
const MOST_BYTES = 64 * 1024;

/** All members of a body, whatever they are; none of an empty body. Throws REQUEST_INVALID, REQUEST_TOO_LARGE. */
export async function readObject(exchange: Exchange): Promise<ReadonlyMap<string, unknown>> {
  const body = await readJsonBody(exchange, MOST_BYTES);
  if (body.length === 0) return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    throw new TenonError("REQUEST_INVALID", { problem: "failed to parse the request JSON buffer" });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new TenonError("REQUEST_INVALID", { problem: "The document is not an object" });
  return new Map(Object.entries(parsed));
}
