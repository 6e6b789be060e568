/** Engine: the models of a process, their shared lanes and cache; everything it opens it closes. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { emit, isTenonError, suggest, TenonError, toTenonError } from "../base/index.js";
import type { OnnxModel, Trust } from "../onnx/index.js";
import { type BatchAxis, declaredObstacle, proveBatchAxis } from "./batch-axis.js";
import { BufferPool } from "./buffers.js";
import { defaultCacheFolder, ModelCache } from "./cache.js";
import { Calibration } from "./calibrate.js";
import { CostModels } from "./cost-model.js";
import type { ExplicitBatching } from "./explicit-queue.js";
import type { FirstProcess } from "./first-process.js";
import { measureHop } from "./hop.js";
import { LaneBudget } from "./lane-budget.js";
import {
  type BuildOptions,
  type Identity,
  isCompiled,
  type Loaded,
  loadModel,
  ownIdentity,
  sourceKey,
} from "./load.js";
import { defaultLanes, poolThreads, usableCores } from "./machine.js";
import { Model } from "./model.js";
import { modelNameOf } from "./model-name.js";
import { ortLibrary } from "./ort/library.js";
import { OutputShapes } from "./output-shapes.js";
import { provePadding } from "./padding.js";
import { lowerPoolPriority } from "./pool-priority.js";
import type { ModelSource } from "./prepare.js";
import type { BreakerOptions } from "./runner/breaker.js";
import { canShareMemory } from "./runner/libc.js";
import { ProcessHost } from "./runner/process-host.js";
import type { Spare } from "./runner/process-settings.js";
import type { RunLane } from "./session.js";
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

const DEFAULT_CACHE_BYTES = 20 * 2 ** 30;
const DEFAULT_QUEUE_LIMIT = 4096;
const AUTO_MAX_ROWS = 64;

/** When a model that answers already begins to be compiled. */
const FOLLOW_AFTER_MS = 500;

/** Milliseconds to a model process and back, at first; learned from then on. */
const PROCESS_HOP_MS = 0.08;

/** A model to load, as it was asked for. */
interface Order {
  readonly source: ModelSource;
  readonly name: string;
  readonly version: string;
  readonly options: LoadOptions;
  readonly build: BuildOptions;
}

interface Shared {
  readonly loaded: Promise<Loaded>;
  handles: number;
}

export class Engine {
  /** Version of the ONNX Runtime library. */
  readonly runtimeVersion: string;
  readonly #options: EngineOptions;
  readonly #cache: ModelCache | undefined;
  readonly #budget: LaneBudget;
  readonly #hopMs: number;
  readonly #host: ProcessHost | undefined;
  readonly #models = new Map<string, Map<string, Model>>();
  /** Every model that is not freed yet: also those that are prepared, or unloaded and still answering. */
  readonly #alive = new Set<Model>();
  /** Sessions by content key: handles on the same content share one. */
  readonly #shared = new Map<string, Shared>();
  /** Models that are compiled behind others; none rejects. */
  readonly #background = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  #closing: Promise<void> | undefined;

  private constructor(
    options: EngineOptions,
    runtimeVersion: string,
    cache: ModelCache | undefined,
    budget: LaneBudget,
    hopMs: number,
    host: ProcessHost | undefined,
  ) {
    this.#options = options;
    this.runtimeVersion = runtimeVersion;
    this.#cache = cache;
    this.#budget = budget;
    this.#hopMs = hopMs;
    this.#host = host;
  }

  /**
   * Loads ONNX Runtime and opens the cache. Throws ENGINE_LIBRARY or CONFIG_INVALID.
   *
   * ```ts
   * await using engine = await Engine.open();
   * const model = await engine.load("model.onnx");
   * ```
   */
  static async open(options: EngineOptions = {}): Promise<Engine> {
    const isolation = isolationOf(options);
    const dedicated = isolation !== "inline" || (options.dedicatedPool ?? false);
    const lanes = lanesOf(options, isolation);
    const folder = options.cache ?? defaultCacheFolder();
    const cacheMaxBytes = options.cacheMaxBytes ?? DEFAULT_CACHE_BYTES;
    const opening = folder === false ? undefined : ModelCache.open(folder, cacheMaxBytes);
    opening?.catch(() => undefined);
    if (isolation !== "inline") {
      const group = isolation === "group";
      const { first, ...bounds } = options.process ?? {};
      const host = await ProcessHost.open({ ...bounds, lanes, group, cacheMaxBytes }, first);
      const cache = await opening?.catch(async (error: unknown) => {
        await host.close();
        throw error;
      });
      return new Engine(options, host.version, cache, new LaneBudget(lanes, 2, !group), PROCESS_HOP_MS, host);
    }
    if (lanes > poolThreads()) {
      emit("engine:warning", {
        code: "POOL_TOO_SMALL",
        message: `${lanes} lanes share ${poolThreads()} threads of the libuv pool; start Node with UV_THREADPOOL_SIZE=${lanes + 2}`,
      });
    }
    const cache = await opening;
    const library = await ortLibrary();
    await lowerPoolPriority(library, poolThreads(), options.dedicatedPool ?? false);
    // A second run per lane waits in the pool only where the pool has no threads beside the lanes.
    const depth = dedicated && poolThreads() === lanes ? 2 : 1;
    const hopMs = await measureHop(library);
    return new Engine(options, library.version, cache, new LaneBudget(lanes, depth), hopMs, undefined);
  }

