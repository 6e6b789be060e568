/** ModelRepository: the models of a server by name, which of them are there, and why others are not. */
import {
  ERROR_CODES,
  formatDuration,
  isTenonError,
  type Knobs,
  TenonError,
  toTenonError,
} from "../base/index.js";
import type { Engine, LoadOptions, Model, Source } from "../runtime/index.js";
import { readFolderConfig, setLabels } from "./config/model-folder.js";

/** A model that can be loaded. */
export interface RepositoryEntry {
  readonly name: string;
  /** A decimal number above 0. */
  readonly version: string;
  readonly path: string;
  /** A `config.pbtxt` that belongs to it. */
  readonly config?: string | undefined;
}

export interface RepositoryOptions extends Partial<Pick<Knobs, "modelControl" | "loadTimeout">> {
  /** What there is to load now, the newest version of each name; asked for at every load. Default: nothing. */
  readonly list?: () => Promise<readonly RepositoryEntry[]>;
  /** What to load for an entry's path. Default: the path, which is then a model file. */
  readonly open?: (path: string) => Promise<Source>;
  /** How models are loaded. */
  readonly load?: Pick<LoadOptions, "warmup" | "trust" | "batch" | "optimization" | "sessionConfig">;
}

export type ModelState = "READY" | "UNAVAILABLE" | "LOADING" | "UNLOADING";

/** One line of the repository's index. */
export interface IndexRow {
  readonly name: string;
  readonly version?: string;
  readonly state?: ModelState;
  readonly reason?: string;
}

interface Note {
  readonly version: string;
  readonly state: Exclude<ModelState, "READY">;
  readonly reason: string;
}

/** Where models come from and go to. One for each engine that is served. */
export class ModelRepository {
  readonly #engine: Engine;
  readonly #options: RepositoryOptions;
  /** What is known of a name besides the models that serve; the newest event counts. */
  readonly #notes = new Map<string, Note>();
  /** The end of the last load of each name: loads of one name follow each other. */
  readonly #loading = new Map<string, Promise<unknown>>();

