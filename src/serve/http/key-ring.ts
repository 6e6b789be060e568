/** KeyRing: who may ask. Keys are known by their hashes only, and compared in constant time. */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { TenonError } from "../../base/index.js";
import { type KeyLine, parseKeyFile } from "./key-file.js";
import type { HandlerSettings } from "./settings.js";
import { TokenBucket } from "./token-bucket.js";
import { watchFiles } from "./watched-file.js";

/** The holder of a key. */
export interface Caller {
  readonly name: string;
  readonly bucket: TokenBucket | undefined;
  /** Requests without an answer. */
  open: number;
}

interface Key {
  readonly hash: Buffer;
  readonly caller: Caller;
}

/** Setting that names no file. */
const NONE = "none";

/** The keys of one handler. */
export class KeyRing {
  #keys: readonly Key[] = [];
  readonly #settings: HandlerSettings;
  readonly #stop: () => void;

  private constructor(settings: HandlerSettings) {
    this.#settings = settings;
    const { apiKeyFile } = settings;
    if (apiKeyFile === NONE) {
      this.#keys = this.#made([]);
      this.#stop = () => undefined;
    } else {
      this.#keys = this.#made(readKeys(apiKeyFile));
      if (this.#keys.length === 0) {
        throw new TenonError("CONFIG_INVALID", {
          problem: "the key file holds no key, so nobody could ask",
          given: apiKeyFile,
          expected: "lines NAME sha256:<64 hex digits> [rate=N/s]",
        });
      }
      this.#stop = watchFiles([apiKeyFile], () => this.#read());
    }
  }

  /** The keys that the settings name; undefined when they name none. Throws CONFIG_INVALID or FILE_NOT_FOUND. */
  static open(settings: HandlerSettings): KeyRing | undefined {
    return settings.apiKey === "" && settings.apiKeyFile === NONE ? undefined : new KeyRing(settings);
  }

  /** A file that cannot be read leaves the keys as they are, and is logged; one without keys takes all away. */
  #read(): void {
    const { apiKeyFile, log } = this.#settings;
    try {
      const keys = readKeys(apiKeyFile);
      this.#keys = this.#made(keys);
      log?.info({ keys: keys.length }, "API keys read again");
    } catch (error) {
      log?.error({ err: error }, "the file of API keys cannot be read; the keys stay as they were");
    }
  }

  /** Callers that stay keep what they have open and their rate's state. */
  #made(lines: readonly KeyLine[]): readonly Key[] {
    const now = performance.now();
    const { apiKey } = this.#settings;
    const own: KeyLine[] = apiKey === "" ? [] : [{ name: "default", hash: hashOf(apiKey), rate: undefined }];
    return [...own, ...lines].map(({ name, hash, rate }) => {
      const before = this.#keys.find((key) => key.hash.equals(hash) && key.caller.name === name)?.caller;
      if (before !== undefined && before.bucket?.rate === rate) return { hash, caller: before };
      const bucket = rate === undefined ? undefined : new TokenBucket(rate, now);
      return { hash, caller: { name, bucket, open: 0 } };
    });
  }

  /** The caller of an `Authorization` header; every key is compared, whichever fits. Throws REQUEST_UNAUTHORIZED. */
  callerOf(authorization: string | undefined): Caller {
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "";
    const presented = hashOf(token);
    let caller: Caller | undefined;
    for (const key of this.#keys) if (timingSafeEqual(key.hash, presented)) caller = key.caller;
    if (caller !== undefined && token !== "") return caller;
    throw new TenonError("REQUEST_UNAUTHORIZED", {
      problem:
        authorization === undefined
          ? "this server asks for an API key: Authorization: Bearer KEY"
          : "the API key is not known to this server",
    });
  }

  /** Stops looking at the file. */
  close(): void {
    this.#stop();
  }
}

function hashOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function readKeys(path: string): readonly KeyLine[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "the file of API keys cannot be read",
      given: path,
      cause,
    });
  }
  return parseKeyFile(text);
}
