/** Requests for the bytes of one place: guarded against private addresses, redirected, and sent again where they fail. */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { TenonError } from "../../base/index.js";
import { isPrivateAddress } from "./addresses.js";
import { checkedUrl, type Location, shownUrl } from "./location.js";

const REDIRECTS = 3;
/** A request that a server or the network drops is sent so many times, after these pauses in milliseconds. */
export const PAUSES = [0, 200, 1000] as const;
const SILENCE_MS = 30_000;
/** Of a refusal's text, in which S3 tells the reason. */
const REFUSAL_BYTES = 4096;

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: http.IncomingMessage;
}

export class Connection {
  #location: Location;
  readonly #timeoutMs: number;
  readonly #agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true }),
  };

  constructor(location: Location, timeoutMs = SILENCE_MS) {
    this.#location = location;
    this.#timeoutMs = timeoutMs;
  }

  get name(): string {
    return this.#location.name;
  }

  /** Follows redirects; the answer's status is below 400, or 416. Throws plain errors where another try may help. */
  async ask(wanted: Readonly<Record<string, string>>): Promise<Answer> {
    let { url } = this.#location;
    for (let turn = 0; turn <= REDIRECTS; turn++) {
      const { status, headers, body } = await this.#request(url, wanted);
      const moved = this.#location.moved?.(status, headers);
      if (moved !== undefined) {
        body.destroy();
        this.#location = moved;
        url = moved.url;
        continue;
      }
      if (status >= 300 && status < 400 && status !== 304 && headers.location !== undefined) {
        body.destroy();
        const next = checkedUrl(headers.location, url);
        if (url.protocol === "https:" && next.protocol === "http:")
          throw this.refused("USAGE", `a redirect leads from https to http (${shownUrl(next)})`, status);
        url = next;
        continue;
      }
      if (status < 400 || status === 416) return { status, headers, body };
      const reason = await reasonOf(body);
      if (status >= 500 || status === 429) throw new Error(`the server answers ${status}${reason}`);
      throw this.refused("FILE_NOT_FOUND", "a URL cannot be read", status, reason);
    }
    throw this.refused("USAGE", "a URL is redirected again and again", 302);
  }

  /** What `work` gives, which is tried again after failures that are not ours. Throws only errors of ours. */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    for (let turn = 0; ; turn++) {
      const wait = PAUSES[turn]!;
      if (wait > 0) await pause(wait);
      try {
        return await work();
      } catch (error) {
        if (error instanceof TenonError || turn === PAUSES.length - 1) throw this.failed(error);
      }
    }
  }

  #request(url: URL, wanted: Readonly<Record<string, string>>): Promise<Answer> {
    const own = url.origin === this.#location.url.origin;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const free = this.#location.privateHosts.some((each) => each.toLowerCase() === host.toLowerCase());
    if (!free && isIP(host) !== 0 && isPrivateAddress(host)) return Promise.reject(privateHost(url));
    return new Promise((resolve, reject) => {
      const protocol = url.protocol as "http:" | "https:"; // checkedUrl
      const request = (protocol === "http:" ? http : https).get(
        url,
        {
          agent: this.#agents[protocol],
          headers: { ...(own ? this.#location.headers(wanted) : wanted), "accept-encoding": "identity" },
          timeout: this.#timeoutMs,
          lookup: (name, options, callback) =>
            guardedLookup(name, options as LookupOptions, free, url, callback as LookupCallback),
        },
        (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, body }),
      );
      request.on("timeout", () => request.destroy(new Error("the server is silent")));
      request.on("error", reject);
    });
  }

  refused(
    code: "FILE_INVALID" | "FILE_NOT_FOUND" | "USAGE",
    problem: string,
    status: number,
    reason = "",
  ): TenonError {
    return new TenonError(code, { problem, given: `${this.name} (status ${status}${reason})` });
  }

  failed(error: unknown): TenonError {
    if (error instanceof TenonError) return error;
    const why = error instanceof Error ? error.message || error.name : String(error);
    return new TenonError("FILE_NOT_FOUND", {
      problem: "a URL cannot be read",
      given: `${this.name}: ${why}`,
      cause: error,
    });
  }

  close(): Promise<void> {
    for (const agent of Object.values(this.#agents)) agent.destroy();
    return Promise.resolve();
  }
}

/** `, NoSuchKey` of S3's `<Code>`; of other refusals nothing is told. */
async function reasonOf(body: http.IncomingMessage): Promise<string> {
  let text = "";
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      text += Buffer.from(chunk).toString("latin1");
      if (text.length > REFUSAL_BYTES) break;
    }
  } catch {
    // What came of it is enough.
  }
  body.destroy();
  const code = /<Code>(\w{1,60})<\/Code>/.exec(text)?.[1];
  return code === undefined ? "" : `, ${code}`;
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
    given: shownUrl(url),
    do: `where that is meant: privateHosts: [${JSON.stringify(url.hostname.replace(/^\[|\]$/g, ""))}], --private-hosts of tenon score`,
  });
}

/** `bytes 0-3/1000` → 0 and 1000. */
export function rangeOf(headers: http.IncomingHttpHeaders): { start: number; size: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers["content-range"] ?? "");
  return match === null ? undefined : { start: Number(match[1]), size: Number(match[2]) };
}

/** The server's own word on which content this is. */
export function versionOf(headers: http.IncomingHttpHeaders): string {
  return headers.etag ?? headers["last-modified"] ?? "";
}
