/** ModelRepository: the models of a server by name, which of them are there, and why others are not. */
import { dirname, join } from "node:path";
import {
  ERROR_CODES,
  formatDuration,
  isTenonError,
  KNOBS,
  type Knobs,
  TenonError,
  toTenonError,
} from "../base/index.js";
import { type Engine, isModelName, type LoadOptions, type Model, type Source } from "../runtime/index.js";
import type { ConfigFile } from "./config/config-file.js";
import { ConfiguredModel } from "./config/configured-model.js";
import { entryConfig } from "./config/entry-config.js";
import { planOf } from "./config/model-folder.js";
import { type ModelJson, readModelJson } from "./config/model-json.js";
import { configOfFile } from "./config/served-config.js";
import { servedVersions } from "./config/version-policy.js";
import { warmUp } from "./config/warm-up.js";
import { loadOrder } from "./ensemble/composition.js";
import { ensemblePlan, isEnsemble } from "./ensemble/plan.js";
import { EnsembleSet } from "./ensemble/set.js";
import { type LoadOverride, OverrideFolder } from "./load-override.js";
import { LoadTogether } from "./load-together.js";
import type { RepositoryEntry } from "./repository-entry.js";
import { Residency } from "./residency.js";
import type { Rollout, RolloutReport } from "./rollout/rollout.js";
import { Rollouts } from "./rollout/rollouts.js";
import { type Finder, type ServedModel, serveAs, servedOf } from "./served-model.js";
import { ResponseCache } from "./sharing/response-cache.js";
import { Sharing } from "./sharing/sharing.js";

export interface RepositoryOptions
  extends Partial<Pick<Knobs, "modelControl" | "loadTimeout" | "responseCache" | "residentMax">> {
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
  readonly state: Exclude<ModelState, "READY">;
  readonly reason: string;
}

/** Where models come from and go to. One for each engine that is served. */
export class ModelRepository {
  readonly #engine: Engine;
  readonly #options: RepositoryOptions;
  readonly #cache: ResponseCache | undefined;
  /** What is known of a name's versions besides the models that serve; the newest event counts. */
  readonly #notes = new Map<string, Map<string, Note>>();
  /** The end of the last load of each name: loads of one name follow each other. */
  readonly #loading = new Map<string, Promise<unknown>>();

  readonly #residency: Residency | undefined;
  readonly #rollouts = new Rollouts();
  readonly #ensembles = new EnsembleSet((name, version) => this.get(name, version));

  /** Files that came with load requests, by the models that were made of them. */
  readonly #folders = new Map<string, OverrideFolder>();

