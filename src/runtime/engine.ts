/** Engine: the models of a process, their shared lanes and cache; everything it opens it closes. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { emit, isTenonError, TenonError, toTenonError } from "../base/index.js";
import { defaultCacheFolder, ModelCache } from "./cache.js";
import { Calibration } from "./calibrate.js";
import { Catalog, taken } from "./catalog.js";
import { CostModels } from "./cost-model.js";
import {
  buildOptionsOf,
  DEFAULT_CACHE_BYTES,
  DEFAULT_QUEUE_LIMIT,
  type EngineOptions,
  isolationOf,
  type LoadOptions,
  lanesOf,
  maxRowsOf,
  type Source,
} from "./engine-options.js";
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
import { poolThreads, usableCores } from "./machine.js";
import { type MadeSource, madeKey, recallMade, rememberMade } from "./made.js";
import { Model } from "./model.js";
import { modelNameOf } from "./model-name.js";
import { ortLibrary } from "./ort/library.js";
import { lowerPoolPriority } from "./pool-priority.js";
import type { ModelSource } from "./prepare.js";
import { axisOf } from "./proofs.js";
import type { ProcessHost } from "./runner/process-host.js";
import { SharedSessions } from "./shared-sessions.js";

/** Milliseconds to a model process and back, at first; learned from then on. */
const PROCESS_HOP_MS = 0.08;

/** When a model that answers already begins to be compiled. */
const FOLLOW_AFTER_MS = 500;

/** A model to load, as it was asked for. */
interface Order {
  readonly source: ModelSource;
  readonly name: string;
  readonly version: string;
  readonly options: LoadOptions;
  readonly build: BuildOptions;
}

export class Engine {
  /** Version of the ONNX Runtime library. */
  readonly runtimeVersion: string;
  readonly #options: EngineOptions;
  readonly #cache: ModelCache | undefined;
  readonly #budget: LaneBudget;
  readonly #hopMs: number;
  readonly #host: ProcessHost | undefined;
  readonly #models = new Catalog();
  /** Every model that is not freed yet: also those that are prepared, or unloaded and still answering. */
  readonly #alive = new Set<Model>();
  readonly #sessions = new SharedSessions();
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
      const { ProcessHost: Host } = await import("./runner/process-host.js"); // many files
      const host = await Host.open({ ...bounds, lanes, group, cacheMaxBytes }, first);
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
    return await this.#load(source, options, () => undefined);
  }

  async #load(
    source: Source,
    options: LoadOptions,
    identified: (identity: Identity) => void,
  ): Promise<Model> {
    this.#assertOpen();
    const given = await sourceOf(source, options.baseDir);
    const order: Order = {
      source: { ...given, trust: options.trust ?? "pinned" },
      name: modelNameOf(given.from, options.name),
      version: options.version ?? "1",
      options,
      build: buildOptionsOf(this.#options, options),
    };
    this.#assertFree(order);
    if (options.quickStart && !(await this.#isCompiled(order))) return await this.#quickStart(order);

    const identity = await sourceKey(order.source, order.build, this.#cache, this.runtimeVersion);
    identified(identity);
    return await this.#make(order, identity, this.#cache, (model) =>
      this.#models.place(model, options.replace ?? false),
    );
  }

  /**
   * `load` for a model that takes time to make: it is not made where what came of it is in the cache. `about` is what `make`
   * told of it then. Throws what `load` and `make` throw.
   */
  async loadMade<T>(
    source: MadeSource<T>,
    options: LoadOptions & { readonly name: string },
  ): Promise<{ readonly model: Model; readonly about: T }> {
    this.#assertOpen();
    // Another process has no way to make it.
    const cache = this.#host === undefined ? this.#cache : undefined;
    const build = buildOptionsOf(this.#options, options);
    const made = cache === undefined ? undefined : await madeKey(source, build, this.runtimeVersion);
    const known = made === undefined ? undefined : await recallMade(source, made, cache!);
    if (known !== undefined) {
      const late = async () => await sourceOf((await source.make()).model, options.baseDir);
      const { name, version = "1", trust = "pinned" } = options;
      const from = { from: new Uint8Array(0), baseDir: undefined, trust, late };
      const order = { source: from, name, version, options, build };
      this.#assertFree(order);
      const model = await this.#make(order, known.identity, cache, (each) =>
        this.#models.place(each, options.replace ?? false),
      );
      return { model, about: known.about };
    }
    const { model: structure, about } = await source.make();
    let identity: Identity | undefined;
    const model = await this.#load(structure, options, (each) => {
      identity = each;
    });
    // Parts that changed meanwhile may have been read before or after.
    if (
      made !== undefined &&
      identity?.hashed &&
      (await madeKey(source, build, this.runtimeVersion)) === made
    )
      await rememberMade(made, identity, about, cache!);
    return { model, about };
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
      this.#models.place(model, options.replace ?? false),
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
      this.#models.supersede(first, model);
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
    const session = this.#sessions.acquire(shareKey, () =>
      this.#host === undefined
        ? loadModel(source, identity, build, cache)
        : this.#host.load(source, identity, build, cache, name),
    );
    let made: Model | undefined;
    try {
      const loaded = await session.loaded;
      if (options.requireRank) assertRanks(name, loaded);
      options.accept?.(loaded.signature);
      const axis = await axisOf(loaded, this.#cache, options);
      const maxRows = maxRowsOf(options);
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
        onRetire: () => this.#models.retire(model),
        onUnload: async () => {
          await calibration.stop();
          this.#alive.delete(model);
          await session.release();
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
      if (made === undefined) await session.release();
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
    return this.#models.get(name, version);
  }

  /** All loaded models. */
  models(): readonly Model[] {
    return this.#models.all();
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

  /** Throws USAGE for a version that is none, and a name that is taken. */
  #assertFree({ name, version, options }: Order): void {
    if (!/^[0-9]+$/.test(version))
      throw new TenonError("USAGE", { problem: "model version", given: version, expected: "decimal digits" });
    if (!options.replace && this.#models.has(name, version)) throw taken(name, version);
  }

  #assertOpen(): void {
    if (this.#closing !== undefined)
      throw new TenonError("ENGINE_CLOSED", { problem: "the engine was closed" });
  }
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

function assertRanks(name: string, loaded: Loaded): void {
  const input = loaded.signature.inputs.find((spec) => spec.dims === undefined);
  if (input === undefined) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: `model "${name}" does not declare the rank of input "${input.name}"`,
    expected: "declared ranks: requests of any rank could crash the native kernels",
    do: "export the model with input shapes",
  });
}
