/** A file behind a URL as one stream from its first byte to its last, which goes on where a connection broke. */
import { setTimeout as pause } from "node:timers/promises";
import { TenonError } from "../../base/index.js";
import { type Answer, Connection, PAUSES, rangeOf, versionOf } from "./connection.js";
import { locate, type RemoteOptions } from "./locate.js";

export interface Download extends AsyncDisposable {
  /** As messages name it. */
  readonly name: string;
  /** The server's own word on which content this is; may be empty. */
  readonly version: string;
  /** Bytes; undefined where the server does not say. */
  readonly size: number | undefined;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Asks for the whole file. Throws USAGE, FILE_NOT_FOUND; the stream also FILE_INVALID. */
export async function download(text: string, options: RemoteOptions = {}): Promise<Download> {
  const connection = new Connection(locate(text, options), options.timeoutMs);
  try {
    const first = await connection.patiently(() => connection.ask({}));
    const length = first.headers["content-length"];
    const size = length === undefined ? undefined : Number(length);
    const version = versionOf(first.headers);
    return {
      name: connection.name,
      version,
      size,
      chunks: bytesOf(connection, first, version, size),
      async [Symbol.asyncDispose]() {
        first.body.destroy();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function* bytesOf(
  connection: Connection,
  first: Answer,
  version: string,
  size: number | undefined,
): AsyncGenerator<Uint8Array, void> {
  let { body } = first;
  let at = 0;
  for (let failures = 0; ; ) {
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        failures = 0;
        at += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      failures++;
      if (failures >= PAUSES.length) throw connection.failed(error);
      await pause(PAUSES[failures]);
      body = await rest(connection, at, version, size);
    }
  }
}

/** What comes from byte `at` on, of the same content. */
async function rest(
  connection: Connection,
  at: number,
  version: string,
  size: number | undefined,
): Promise<Answer["body"]> {
  const { status, headers, body } = await connection.patiently(() =>
    connection.ask({ range: `bytes=${at}-` }),
  );
  const range = rangeOf(headers);
  const same = version !== "" && versionOf(headers) === version;
  if (status === 206 && range?.start === at && same && (size === undefined || range.size === size))
    return body;
  body.destroy();
  if (status === 206 && version !== "")
    throw connection.refused("FILE_INVALID", "the file behind a URL changed while it was read", status);
  throw new TenonError("FILE_NOT_FOUND", {
    problem: "a server's answer was cut off, and it does not give the rest",
    given: `${connection.name}, ${at} of ${size ?? "an unknown number of"} bytes`,
    do: "try again, or download the file",
  });
}