  constructor(engine: Engine, options: RepositoryOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** True when clients may load and unload. */
  get explicit(): boolean {
    return this.#options.modelControl === "explicit";
  }

  /** Names of the protocol's extensions that this makes up. */
  get extensions(): readonly string[] {
    return this.explicit ? ["model_repository", "model_repository(unload_dependents)"] : [];
  }

  /** A model that serves. Throws MODEL_NOT_FOUND. */
  get(name: string, version?: string): Model {
    try {
      return this.#engine.get(name, version);
    } catch (error) {
      if (!isTenonError(error, "MODEL_NOT_FOUND") || !this.#notes.has(name)) throw error;
      const details = { ...error.details, unloaded: error.details.known === false };
      throw new TenonError("MODEL_NOT_FOUND", { problem: error.problem, details });
    }
  }

  /** Everything that serves or could, by name. */
  async index(readyOnly: boolean): Promise<readonly IndexRow[]> {
    const rows: IndexRow[] = [];
    const serving = this.#engine.models();
    for (const { name, version } of serving) {
      const note = this.#notes.get(name);
      const reason = note?.state === "UNAVAILABLE" && note.version === version ? { reason: note.reason } : {};
      rows.push({ name, version, state: "READY", ...reason });
    }
    if (readyOnly) return rows.sort(byName);
    for (const [name, { version, state, reason }] of this.#notes) {
      if (state === "UNAVAILABLE" && rows.some((row) => row.name === name && row.version === version))
        continue;
      rows.push({ name, version, state, ...(reason === "" ? {} : { reason }) });
    }
    for (const { name } of (await this.#options.list?.()) ?? []) {
      if (!rows.some((row) => row.name === name)) rows.push({ name });
    }
    return rows.sort(byName);
  }

  /**
   * Loads the newest version of a name beside what serves now, and takes its place when it is warmed up and checked;
   * the old one answers what it accepted. When that fails, what serves goes on, and the index tells the reason.
   * Throws MODEL_NOT_FOUND when there is none, and what `Engine.load` throws.
   */
  async load(name: string): Promise<Model> {
    const entries = (await this.#options.list?.()) ?? [];
    const entry = entries.find((candidate) => candidate.name === name);
    if (entry !== undefined) return this.loadEntry(entry);
    throw new TenonError("MODEL_NOT_FOUND", {
      problem: `the repository has no model "${name}"`,
      details: { model: name, version: null, known: false },
    });
  }

  /** As `load`, for an entry that is known already. */
  loadEntry(entry: RepositoryEntry): Promise<Model> {
    const before = this.#loading.get(entry.name) ?? Promise.resolve();
    const loading = before.then(
      () => this.#loadNow(entry),
      () => this.#loadNow(entry),
    );
    this.#loading.set(entry.name, loading);
    const done = (): void => {
      if (this.#loading.get(entry.name) === loading) this.#loading.delete(entry.name);
    };
    loading.then(done, done);
    return loading;
  }

  async #loadNow({ name, version, path, config }: RepositoryEntry): Promise<Model> {
    this.#notes.set(name, { version, state: "LOADING", reason: "" });
    let model: Model;
    try {
      const { load = {} } = this.#options;
      const own = config === undefined ? undefined : await readFolderConfig(config, name, version);
      model = await this.#inTime(async (signal) => {
        const source = (await this.#options.open?.(path)) ?? path;
        return this.#engine.load(source, {
          ...load,
          name,
          version,
          requireRank: true,
          ...(own?.batch === undefined ? {} : { batch: own.batch }),
          ...(own === undefined ? {} : { accept: own.check }),
          replace: true,
          signal,
        });
      });
      if (own !== undefined) setLabels(model, own.labels);
    } catch (thrown) {
      const error = toTenonError(thrown);
      this.#notes.set(name, { version, state: "UNAVAILABLE", reason: reasonOf(error) });
      throw error;
    }
    this.#notes.delete(name);
    for (const other of this.#engine.models()) if (other.name === name && other !== model) this.#end(other);
    return model;
  }

  /** Gives a load up when it takes too long; the model takes no place then. */
  async #inTime(start: (signal: AbortSignal) => Promise<Model>): Promise<Model> {
    const { loadTimeout } = this.#options;
    const controller = new AbortController();
    const loading = start(controller.signal);
    if (loadTimeout === undefined) return loading;
    const late = new TenonError("MODEL_UNAVAILABLE", {
      problem: `loading took longer than ${formatDuration(loadTimeout)}`,
      do: "raise --load-timeout, or start with --warmup off",
    });
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        controller.abort(late);
        reject(late);
      }, loadTimeout);
    });
    try {
      return await Promise.race([loading, limit]);
    } finally {
      clearTimeout(timer);
      // Nobody hears of a load that was given up.
      loading.catch(() => undefined);
    }
  }

  /** Takes a name out of service; what was accepted is still answered. Unknown names are nothing to do. */
  unload(name: string): void {
    for (const model of this.#engine.models()) {
      if (model.name !== name) continue;
      this.#notes.set(name, { version: model.version, state: "UNLOADING", reason: "" });
      this.#end(model, () => {
        if (this.#notes.get(name)?.state !== "UNLOADING") return;
        this.#notes.set(name, { version: model.version, state: "UNAVAILABLE", reason: "unloaded" });
      });
    }
  }

  #end(model: Model, done: () => void = () => undefined): void {
    model.unload().then(done, (thrown: unknown) => {
      const reason = reasonOf(toTenonError(thrown));
      this.#notes.set(model.name, { version: model.version, state: "UNAVAILABLE", reason });
    });
  }
}

/** The code and its sentence: the message may hold paths. */
export function reasonOf({ code }: TenonError): string {
  return `${code}: ${ERROR_CODES[code].replace(/\.$/, "")}`;
}

function byName(a: IndexRow, b: IndexRow): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : Number(a.version ?? 0) - Number(b.version ?? 0);
}