  /** Lanes that may run at the same time, and cores that this process may use. */
  get capacity(): { readonly lanes: number; readonly cores: number } {
    return { lanes: this.#budget.lanes, cores: usableCores() };
  }

  /** Where compiled models are kept; undefined without a cache. */
  get cacheFolder(): string | undefined {
    return this.#cache?.folder;
  }

  /**
   * Loads a model file (or its bytes) off the event loop. Loads of the same content share one session; two loads at
   * once do the work once. Throws FILE_NOT_FOUND, MODEL_INVALID, MODEL_UNSUPPORTED or USAGE for a name that is taken.
   */
  async load(source: Source, options: LoadOptions = {}): Promise<Model> {
    this.#assertOpen();
    const given = await sourceOf(source, options.baseDir);
    const order: Order = {
      source: { ...given, trust: options.trust ?? "pinned" },
      name: modelNameOf(given.from, options.name),
      version: options.version ?? "1",
      options,
      build: this.#buildOptions(options),
    };
    const { name, version } = order;
    if (!/^[0-9]+$/.test(version))
      throw new TenonError("USAGE", { problem: "model version", given: version, expected: "decimal digits" });
    if (!options.replace && this.#models.get(name)?.has(version)) throw taken(name, version);
    if (options.quickStart && !(await this.#isCompiled(order))) return await this.#quickStart(order);

    const identity = await sourceKey(order.source, order.build, this.#cache, this.runtimeVersion);
    return await this.#make(order, identity, this.#cache, (model) =>
      this.#place(model, options.replace ?? false),
    );
  }

  async #isCompiled({ source, build }: Order): Promise<boolean> {
    return this.#cache !== undefined && (await isCompiled(source, build, this.#cache, this.runtimeVersion));
  }

  /** The model as it is, and behind it the compiled one, which takes over when it is ready. */
  async #quickStart(order: Order): Promise<Model> {
    const { name, options } = order;
    const asItIs: Order = {
      ...order,
      options: { ...options, batch: { max: 1 }, calibrate: false },
      build: { ...order.build, optimization: "none", quick: true },
    };
    // Hashing large files would take as long as a run.
    const identity = await ownIdentity(order.source);
    const first = await this.#make(asItIs, identity, undefined, (model) =>
      this.#place(model, options.replace ?? false),
    );
    const following = this.#follow(first, order)
      .catch((cause: unknown) => {
        if (first.unloaded) return;
        emit("engine:warning", {
          code: "NOT_OPTIMIZED",
          message: `model "${name}" goes on as it is, it could not be optimised: ${toTenonError(cause).message}`,
        });
      })
      .finally(() => this.#background.delete(following));
    this.#background.add(following);
    return first;
  }

  async #follow(first: Model, order: Order): Promise<void> {
    // The first request has the machine to itself.
    await sleep(FOLLOW_AFTER_MS, undefined, { signal: this.#ending.signal });
    const identity = await sourceKey(order.source, order.build, this.#cache, this.runtimeVersion);
    if (first.unloaded) return;
    const quiet = { ...order, options: { ...order.options, warmup: true } };
    const next = await this.#make(quiet, identity, this.#cache, (model) => {
      if (first.unloaded) throw gone(order.name);
      const versions = this.#models.get(order.name);
      if (versions?.get(order.version) === first) versions.set(order.version, model);
    });
    await (first.unloaded ? next.close() : first.supersede(next));
  }

  /** Loads and makes a model, and has it placed when it is ready. */
  async #make(
    order: Order,
    identity: Identity,
    cache: ModelCache | undefined,
    place: (model: Model) => void,
  ): Promise<Model> {
    const { source, name, version, options, build } = order;
    // Sessions are shared among those who trust the author alike.
    const shareKey = `${identity.key} ${source.trust}`;
    const shared = this.#share(shareKey, () =>
      this.#host === undefined
        ? loadModel(source, identity, build, cache)
        : this.#host.load(source, identity, build, cache, name),
    );
    let made: Model | undefined;
    try {
      const loaded = await shared.loaded;
      if (options.requireRank) assertRanks(name, loaded);
      options.accept?.(loaded.signature);
      const axis = await this.#axisOf(loaded, options);
      const maxRows = this.#maxRows(options);
      const costs = new CostModels(axis.batchable ? maxRows : 1, this.#hopMs);
      this.#assertOpen();
      const calibration = new Calibration(this.#budget, this.#cache);
      const model = new Model({
        name,
        version,
        loaded,
        axis,
        costs,
        budget: this.#budget,
        maxRows,
        maxDelayMs: options.batch?.maxDelayMs ?? 0,
        explicit: options.batch?.explicit,
        instances: options.instances,
        queueLimit: this.#options.queueLimit ?? DEFAULT_QUEUE_LIMIT,
        allowZero: options.allowZero ?? false,
        onRetire: () => this.#retire(model),
        onUnload: async () => {
          await calibration.stop();
          this.#alive.delete(model);
          await this.#unshare(shareKey);
        },
      });
      made = model;
      this.#alive.add(model);
      const cold = options.warmup === true ? await calibration.warmUp(model, axis) : undefined;
      // Nothing serves yet: such a model is better than none.
      if (cold !== undefined && this.#models.has(name)) throw cold;
      await options.prepare?.(model);
      this.#assertOpen();
      options.signal?.throwIfAborted();
      place(model);
      if (options.calibrate !== false) calibration.start(model, loaded, axis, costs);
      for (const finding of loaded.findings) {
        if (finding.severity !== "warning") continue;
        const { code, problem, where } = finding;
        emit("model:warning", { model: name, code, message: `${problem}: ${where}` });
      }
      emit("model:loaded", {
        model: name,
        version,
        milliseconds: loaded.milliseconds,
        cacheHit: loaded.cacheHit,
      });
      return model;
    } catch (error) {
      if (made === undefined) await this.#unshare(shareKey);
      else await made.close();
      throw isTenonError(error)
        ? error
        : new TenonError("INTERNAL", { problem: `model "${name}" could not be loaded`, cause: error });
    }
  }

  /** Resolves when no model of a quick start is being compiled any more. Never rejects. */
  async compiled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  /** A function that loads at its first call and then gives the same model; a failed load is tried again. */
  lazy(source: Source, options: LoadOptions = {}): () => Promise<Model> {
    let model: Promise<Model> | undefined;
    return () => {
      model ??= this.load(source, options).catch((error: unknown) => {
        model = undefined;
        throw error;
      });
      return model;
    };
  }

  /** A loaded model; without a version its highest. Throws MODEL_NOT_FOUND. */
  get(name: string, version?: string): Model {
    const versions = this.#models.get(name);
    const model = version === undefined ? newest(versions) : versions?.get(version);
    if (model !== undefined) return model;
    const known = [...this.#models.keys()];
    throw new TenonError("MODEL_NOT_FOUND", {
      problem:
        versions === undefined
          ? `no model "${name.slice(0, 128)}"`
          : `model "${name}" has no version ${String(version).slice(0, 32)}`,
      expected:
        versions !== undefined
          ? `one of ${[...versions.keys()].join(", ")}`
          : known.length === 0
            ? "no model is loaded"
            : suggest(name, known),
      details: { model: name, version: version ?? null, known: versions !== undefined },
    });
  }

  /** All loaded models. */
  models(): readonly Model[] {
    return [...this.#models.values()].flatMap((versions) => [...versions.values()]);
  }

  /** Rejects what waits, stops what runs and frees every model. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#alive].map((model) => model.close()));
    this.#ending.abort();
    await Promise.all(this.#background);
    await this.#host?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw new TenonError("ENGINE_CLOSED", { problem: "the engine was closed" });
  }

  #maxRows(options: LoadOptions): number {
    const max = options.batch?.max ?? "auto";
    if (max === "auto") return AUTO_MAX_ROWS;
    if (Number.isInteger(max) && max >= 1) return max;
    throw new TenonError("CONFIG_INVALID", {
      problem: "batch.max",
      given: String(max),
      expected: `"auto" or a positive integer`,
    });
  }

  #buildOptions(options: LoadOptions): BuildOptions {
    const providers = (this.#options.providers ?? ["cpu"]).filter(
      (provider) => provider.toLowerCase() !== "cpu",
    );
    return {
      optimization: options.optimization ?? "all",
      config: options.sessionConfig ?? {},
      providers: providers.map((name) => ({ name })),
    };
  }

  #share(key: string, load: () => Promise<Loaded>): Shared {
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      shared = { loaded: load(), handles: 0 };
      shared.loaded.catch(() => this.#shared.delete(key));
      this.#shared.set(key, shared);
    }
    shared.handles++;
    return shared;
  }

  async #unshare(key: string): Promise<void> {
    const shared = this.#shared.get(key);
    if (shared === undefined || --shared.handles > 0) return;
    this.#shared.delete(key);
    const loaded = await shared.loaded.catch(() => undefined);
    await loaded?.session.release();
  }

  /** From here on `get` gives this model; one that had its place answers what it accepted and goes. */
  #place(model: Model, replace: boolean): void {
    const { name, version } = model;
    const versions = this.#models.get(name) ?? new Map<string, Model>();
    const old = versions.get(version);
    if (old !== undefined && !replace) throw taken(name, version);
    this.#models.set(name, versions.set(version, model));
    old?.unload().catch((cause: unknown) => {
      emit("engine:warning", {
        code: "UNLOAD_FAILED",
        message: `model "${name}" was not freed: ${String(cause)}`,
      });
    });
  }

  /** `get` does not give this model any more. */
  #retire(model: Model): void {
    const versions = this.#models.get(model.name);
    if (versions?.get(model.version) !== model) return;
    versions.delete(model.version);
    if (versions.size === 0) this.#models.delete(model.name);
  }

  /** The proof is remembered: it depends on the model's content and on this machine's kernels, which are in the key. */
  async #axisOf(loaded: Loaded, options: LoadOptions): Promise<BatchAxis> {
    if (options.batch?.max === 1)
      return { batchable: false, reason: "batching is switched off (batch.max is 1)" };
    const obstacle = declaredObstacle(loaded.signature);
    if (obstacle !== undefined) return { batchable: false, reason: obstacle };
    const { signature } = loaded.session;
    const axis = await this.#proved(loaded, "batch-axis", (lane) => proveBatchAxis(signature, lane));
    // Rules for batches say which requests share a run.
    if (!axis.batchable || options.batch?.explicit !== undefined) return axis;
    const padding = await this.#proved(loaded, PADDING_NOTE, (lane) =>
      provePadding(signature, lane, probedLength(signature, axis)),
    );
    return { ...axis, padding };
  }

  async #proved<T>(loaded: Loaded, note: string, prove: (lane: RunLane) => Promise<T>): Promise<T> {
    const known = await this.#cache?.readNote<T>(loaded.key, note);
    if (known !== undefined) return known;
    const lane = loaded.session.lane(new OutputShapes(loaded.session.signature), new BufferPool(0));
    try {
      const proof = await prove(lane);
      await this.#cache?.writeNote(loaded.key, note, proof);
      return proof;
    } finally {
      lane.dispose();
    }
  }
}

