/** Bodies that are JSON and no tensors: read within a limit, and answered. */
import type { ErrorCode } from "../../base/index.js";
import { checkAnnouncedLength, readBody } from "./body.js";
import type { Exchange } from "./exchange.js";
import type { HeaderList } from "./open-exchange.js";

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];

/** The bytes of a request's body; empty without one. Throws REQUEST_TOO_LARGE, and what `readBody` throws. */
export async function readJsonBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  const { settings, bodies } = exchange.exchanges;
  checkAnnouncedLength(exchange.req, maxBytes);
  const body = await readBody(exchange.req, {
    maxBytes,
    maxChunks: settings.bodyChunks,
    headerLength: undefined,
    pool: bodies,
  });
  exchange.bytesIn = body.length;
  return body;
}

export function answerJson(exchange: Exchange, value: object, status = 200, error?: ErrorCode): void {
  const text = JSON.stringify(value);
  // ASCII is one byte per unit, and leaves together with the headers.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is what is meant
  const body = /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text);
  exchange.answer(status, JSON_HEADERS, [body], error);
}
