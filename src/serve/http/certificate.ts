/** Certificate: HTTPS with files that are read again when they change, so that renewing them needs no restart. */
import { readFileSync } from "node:fs";
import { createSecureContext, Server, type TlsOptions } from "node:tls";
import { type Knobs, TenonError } from "../../base/index.js";
import type { ServerLog } from "../observe/server-log.js";
import { watchFiles } from "./watched-file.js";

/** Setting that names no file. */
const NONE = "none";

/** Both as PEM. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** Options of a server; a handshake may take as long as a request's headers. */
export function tlsOptions(pair: KeyPair, handshakeTimeout: number): TlsOptions {
  return { ...pair, minVersion: "TLSv1.2", handshakeTimeout };
}

/** New connections of a server for TLS get this pair. */
export function usePair(server: unknown, pair: KeyPair): void {
  if (server instanceof Server) server.setSecureContext({ ...pair, minVersion: "TLSv1.2" });
}

/** A certificate chain and its private key, both PEM files. */
export class Certificate {
  readonly #cert: string;
  readonly #key: string;
  readonly #log: ServerLog | undefined;
  readonly #stops: (() => void)[] = [];

  private constructor(cert: string, key: string, log: ServerLog | undefined) {
    this.#cert = cert;
    this.#key = key;
    this.#log = log;
  }

  /** Undefined when no files are named. Throws CONFIG_INVALID when only one is, or when they do not fit each other. */
  static open(
    { tlsCert = NONE, tlsKey = NONE }: Partial<Pick<Knobs, "tlsCert" | "tlsKey">>,
    log: ServerLog | undefined,
  ): Certificate | undefined {
    if (tlsCert === NONE && tlsKey === NONE) return undefined;
    if (tlsCert === NONE || tlsKey === NONE) {
      throw new TenonError("CONFIG_INVALID", {
        problem: "HTTPS needs a certificate and its key",
        given: tlsCert === NONE ? "only the key" : "only the certificate",
        do: "give both --tls-cert and --tls-key",
      });
    }
    return new Certificate(tlsCert, tlsKey, log);
  }

  /** What the files hold. Throws CONFIG_INVALID or FILE_NOT_FOUND. */
  read(): KeyPair {
    const [cert, key] = [this.#cert, this.#key].map(readPem) as [string, string];
    try {
      createSecureContext({ cert, key });
    } catch (cause) {
      throw new TenonError("CONFIG_INVALID", {
        problem: "the certificate and the key are damaged, or do not belong together",
        given: `${this.#cert} and ${this.#key}`,
        cause,
      });
    }
    return { cert, key };
  }

  /** Options of a server with what the files hold. */
  options(handshakeTimeout: number): TlsOptions {
    return tlsOptions(this.read(), handshakeTimeout);
  }

  /** Calls `use` with what the files hold whenever they change; the old pair stays while a new one does not fit. */
  renew(use: (pair: KeyPair) => void): void {
    const stop = watchFiles([this.#cert, this.#key], () => {
      try {
        use(this.read());
        this.#log?.info({ file: this.#cert }, "certificate read again");
      } catch (error) {
        this.#log?.error({ err: error }, "the certificate cannot be read again; the old one stays");
      }
    });
    this.#stops.push(stop);
  }

  /** Stops looking at the files. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}

function readPem(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "a file for HTTPS cannot be read",
      given: path,
      expected: "a PEM file",
      cause,
    });
  }
}
