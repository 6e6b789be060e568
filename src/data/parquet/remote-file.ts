/** A file behind an http or https URL, read by ranges: only the bytes that are asked for travel. */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { TenonError } from "../../base/index.js";
import { isPrivateAddress } from "./addresses.js";
import type { ByteSource } from "./byte-source.js";

export interface RemoteOptions {
  /** Sent with every request to the URL's own origin, such as `authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Hosts that may lie at loopback, private or link-local addresses, as URLs name them. Default none: a URL from elsewhere
   * does not reach into this network.
   */
  readonly privateHosts?: readonly string[];
  /** Longest silence of a server, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
}

const REDIRECTS = 3;
/** A request that a server or the network drops is sent so many times, after these pauses in milliseconds. */
const PAUSES = [0, 200, 1000] as const;

/** Without user, query and fragment: they may hold keys. */
function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** Throws USAGE for other protocols and for URLs with a password. */
function checkedUrl(text: string | URL, from?: URL): URL {
  let url: URL;
  try {
    url = new URL(text, from);
  } catch (cause) {
    throw new TenonError("USAGE", { problem: "this is no URL", given: String(text).slice(0, 200), cause });
  }
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw new TenonError("USAGE", {
      problem: "tables are read from files, and from http and https URLs",
      given: `${url.protocol}//`,
      do: "give a signed https URL of the object, or download it",
    });
  if (url.username !== "" || url.password !== "")
    throw new TenonError("USAGE", {
      problem: "a URL holds a user or a password",
      given: shown(url),
      do: "give them by `headers`: { authorization: … }",
    });
  return url;
}

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly url: URL;
  readonly body: http.IncomingMessage;
}

