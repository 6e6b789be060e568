/** A file behind a URL, read by ranges: only the bytes that are asked for travel. */
import { TenonError } from "../../base/index.js";
import type { ByteSource } from "../byte-source.js";
import { Connection, rangeOf, versionOf } from "./connection.js";
import { locate, type RemoteOptions } from "./locate.js";

/** Opens by the first bytes, which tell size, version, and whether the server gives ranges. Throws USAGE, FILE_NOT_FOUND or FILE_INVALID. */
export async function openRemote(text: string, options: RemoteOptions = {}): Promise<ByteSource> {
  const connection = new Connection(locate(text, options), options.timeoutMs);
  try {
    return await connection.patiently(async () => {
      const { status, headers, body } = await connection.ask({ range: "bytes=0-3" });
      body.destroy();
      const range = rangeOf(headers);
      if (status === 206 && range !== undefined)
        return new RemoteFile(connection, range.size, versionOf(headers));
      if (status === 416) throw connection.refused("FILE_INVALID", "the file behind a URL is empty", status);
      throw new TenonError("USAGE", {
        problem: "the server does not give parts of a file",
        given: connection.name,
        expected: "an answer 206 with Content-Range to a request with Range",
        do: "download the file, or serve it from elsewhere",
      });
    });
  } catch (error) {
    await connection.close();
    throw error;
  }
}

class RemoteFile implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly version: string;
  readonly #connection: Connection;

  constructor(connection: Connection, size: number, version: string) {
    this.name = connection.name;
    this.size = size;
    this.version = version;
    this.#connection = connection;
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.size - position);
    if (length <= 0) return 0;
    await this.#connection.patiently(() => this.#readOnce(target, position, length));
    return length;
  }

  async #readOnce(target: Uint8Array, position: number, length: number): Promise<void> {
    const { status, headers, body } = await this.#connection.ask({
      range: `bytes=${position}-${position + length - 1}`,
    });
    const range = rangeOf(headers);
    if (
      status !== 206 ||
      range?.start !== position ||
      range.size !== this.size ||
      versionOf(headers) !== this.version
    ) {
      body.destroy();
      throw this.#connection.refused(
        "FILE_INVALID",
        "the file behind a URL changed while it was read",
        status,
      );
    }
    let at = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (at + chunk.length > length)
        throw this.#connection.refused("FILE_INVALID", "a server sends more than was asked for", status);
      target.set(chunk, at);
      at += chunk.length;
    }
    if (at < length) throw new Error("the answer was cut off");
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
