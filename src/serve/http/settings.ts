/** What a handler can be told, and the settings it works with. */
import { KNOBS, type Knobs } from "../../base/index.js";
import type { FloatFormat } from "../json/writer.js";
import { type ServeLog, ServerLog } from "../observe/server-log.js";
import type { ModelRepository } from "../repository/repository.js";
import type { TextModels } from "../texts/model.js";

/** The settings that come from the table of knobs, under their names there. */
const FROM_KNOBS = [
  "allowedHosts",
  "apiKey",
  "apiKeyFile",
  "keyRequests",
  "crashStrikes",
  "corsOrigin",
  "responseCompression",
  "extensions",
  "bodyMax",
  "jsonBodyMax",
  "jsonDepth",
  "bodyChunks",
  "headerCount",
  "tensorElements",
  "tensorRank",
  "stringBytes",
  "replyTimeout",
  "runDeadline",
] as const satisfies readonly (keyof Knobs)[];

type HandlerKnobs = Pick<Knobs, (typeof FROM_KNOBS)[number]>;

/** Options of `createHandler`. Names and defaults of the limits are those of `tenon env`. */
export interface HandlerOptions extends Partial<HandlerKnobs> {
  /** `name` in the server's metadata. Default `triton`, which Triton's own clients compare with. */
  readonly serverName?: string;
  readonly json?: Partial<FloatFormat>;
  /** Where the access log (level `info`) and failures (level `error`) go: a pino logger, or a `ServerLog` on one. Default: nowhere. */
  readonly log?: ServeLog | ServerLog;
  /** Models that clients may load and unload; default: none, only what the engine has. */
  readonly repository?: ModelRepository;
  /** Models of texts: adds the routes of OpenAI and text-embeddings-inference. Default: none. */
  readonly texts?: TextModels;
  /** False answers `/v2/health/ready` with "not ready". Default: always true. */
  readonly isReady?: () => boolean;
}

/** Every setting, with its default filled in. */
export interface HandlerSettings extends HandlerKnobs {
  readonly serverName: string;
  readonly json: FloatFormat;
  readonly log: ServerLog | undefined;
  readonly isReady: () => boolean;
  readonly repository: ModelRepository | undefined;
  readonly texts: TextModels | undefined;
  /** Host names a request may address; undefined: any. */
  readonly hosts: ReadonlySet<string> | undefined;
}

/** `loopback`: the server listens on this machine only, so the Host header must name it too. */
export function resolveSettings(options: HandlerOptions, loopback: boolean): HandlerSettings {
  const knobs = Object.fromEntries(
    FROM_KNOBS.map((name) => [name, options[name] ?? KNOBS[name].default]),
  ) as unknown as HandlerKnobs; // each name has its own row's type
  const hosts = loopback ? ["localhost", "127.0.0.1", "[::1]", ...knobs.allowedHosts] : knobs.allowedHosts;
  return {
    ...knobs,
    serverName: options.serverName ?? "triton",
    json: { floats: "float", nonFinite: "bare", ...options.json },
    log:
      options.log === undefined || options.log instanceof ServerLog
        ? options.log
        : new ServerLog(options.log),
    repository: options.repository,
    texts: options.texts,
    isReady: options.isReady ?? (() => true),
    hosts: hosts.length === 0 ? undefined : new Set(hosts.map((host) => host.toLowerCase())),
  };
}