/** Raised when what is proved of padding changes. */
const PADDING_NOTE = "padding-2";

/** The size of free dims at which the batch axis was proved; 8 where none is free. */
function probedLength(signature: Signature, { probe }: BatchAxis): number {
  const sizes = signature.inputs.flatMap(({ dims }, i) =>
    dims!.flatMap((dim, axis) => (axis > 0 && typeof dim !== "number" ? [probe![i]![axis]!] : [])),
  );
  return sizes[0] ?? 8;
}

/** Windows has no shared memory of ours yet: models run inline there. */
function isolationOf(options: EngineOptions): Isolation {
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

function lanesOf(options: EngineOptions, isolation: Isolation): number {
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

function newest(versions: ReadonlyMap<string, Model> | undefined): Model | undefined {
  let best: Model | undefined;
  for (const model of versions?.values() ?? [])
    if (best === undefined || BigInt(model.version) > BigInt(best.version)) best = model;
  return best;
}

/** A model in memory goes on using the files in which its weights lie. */
async function sourceOf(source: Source, baseDir: string | undefined): Promise<Omit<ModelSource, "trust">> {
  // A model process works in another folder.
  const base = baseDir === undefined ? undefined : resolve(baseDir);
  if (typeof source === "string") return { from: resolve(source), baseDir: base };
  if (source instanceof Uint8Array) return { from: source, baseDir: base };
  const { writeBeside } = await import("../onnx/index.js");
  const { bytes, folder } = writeBeside(source);
  return { from: bytes, baseDir: folder ?? base, structure: source };
}

function gone(name: string): TenonError {
  return new TenonError("ENGINE_CLOSED", { problem: `model "${name}" was unloaded` });
}

function taken(name: string, version: string): TenonError {
  return new TenonError("USAGE", {
    problem: `model "${name}" version ${version} is already loaded`,
    do: "give another name or version, or unload it first",
  });
}

function assertRanks(name: string, loaded: Loaded): void {
  const input = loaded.signature.inputs.find((spec) => spec.dims === undefined);
  if (input === undefined) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: `model "${name}" does not declare the rank of input "${input.name}"`,
    expected: "declared ranks: requests of any rank could crash the native kernels",
    do: "export the model with input shapes",
  });
}
