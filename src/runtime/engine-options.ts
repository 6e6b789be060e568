/** What an engine and a load are asked for, and what is taken where nothing is said. */
import { emit, TenonError } from "../base/index.js";
import type { OnnxModel, Trust } from "../onnx/index.js";
import type { ExplicitBatching } from "./explicit-queue.js";
import type { FirstProcess } from "./first-process.js";
import type { BuildOptions } from "./load.js";
import { defaultLanes, usableCores } from "./machine.js";
import type { Model } from "./model.js";
import type { BreakerOptions } from "./runner/breaker.js";
import { canShareMemory } from "./runner/libc.js";
import type { Spare } from "./runner/process-settings.js";
import type { Signature } from "./signature.js";

export interface EngineOptions {
  /** Runs at the same time, one thread each; default: one per core, two threads of the libuv pool left free. */
  readonly lanes?: number | "auto";
  /** Folder of the compiled-model cache, or false for none. Default: `TENON_CACHE` or the platform's cache folder. */
  readonly cache?: string | false;
  /** Bytes that the cache may take; default 20 GiB. */
  readonly cacheMaxBytes?: number;
  /**
   * The libuv pool runs models only: one thread per lane, the next run queued behind each, at a lower priority than
   * the event loop. Default false.
   */
  readonly dedicatedPool?: boolean;
  /** Execution providers in order of preference, by ONNX Runtime's names or `cpu`; default `["cpu"]`. */
  readonly providers?: readonly string[];
  /**
   * Where models run: `inline` in this process (default); `process`: each in a process of its own, so that native code
   * that crashes, hangs or takes too much memory costs only the requests that made it do so; `group`: all in one such
   * process. On Windows models run inline, with a warning event.
   */
  readonly isolation?: Isolation;
  /** What model processes are allowed. */
  readonly process?: ProcessOptions;
  /** Waiting requests per model, beyond which QUEUE_FULL is answered; default 4,096. */
  readonly queueLimit?: number;
}

export type Isolation = "inline" | "process" | "group";

/** Bounds of model processes; without effect in isolation `inline`. */
export interface ProcessOptions {
  /** Milliseconds of one run, after which its process is killed if it does not stop; the caller gets DEADLINE. Default 30 s. */
  readonly runLimitMs?: number;
  /** Milliseconds of loading a model; then MODEL_UNAVAILABLE. Default 120 s. */
  readonly loadTimeoutMs?: number;
  /** Bytes by which a process may grow from an empty one (Linux); "auto": three times the model's bytes and 1 GiB. */
  readonly memoryLimit?: number | "auto" | "off";
  /** Kept ready for a crash: one empty process (default), for each model one with it loaded, or nothing. */
  readonly spare?: Spare;
  /**
   * So many crashes without a culprit within `windowMs` close a model for `pauseMs`, twice as long each time that it
   * does not recover. Default 3 within a minute, 30 s.
   */
  readonly breaker?: BreakerOptions;
  /** A process that `beginProcess` has started; it becomes the engine's first. */
  readonly first?: FirstProcess | undefined;
}

/** A path, the bytes of a model, or a model as `tenon/onnx` builds and reads them. */
export type Source = string | Uint8Array | OnnxModel;

