/** The one table of settings; flags, `TENON_*` variables and config-file keys derive from its names. */
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import {
  bytes,
  bytesOrAuto,
  choice,
  count,
  countOrAuto,
  countOrOff,
  duration,
  type Knob,
  list,
  onOff,
  path,
  portOf,
  secret,
  text,
} from "./knob-kinds.js";

/** Every setting. `httpPort` is `--http-port`, `TENON_HTTP_PORT` and the key `httpPort` of a config file. */
export const KNOBS = {
  host: text("127.0.0.1", "Address the server listens on; 0.0.0.0 opens it to the network.", "address"),
  httpPort: count(8000, "HTTP port; 0 takes any free one.", { max: 65_535, placeholder: "port" }),
  grpcPort: portOf("Port of gRPC", "the port after --http-port"),
  metricsPort: portOf("Port of the metrics, which need no key there", "two after --http-port"),
  fronts: count(0, "Processes that speak HTTP with clients in front of the server; 0: it does so itself.", {
    max: 64,
  }),
  allowedHosts: list("Host names that requests may address, besides the one listened on.", "host,…"),
  apiKey: secret("One API key that requests must show; for more than one, use a file."),
  apiKeyFile: path(
    "none",
    "File of API keys: lines NAME sha256:HEX [rate=N/s]; read again on change.",
    "none",
  ),
  keyRequests: count(256, "Most requests of one API key under way at the same time.", { min: 1 }),
  crashStrikes: countOrOff(
    10,
    "Requests of one key (else address) that may end a model's process in a minute; more are refused.",
    { min: 1, max: 10_000 },
  ),
  tlsCert: path("none", "Certificate chain (PEM) for HTTPS; read again on change.", "none"),
  tlsKey: path("none", "Private key (PEM) of the certificate.", "none"),
  corsOrigin: list("Web origins that browsers may call from; none by default.", "origin,…"),
  responseCompression: onOff(false, "Compress answers for clients that accept it."),
  extensions: list(
    "Extensions of the protocol that are off by default: system_shared_memory, trace, logging.",
    "name,…",
  ),
  responseCache: bytes("64MiB", "Answers kept for models with a response cache; 0B keeps none.", { min: 0 }),
  bodyMax: bytes("64MiB", "Largest request body, also after decompression.", { min: 1024 }),
  jsonBodyMax: bytes("8MiB", "Largest JSON part of a request body.", { min: 1024 }),
  jsonDepth: count(64, "Deepest nesting of JSON in a request.", { min: 4, max: 10_000 }),
  bodyChunks: count(65_536, "Most chunks that one request body may arrive in.", { min: 16 }),
  headerBytes: bytes("16KiB", "Largest URL and headers of a request together.", { min: 1024, max: 2 ** 20 }),
  headerCount: count(100, "Most headers of a request.", { min: 8, max: 2000 }),
  tensorElements: count(67_108_864, "Most elements of one tensor in a request.", { min: 1 }),
  tensorRank: count(8, "Most dimensions of one tensor in a request.", { min: 1, max: 64 }),
  stringBytes: bytes("16MiB", "Largest element of a string tensor in a request.", { min: 1 }),
  connections: count(1024, "Most open client connections.", { min: 1 }),
  grpcStreams: count(100, "Most calls under way on one gRPC connection.", { min: 1, max: 10_000 }),
  headersTimeout: duration("10s", "Longest wait for a request's headers.", { min: 100, max: 3600e3 }),
  requestTimeout: duration("60s", "Longest wait for a whole request.", { min: 100, max: 3600e3 }),
  replyTimeout: duration("60s", "Longest wait for a client to take its answer.", { min: 100, max: 3600e3 }),
  keepAlive: duration("72s", "How long an idle connection stays open.", { max: 3600e3 }),
  drain: duration("30s", "How long running requests may finish after SIGTERM.", { max: 3600e3 }),
  queue: count(512, "Most requests that wait for one model; further ones are refused.", { min: 1 }),
  runDeadline: duration("30s", "Longest time of one request, waiting included.", { min: 1 }),
  loadTimeout: duration("120s", "Longest time of loading one model.", { min: 100 }),
  lanes: countOrAuto("Concurrent one-thread runs per model; auto: one per processor core.", {
    min: 1,
    max: 1024,
  }),
  isolation: choice(
    ["process", "group", "inline"],
    "process",
    "Where models run: each in a process of its own, all in one such process, or in the server.",
  ),
  spare: choice(
    ["process", "model", "none"],
    "process",
    "What is kept ready for a model that crashes: an empty process, each model once more, nothing.",
  ),
  modelMemory: bytesOrAuto(
    "How far a model's process may grow; auto: 1GiB and three times the model's file.",
    { min: 64 * 2 ** 20 },
  ),
  modelControl: choice(
    ["none", "poll", "explicit"],
    "none",
    "Who loads models: none, the server at its start; poll, it also follows changed files; explicit, clients.",
  ),
  modelPoll: duration("2s", "How often poll looks; a change counts when two looks saw the same files.", {
    min: 20,
  }),
  residentMax: bytes(
    "0B",
    "Bytes of model files loaded at the same time; the least used are loaded again when asked for. 0B: all.",
    { min: 0 },
  ),
  loadModel: list("Models to load at the start where --model-control is explicit; * for all.", "name,…"),
  warmup: onOff(true, "Run each model once before it counts as ready."),
  trust: choice(
    ["untrusted", "pinned"],
    "untrusted",
    "How far the authors of models are trusted; pinned loads what only costs much.",
  ),
  privateHosts: list(
    "Hosts at loopback or private addresses that URLs of input tables may lead to; none by default.",
    "host,…",
  ),
  cache: path(defaultCache(), "Folder of optimised models.", "off"),
  cacheMax: bytes("20GiB", "Size above which the least used cache entries are dropped.", { min: 2 ** 20 }),
  ortLib: path("auto", "ONNX Runtime's shared library; auto: the one of onnxruntime-node.", "auto"),
  log: choice(
    ["silent", "error", "warn", "info", "debug"],
    "warn",
    "What is logged; info adds each request.",
  ),
  logFormat: choice(["json", "pretty"], "json", "One JSON object per line, or lines for reading."),
} as const;

export type KnobName = keyof typeof KNOBS;

type ValueOf<K> = K extends { readonly parse: (text: string) => infer T } ? T : never;

/** A value for every setting, typed: `knobs.httpPort` is a number. */
export type Knobs = { readonly [N in KnobName]: ValueOf<(typeof KNOBS)[N]> };

export const KNOB_NAMES = Object.keys(KNOBS) as readonly KnobName[];

/** One row of the table, with its wide type. */
export function knob(name: KnobName): Knob<unknown> {
  // Sound while `format` is only given what the same row's `parse` or `default` made.
  return KNOBS[name] as Knob<unknown>;
}

/** `httpPort` → `TENON_HTTP_PORT`. */
export function variableOf(name: string): string {
  return `TENON_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** `httpPort` → `--http-port`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `$XDG_CACHE_HOME/tenon`, or the platform's own place. */
function defaultCache(): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, "tenon");
  const home = homeFolder();
  if (home === undefined) return join(tmpdir(), "tenon");
  if (process.platform === "darwin") return join(home, "Library/Caches/tenon");
  if (process.platform === "win32") return join(LOCALAPPDATA || join(home, "AppData/Local"), "tenon");
  return join(home, ".cache/tenon");
}

/** Undefined for a user whom the system does not know, as containers may have one. */
function homeFolder(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