class RemoteFile implements ByteSource {
  readonly name: string;
  readonly #agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true }),
  };
  readonly #url: URL;
  readonly #options: RemoteOptions;
  size = 0;
  version = "";

  constructor(url: URL, options: RemoteOptions) {
    this.#url = url;
    this.#options = options;
    this.name = shown(url);
  }

  /** Asks for the first bytes, which tells size, version, and whether the server gives ranges. */
  async open(): Promise<void> {
    const { status, headers, body } = await this.#ask(0, 4);
    body.destroy();
    const range = rangeOf(headers);
    if (status === 206 && range?.size !== undefined) {
      this.size = range.size;
      this.version = versionOf(headers);
      return;
    }
    if (status === 416) throw this.#refused("FILE_INVALID", "the file behind a URL is empty", status);
    throw new TenonError("USAGE", {
      problem: "the server does not give parts of a file",
      given: this.name,
      expected: "an answer 206 with Content-Range to a request with Range",
      do: "download the file, or serve it from elsewhere",
    });
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    const length = Math.min(target.length, this.size - position);
    if (length <= 0) return 0;
    for (const [turn, wait] of PAUSES.entries()) {
      if (wait > 0) await pause(wait);
      try {
        await this.#readOnce(target, position, length);
        return length;
      } catch (error) {
        if (error instanceof TenonError || turn === PAUSES.length - 1) throw this.#failed(error);
      }
    }
    return 0;
  }

  async #readOnce(target: Uint8Array, position: number, length: number): Promise<void> {
    const { status, headers, body } = await this.#ask(position, length);
    const range = rangeOf(headers);
    if (
      status !== 206 ||
      range?.start !== position ||
      range.size !== this.size ||
      versionOf(headers) !== this.version
    ) {
      body.destroy();
      throw this.#refused("FILE_INVALID", "the file behind a URL changed while it was read", status);
    }
    let at = 0;
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (at + chunk.length > length)
        throw this.#refused("FILE_INVALID", "a server sends more than was asked for", status);
      target.set(chunk, at);
      at += chunk.length;
    }
    if (at < length) throw new Error("the answer was cut off");
  }

  /** Follows redirects; the answer's status is below 400, or 416. */
  async #ask(position: number, length: number): Promise<Answer> {
    let url = this.#url;
    for (let turn = 0; turn <= REDIRECTS; turn++) {
      const answer = await this.#request(url, `bytes=${position}-${position + length - 1}`);
      const { status, headers, body } = answer;
      if (status >= 300 && status < 400 && headers.location !== undefined) {
        body.destroy();
        const next = checkedUrl(headers.location, url);
        if (url.protocol === "https:" && next.protocol === "http:")
          throw this.#refused("USAGE", `a redirect leads from https to http (${shown(next)})`, status);
        url = next;
        continue;
      }
      if (status < 400 || status === 416) return answer;
      body.destroy();
      if (status >= 500 || status === 429) throw new Error(`the server answers ${status}`);
      throw this.#refused("FILE_NOT_FOUND", "a URL cannot be read", status);
    }
    throw this.#refused("USAGE", "a URL is redirected again and again", 302);
  }

  #request(url: URL, range: string): Promise<Answer> {
    const own = url.origin === this.#url.origin ? this.#options.headers : undefined;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const free = (this.#options.privateHosts ?? []).some((each) => each.toLowerCase() === host.toLowerCase());
    if (!free && isIP(host) !== 0 && isPrivateAddress(host)) return Promise.reject(privateHost(url));
    return new Promise((resolve, reject) => {
      const protocol = url.protocol as "http:" | "https:"; // checkedUrl
      const request = (protocol === "http:" ? http : https).get(
        url,
        {
          agent: this.#agents[protocol],
          headers: { ...own, range, "accept-encoding": "identity" },
          timeout: this.#options.timeoutMs ?? 30_000,
          lookup: (name, options, callback) =>
            guardedLookup(name, options as LookupOptions, free, url, callback as LookupCallback),
        },
        (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, url, body }),
      );
      request.on("timeout", () => request.destroy(new Error("the server is silent")));
      request.on("error", reject);
    });
  }

  #refused(code: "FILE_INVALID" | "FILE_NOT_FOUND" | "USAGE", problem: string, status: number): TenonError {
    return new TenonError(code, { problem, given: `${this.name} (status ${status})` });
  }

  #failed(error: unknown): TenonError {
    if (error instanceof TenonError) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new TenonError("FILE_NOT_FOUND", {
      problem: "a URL cannot be read",
      given: `${this.name}: ${why}`,
      cause: error,
    });
  }

  /** As `open`, with the network's errors as ours. */
  async opened(): Promise<this> {
    for (const [turn, wait] of PAUSES.entries()) {
      if (wait > 0) await pause(wait);
      try {
        await this.open();
        break;
      } catch (error) {
        if (error instanceof TenonError || turn === PAUSES.length - 1) {
          await this.close();
          throw this.#failed(error);
        }
      }
    }
    return this;
  }

  close(): Promise<void> {
    for (const agent of Object.values(this.#agents)) agent.destroy();
    return Promise.resolve();
  }
}

type LookupCallback = (error: Error | null, address?: string | LookupAddress[], family?: number) => void;

/** The addresses that will be connected to are looked at, so that a name cannot mean another one later. */
function guardedLookup(
  name: string,
  options: LookupOptions,
  free: boolean,
  url: URL,
  callback: LookupCallback,
): void {
  lookup(name, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error);
    if (!free && addresses.some(({ address }) => isPrivateAddress(address)))
      return callback(privateHost(url));
    if (options.all === true) return callback(null, addresses);
    return callback(null, addresses[0]!.address, addresses[0]!.family);
  });
}

function privateHost(url: URL): TenonError {
  return new TenonError("USAGE", {
    problem: "a URL leads to an address that is not of the public internet",
    given: shown(url),
    do: `where that is meant: privateHosts: [${JSON.stringify(url.hostname.replace(/^\[|\]$/g, ""))}]`,
  });
}

/** `bytes 0-3/1000` → 0 and 1000. */
function rangeOf(headers: http.IncomingHttpHeaders): { start: number; size: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers["content-range"] ?? "");
  return match === null ? undefined : { start: Number(match[1]), size: Number(match[2]) };
}

function versionOf(headers: http.IncomingHttpHeaders): string {
  return headers.etag ?? headers["last-modified"] ?? "";
}

/** Throws USAGE, FILE_NOT_FOUND or FILE_INVALID. */
export function openRemote(url: string, options: RemoteOptions = {}): Promise<ByteSource> {
  return new RemoteFile(checkedUrl(url), options).opened();
}