  constructor(engine: Engine, options: RepositoryOptions = {}) {
    this.#engine = engine;
    this.#options = options;
    const bytes = options.responseCache ?? KNOBS.responseCache.default;
    this.#cache = bytes > 0 ? new ResponseCache(bytes) : undefined;
    const maxBytes = options.residentMax ?? KNOBS.residentMax.default;
    if (maxBytes > 0) {
      this.#residency = new Residency({
        maxBytes,
        load: (entry) => this.loadEntry(entry),
        unload: (name) => this.#unloadModels(name, false),
        isNeeded: (name) => this.#isNeeded(name),
      });
    }
  }

  /** True when clients may load and unload. */
  get explicit(): boolean {
    return this.#options.modelControl === "explicit";
  }

  /** Names of the protocol's extensions that this makes up. */
  get extensions(): readonly string[] {
    return this.explicit ? ["model_repository", "model_repository(unload_dependents)"] : [];
  }

  /**
   * What gives the model that answers one request: the same one at each call, unless it was replaced. With a rollout
   * it is one of the two versions, by turns.
   */
  finder(name: string, version?: string): Finder {
    this.#residency?.use(name);
    const rollout = version === undefined ? this.#rollouts.find(name) : undefined;
    if (rollout === undefined) {
      const find = (): ServedModel => this.get(name, version);
      return this.#residency === undefined ? find : Object.assign(find, { wake: () => this.wake(name) });
    }
    const drawn = rollout.draw();
    return () => (this.#rollouts.find(name) === rollout ? drawn : this.get(name));
  }

  /** Resolves when a model that slept to make room is loaded again; undefined for all others. */
  wake(name: string): Promise<unknown> | undefined {
    return this.#residency?.wake(name);
  }

  /** Whether a model answers, be it after it was loaded again. */
  isReady(name: string, version: string | undefined): boolean {
    if (this.#serves(name, version)) return true;
    const asleep = this.#residency?.asleep.find((entry) => entry.name === name);
    return asleep !== undefined && (version === undefined || asleep.version === version);
  }

  #isNeeded(name: string): boolean {
    const own = this.models().filter((model) => model.name === name);
    return (
      own.some((model) => model.waiting > 0 || configOfFile(model)?.sequence_batching !== undefined) ||
      this.#rollouts.find(name) !== undefined ||
      this.#ensembles.needs(name)
    );
  }

  /** A model that serves; without a version its newest, or the stable one of a rollout. Throws MODEL_NOT_FOUND. */
  get(name: string, version?: string): ServedModel {
    const rollout = version === undefined ? this.#rollouts.find(name) : undefined;
    if (rollout !== undefined) return rollout.stable;
    const ensemble = this.#ensembles.get(name, version);
    if (ensemble !== undefined) return ensemble;
    try {
      return servedOf(this.#engine.get(name, version));
    } catch (error) {
      if (!isTenonError(error, "MODEL_NOT_FOUND") || !this.#isKnown(name)) throw error;
      const details = { ...error.details, unloaded: error.details.known === false };
      throw new TenonError("MODEL_NOT_FOUND", { problem: error.problem, details });
    }
  }

  #isKnown(name: string): boolean {
    return (this.#notes.get(name)?.size ?? 0) > 0 || this.#ensembles.has(name);
  }

  /** Every model that serves. */
  models(): readonly ServedModel[] {
    return [...this.#engine.models().map(servedOf), ...this.#ensembles.models()];
  }

  /** Everything that serves or could, by name. */
  async index(readyOnly: boolean): Promise<readonly IndexRow[]> {
    const rows: IndexRow[] = [];
    const serving = this.models();
    for (const { name, version } of serving) {
      const note = this.#notes.get(name)?.get(version);
      const reason = note?.state === "UNAVAILABLE" ? { reason: note.reason } : {};
      rows.push({ name, version, state: "READY", ...reason });
    }
    for (const { name, version } of this.#residency?.asleep ?? [])
      rows.push({ name, version, state: "READY", reason: "unloaded until its next request" });
    if (readyOnly) return rows.sort(byName);
    for (const [name, notes] of this.#notes) {
      for (const [version, { state, reason }] of notes) {
        if (state === "UNAVAILABLE" && rows.some((row) => row.name === name && row.version === version))
          continue;
        rows.push({ name, version, state, ...(reason === "" ? {} : { reason }) });
      }
    }
    for (const { name, version, reason } of this.#ensembles.waiting())
      rows.push({ name, version, state: "UNAVAILABLE", reason });
    for (const { name } of (await this.#options.list?.()) ?? []) {
      if (!rows.some((row) => row.name === name)) rows.push({ name });
    }
    return rows.sort(byName);
  }

  /**
   * Loads the versions of a name that its configuration wants (the newest, without one) beside what serves now, and
   * takes its place when they are warmed up and checked; the old ones answer what they accepted. When one of them
   * fails, what serves goes on, and the index tells the reason.
   * `override` takes the place of the configuration, and of all files where it has some.
   * Throws MODEL_NOT_FOUND when there is none, and what `Engine.load` throws.
   */
  async load(name: string, override?: LoadOverride): Promise<readonly ServedModel[]> {
    if (override !== undefined && override.files.size > 0) return this.#loadFiles(name, override);
    const entries = (await this.#options.list?.()) ?? [];
    const entry = entries.find((candidate) => candidate.name === name);
    if (entry !== undefined) return this.loadEntry(entry, override?.config);
    throw new TenonError("MODEL_NOT_FOUND", {
      problem: `the repository has no model "${name}"`,
      details: { model: name, version: null, known: false },
    });
  }

  /** Throws REQUEST_NOT_FOUND. */
  rollout(name: string): Rollout {
    return this.#rollouts.get(name);
  }

  /**
   * Loads another version beside the one that answers, which gets `percent` of the requests; with `mirror` their
   * outputs are compared. Throws REQUEST_INVALID, MODEL_NOT_FOUND, and what a load throws.
   */
  async beginRollout(name: string, version: string, percent: number, mirror: boolean): Promise<Rollout> {
    const stable = this.get(name);
    const entry = ((await this.#options.list?.()) ?? []).find((candidate) => candidate.name === name);
    const files = (entry?.versions ?? []).find((one) => one.version === version);
    if (stable.version === version || files === undefined || this.#ensembles.has(name)) {
      const problem =
        stable.version === version
          ? `version ${version} of model '${name}' is the one that answers`
          : `the repository has no version ${version} of model '${name}'`;
      throw new TenonError("REQUEST_INVALID", { problem });
    }
    // Before the load: a newer version would answer everything as soon as it is there.
    const rollout = this.#rollouts.open(stable, version, mirror);
    try {
      const [candidate] = await this.loadEntry(
        { ...entry!, ...files, versions: [files] },
        undefined,
        undefined,
        true,
      );
      this.#rollouts.start(rollout, candidate!, percent);
    } catch (error) {
      if (this.#rollouts.find(name) === rollout) this.endRollout(name, false);
      throw error;
    }
    return rollout;
  }

  /** Ends a rollout: `promote` leaves the candidate, else the stable version. Throws REQUEST_NOT_FOUND. */
  endRollout(name: string, promote: boolean): RolloutReport {
    const rollout = this.#rollouts.get(name);
    this.#rollouts.close(name);
    const gone = promote ? rollout.stable.version : rollout.candidateVersion;
    for (const model of this.#engine.models())
      if (model.name === name && model.version === gone) this.#end(model);
    return rollout.report();
  }

  /** Loads files that came with the request; they stay while their model may be started anew. */
  async #loadFiles(name: string, override: LoadOverride): Promise<readonly ServedModel[]> {
    if (!isModelName(name)) {
      throw new TenonError("REQUEST_INVALID", { problem: `failed to load: no model can be named so` });
    }
    const folder = await OverrideFolder.write(override.files);
    const versions = folder.versions(override.files);
    const entry = { name, ...versions[0]!, versions, folder: folder.path };
    return this.loadEntry(entry, override.config, folder);
  }

  /** As `load`, for an entry that is known already. `beside`: what serves goes on, and this version with it. */
  loadEntry(
    entry: RepositoryEntry,
    config?: string,
    folder?: OverrideFolder,
    beside = false,
  ): Promise<readonly ServedModel[]> {
    const before = this.#loading.get(entry.name) ?? Promise.resolve();
    const load = (): Promise<readonly ServedModel[]> => this.#loadKeeping(entry, config, folder, beside);
    const loading = before.then(load, load);
    this.#loading.set(entry.name, loading);
    const done = (): void => {
      if (this.#loading.get(entry.name) === loading) this.#loading.delete(entry.name);
    };
    loading.then(done, done);
    return loading;
  }

  /** Loads, and keeps or drops the files that came with the request. */
  async #loadKeeping(
    entry: RepositoryEntry,
    config: string | undefined,
    folder: OverrideFolder | undefined,
    beside: boolean,
  ): Promise<readonly ServedModel[]> {
    try {
      const models = await this.#loadNow(entry, config, beside);
      if (beside) return models;
      this.#ensembles.review();
      // Files that came with a request are gone when their model is unloaded.
      if (folder === undefined && config === undefined && !this.#ensembles.has(entry.name))
        await this.#residency?.loaded(entry);
      else this.#residency?.forget(entry.name);
      await this.#folders.get(entry.name)?.remove();
      if (folder === undefined) this.#folders.delete(entry.name);
      else this.#folders.set(entry.name, folder);
      return models;
    } catch (error) {
      await folder?.remove();
      throw error;
    }
  }

  async #loadNow(
    entry: RepositoryEntry,
    given: string | undefined,
    beside: boolean,
  ): Promise<readonly ServedModel[]> {
    const { name } = entry;
    const notes = new Map<string, Note>();
    this.#notes.set(name, notes);
    notes.set(entry.version, { state: "LOADING", reason: "" });
    let failing = entry.version;
    let models: readonly Model[];
    try {
      const file = await entryConfig(entry, given);
      const sharing = this.#sharingOf(file, await readModelJson(entry.folder, name));
      if (file !== undefined && isEnsemble(file))
        return [await this.#loadEnsemble(entry, file, notes, sharing)];
      const versions = beside ? [entry] : servedVersions(file, entry.versions ?? [entry]);
      const plan = file === undefined ? undefined : await planOf(file, sharing);
      notes.clear();
      for (const { version } of versions) notes.set(version, { state: "LOADING", reason: "" });
      const together = new LoadTogether(versions.length);
      models = await this.#inTime((signal) =>
        together.all(versions, async ({ version, path }, ready, stop) => {
          const file = plan?.modelFile === undefined ? path : join(dirname(path), plan.modelFile);
          try {
            const source = (await this.#options.open?.(file)) ?? file;
            return await this.#engine.load(source, {
              ...this.#options.load,
              ...plan?.options,
              name,
              version,
              requireRank: true,
              prepare: async (model) => {
                if (plan === undefined && sharing !== undefined)
                  serveAs(model, new ConfiguredModel(model, model.maxBatch, sharing));
                await plan?.options.prepare?.(model);
                await ready();
              },
              replace: true,
              signal: AbortSignal.any([signal, stop]),
            });
          } catch (error) {
            if (!stop.aborted) failing = version;
            throw error;
          }
        }),
      );
    } catch (thrown) {
      const error = toTenonError(thrown);
      notes.clear();
      notes.set(failing, { state: "UNAVAILABLE", reason: reasonOf(error) });
      throw error;
    }
    notes.clear();
    if (beside) return models.map(servedOf);
    this.#rollouts.close(name);
    this.#ensembles.remove(name);
    for (const other of this.#engine.models())
      if (other.name === name && !models.includes(other)) this.#end(other);
    return models.map(servedOf);
  }

  /** What a model's files ask for: kept answers, shared runs; undefined for neither. */
  #sharingOf(file: ConfigFile | undefined, { share, cache }: ModelJson): Sharing | undefined {
    const kept = (cache ?? file?.config.response_cache?.enable ?? false) ? this.#cache : undefined;
    return share || kept !== undefined ? new Sharing(kept, share) : undefined;
  }

  /** Loads the models of an ensemble that do not serve yet, and puts it in. */
  async #loadEnsemble(
    entry: RepositoryEntry,
    file: ConfigFile,
    notes: Map<string, Note>,
    sharing: Sharing | undefined,
  ): Promise<ServedModel> {
    const startedAt = performance.now();
    const plan = ensemblePlan(file);
    const entries = (await this.#options.list?.()) ?? [];
    for (const { model, step } of await loadOrder(plan, entries)) {
      await this.#loading.get(model.name)?.catch(() => undefined);
      if (this.models().some(({ name }) => name === model.name)) continue;
      await this.loadEntry(model).catch((cause: unknown) => {
        const reason = reasonOf(toTenonError(cause));
        throw file.error(
          "MODEL_UNAVAILABLE",
          `its model "${model.name}" could not be loaded: ${reason}`,
          "model_name",
          step,
        );
      });
    }
    const missing = plan.steps.find(({ model, version }) => !this.#serves(model, version));
    if (missing !== undefined) {
      const { model, version, config } = missing;
      const what = version === undefined ? `"${model}"` : `"${model}" in version ${version}`;
      throw file.error("MODEL_UNAVAILABLE", `there is no model ${what}`, "model_name", config);
    }
    const ensemble = this.#ensembles.make(plan, entry.version, performance.now() - startedAt, sharing);
    await warmUp(file, ensemble);
    this.#ensembles.put(ensemble);
    notes.clear();
    for (const other of this.#engine.models()) if (other.name === entry.name) this.#end(other);
    return ensemble;
  }

  #serves(name: string, version: string | undefined): boolean {
    return this.models().some(
      (model) => model.name === name && (version === undefined || model.version === version),
    );
  }

  /** Gives a load up when it takes too long; the model takes no place then. */
  async #inTime<T>(start: (signal: AbortSignal) => Promise<T>): Promise<T> {
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

  /** Removes what load requests brought along. The models must have ended. */
  async close(): Promise<void> {
    await Promise.all([...this.#folders.values()].map((folder) => folder.remove()));
    this.#folders.clear();
  }

  /**
   * Takes a name out of service; what was accepted is still answered. Unknown names are nothing to do.
   * `dependents`: also the models that an ensemble is made of, where no other ensemble is made of them.
   */
  unload(name: string, dependents = false): void {
    this.#residency?.forget(name);
    this.#rollouts.close(name);
    if (this.#ensembles.has(name)) {
      const version = this.#ensembles.get(name, undefined)?.version ?? "1";
      const models = this.#ensembles.remove(name);
      this.#note({ name, version }, { state: "UNAVAILABLE", reason: "unloaded" });
      if (dependents) for (const model of new Set(models)) this.#unloadPart(model);
      this.#ensembles.review();
      return;
    }
    this.#unloadModels(name, true);
    this.#ensembles.review();
  }

  /** `told`: the index tells of it afterwards. */
  #unloadModels(name: string, told: boolean): void {
    for (const model of this.#engine.models()) {
      if (model.name !== name) continue;
      if (!told) {
        this.#end(model);
        continue;
      }
      this.#note(model, { state: "UNLOADING", reason: "" });
      this.#end(model, () => {
        if (this.#notes.get(name)?.get(model.version)?.state !== "UNLOADING") return;
        this.#note(model, { state: "UNAVAILABLE", reason: "unloaded" });
      });
    }
  }

  #unloadPart(name: string): void {
    const others = this.#ensembles.models();
    if (!others.some(({ plan }) => plan.steps.some(({ model }) => model === name))) this.unload(name, true);
  }

  #end(model: Model, done: () => void = () => undefined): void {
    model.unload().then(done, (thrown: unknown) => {
      this.#note(model, { state: "UNAVAILABLE", reason: reasonOf(toTenonError(thrown)) });
    });
  }

  #note({ name, version }: Pick<Model, "name" | "version">, note: Note): void {
    let notes = this.#notes.get(name);
    if (notes === undefined) {
      notes = new Map();
      this.#notes.set(name, notes);
    }
    notes.set(version, note);
  }
}

/** The code and its sentence: the message may hold paths. */
export function reasonOf({ code, details, message }: TenonError): string {
  // What is wrong with a configuration names its field and its place in the repository only.
  if (details.field !== undefined || details.line !== undefined) return `${code}: ${message}`;
  return `${code}: ${ERROR_CODES[code].replace(/\.$/, "")}`;
}

function byName(a: IndexRow, b: IndexRow): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : Number(a.version ?? 0) - Number(b.version ?? 0);
}
