/** ProcessHost: an engine's model processes; keeps one warm, and loads models into them. */
import { dirname } from "node:path";
import type { ModelCache } from "../cache.js";
import type { FirstProcess } from "../first-process.js";
import type { BuildOptions, Identity, Loaded } from "../load.js";
import type { ModelSource } from "../prepare.js";
import type { LoadedReply } from "./loaded-reply.js";
import type { ModelProcess } from "./model-process.js";
import { PROCESS_DEFAULTS, type ProcessSettings } from "./process-settings.js";
import { Quarantine } from "./quarantine.js";
import { RemoteSession } from "./remote-session.js";
import { startProcess } from "./start-process.js";
import { SPARE_AFTER_MS, Supervisor, type Tenant } from "./supervisor.js";

const WEIGHTS_FACTOR = 3;
const HEADROOM = 2 ** 30;

export class ProcessHost {
  readonly options: ProcessSettings;
  /** Version of ONNX Runtime in the processes. */
  readonly version: string;
  readonly #supervisors = new Set<Supervisor>();
  #shared: Supervisor | undefined;
  #spare: Promise<ModelProcess> | undefined;
  #sparing: NodeJS.Timeout | undefined;
  #models = 0;
  #closed = false;

  private constructor(options: ProcessSettings, first: ModelProcess) {
    this.options = options;
    this.version = first.version;
    this.#spare = Promise.resolve(first);
  }

  /** Starts the first process. Throws ENGINE_LIBRARY or MODEL_UNAVAILABLE. */
  static async open(
    options: Partial<ProcessSettings> & Pick<ProcessSettings, "lanes" | "group" | "cacheMaxBytes">,
    first?: FirstProcess,
  ): Promise<ProcessHost> {
    const settings = { ...PROCESS_DEFAULTS, ...options };
    const { lanes } = settings;
    if (first?.lanes === lanes) return new ProcessHost(settings, await first.started);
    first?.started.then(
      (process) => process.stop(),
      () => undefined,
    );
    return new ProcessHost(settings, await startProcess(lanes));
  }

  /** A process without models; another is started in its place, at once or `later`. */
  async take(when: "now" | "later"): Promise<ModelProcess> {
    for (;;) {
      const spare = this.#spare;
      this.#spare = undefined;
      const process = await (spare ?? startProcess(this.options.lanes));
      if (!process.alive) continue;
      if (when === "now") this.#prepareSpare();
      else this.#sparing ??= setTimeout(() => this.#prepareSpare(), SPARE_AFTER_MS).unref();
      return process;
    }
  }

  #prepareSpare(): void {
    clearTimeout(this.#sparing);
    this.#sparing = undefined;
    if (this.#spare !== undefined || this.options.spare === "none" || this.#closed) return;
    const spare = startProcess(this.options.lanes);
    this.#spare = spare;
    spare.catch(() => {
      if (this.#spare === spare) this.#spare = undefined;
    });
  }

  /** Loads a model into a process of its own, or the shared one. Throws as `loadModel`, MODEL_CRASHED or MODEL_UNAVAILABLE. */
  async load(
    source: ModelSource,
    identity: Identity,
    build: BuildOptions,
    cache: ModelCache | undefined,
    name: string,
  ): Promise<Loaded> {
    const supervisor = this.options.group ? (this.#shared ??= new Supervisor(this)) : new Supervisor(this);
    this.#supervisors.add(supervisor);
    const startedAt = performance.now();
    const quarantine = new Quarantine();
    const tenant = (threads: number, wideOf: number | null): Tenant => ({
      name,
      from: source.from,
      quarantine,
      message: {
        model: this.#models++,
        baseDir: source.baseDir ?? null,
        trust: source.trust,
        identity,
        build,
        cache: cache === undefined ? null : { folder: cache.folder, maxBytes: this.options.cacheMaxBytes },
        threads,
        wideOf,
        growth: this.#growth([identity.bytes]) ?? null,
        folder: this.options.group ? null : folderOf(source),
      },
    });
    const first = tenant(1, null);
    const remote = async (model: Tenant): Promise<LoadedReply & { session: RemoteSession }> => {
      const reply = await supervisor.add(model);
      return { ...reply, session: new RemoteSession(supervisor, model, reply.signature) };
    };
    try {
      const { session, cacheHit, findings } = await remote(first);
      return {
        key: identity.key,
        session,
        signature: session.signature,
        cacheHit,
        milliseconds: performance.now() - startedAt,
        bytes: identity.bytes,
        findings,
        widen: async (threads) =>
          cache === undefined ? undefined : (await remote(tenant(threads, first.message.model))).session,
      };
    } catch (error) {
      await supervisor.remove(first);
      throw error;
    }
  }

  #growth(weights: readonly number[]): number | undefined {
    const { memoryLimit } = this.options;
    if (memoryLimit === "off") return undefined;
    if (memoryLimit !== "auto") return memoryLimit;
    return WEIGHTS_FACTOR * weights.reduce((sum, bytes) => sum + bytes, 0) + HEADROOM;
  }

  /** Resident bytes that a process with these models may reach. */
  rssLimit(tenants: readonly Tenant[]): number | undefined {
    const own = tenants.filter(({ message }) => message.wideOf === null);
    return this.#growth(own.map(({ message }) => message.identity.bytes));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#sparing);
    const spare = this.#spare;
    this.#spare = undefined;
    await Promise.all([
      ...[...this.#supervisors].map((supervisor) => supervisor.close()),
      spare?.then(
        (process) => process.stop(),
        () => undefined,
      ),
    ]);
  }
}

function folderOf({ from, baseDir }: ModelSource): string | null {
  return baseDir ?? (typeof from === "string" ? dirname(from) : null);
}