export interface LoadOptions {
  /** Default: the file's name without its extension; `model` for bytes. */
  readonly name?: string;
  /** Decimal text; default "1". */
  readonly version?: string;
  /**
   * Take the place of a loaded model of this name and version: requests go to the new one from the moment that it is
   * ready (warmed up, where that is asked for), and the old one is unloaded when it has answered what it accepted.
   * A model that ends its process, or does not answer, while it is warmed up takes no place of another.
   */
  readonly replace?: boolean;
  /** Gives the load up, also when it is aborted while the model is prepared: nothing takes a place then. */
  readonly signal?: AbortSignal;
  readonly batch?: {
    /** Most rows in one run; "auto" is 64; 1 switches batching off. */
    readonly max?: number | "auto";
    /** Milliseconds to wait for a batch to fill; default 0: nothing is ever held back. */
    readonly maxDelayMs?: number;
    /** Rules for batches in place of measured costs; `maxDelayMs` above is without effect then. */
    readonly explicit?: ExplicitBatching;
  };
  /** Most runs at the same time; default: as many as the engine has lanes. */
  readonly instances?: number;
  /** Run once before the promise resolves, so that the first request is not slower. Default false. */
  readonly warmup?: boolean;
  /**
   * Answer from the model as it is, within a fraction of a second, while it is optimised and compiled behind it; then
   * calls go to that one, through the same handle. Until then requests are not batched. Does nothing where the compiled
   * model is in the cache. Costs the memory of both for that time. Default false.
   */
  readonly quickStart?: boolean;
  /** Measure batch sizes in the background when idle; default true. */
  readonly calibrate?: boolean;
  /** Accept dimensions of size 0. Default false. */
  readonly allowZero?: boolean;
  /** Refuse a model that does not declare the rank of every input, as a server must. Default false. */
  readonly requireRank?: boolean;
  /** Looks at the model before it takes its place; what it throws refuses the model. */
  readonly accept?: (signature: Signature) => void;
  /** Awaited before the model takes its place, which it does not when this rejects. It can run already. */
  readonly prepare?: (model: Model) => Promise<void>;
  /**
   * How far the model's author is trusted. `pinned` (default): refused is what would end the process or can never
   * load. `untrusted`: also what costs too much memory or time, or is not allowed (see `preflight`).
   */
  readonly trust?: Trust;
  /** Folder of the external data of a model that is given as bytes; without it such a model is refused. */
  readonly baseDir?: string;
  /** Graph optimisation; default `all`. */
  readonly optimization?: BuildOptions["optimization"];
  /** Further ONNX Runtime session settings (`AddSessionConfigEntry`). */
  readonly sessionConfig?: Readonly<Record<string, string>>;
}

export const DEFAULT_CACHE_BYTES = 20 * 2 ** 30;
export const DEFAULT_QUEUE_LIMIT = 4096;
const AUTO_MAX_ROWS = 64;

/** Windows has no shared memory of ours yet: models run inline there. */
export function isolationOf(options: EngineOptions): Isolation {
  const isolation = options.isolation ?? "inline";
  if (!["inline", "process", "group"].includes(isolation)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "isolation",
      given: String(isolation),
      expected: "inline, process or group",
    });
  }
  if (isolation === "inline" || canShareMemory()) return isolation;
  emit("engine:warning", {
    code: "ISOLATION_INLINE",
    message: `models cannot run in processes of their own on ${process.platform}; a native crash would end this process`,
  });
  return "inline";
}

/** Throws CONFIG_INVALID. */
export function lanesOf(options: EngineOptions, isolation: Isolation): number {
  const auto = options.lanes === undefined || options.lanes === "auto";
  const own = isolation === "inline" ? defaultLanes(options.dedicatedPool ?? false) : usableCores();
  const lanes = auto ? own : options.lanes;
  if (typeof lanes === "number" && Number.isInteger(lanes) && lanes >= 1 && lanes <= 1024) return lanes;
  throw new TenonError("CONFIG_INVALID", {
    problem: "lanes",
    given: String(lanes),
    expected: `"auto" or an integer from 1 to 1024`,
  });
}

/** Most rows in one run. Throws CONFIG_INVALID. */
export function maxRowsOf(options: LoadOptions): number {
  const max = options.batch?.max ?? "auto";
  if (max === "auto") return AUTO_MAX_ROWS;
  if (Number.isInteger(max) && max >= 1) return max;
  throw new TenonError("CONFIG_INVALID", {
    problem: "batch.max",
    given: String(max),
    expected: `"auto" or a positive integer`,
  });
}

/** Providers that the library lacks are refused when a session is made. */
export function buildOptionsOf(engine: EngineOptions, options: LoadOptions): BuildOptions {
  const providers = (engine.providers ?? ["cpu"]).filter((provider) => provider.toLowerCase() !== "cpu");
  return {
    optimization: options.optimization ?? "all",
    config: options.sessionConfig ?? {},
    providers: providers.map((name) => ({ name })),
  };
}
