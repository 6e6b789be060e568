/** ModelRepository: the models of a server by name, which of them are there, and why others are not. */
import { isTenonError, KNOBS, type Knobs, TenonError, toTenonError } from "../../base/index.js";
import { type Engine, isModelName, type Model } from "../../runtime/index.js";
import type { ConfigFile } from "../config/config-file.js";
import { entryConfig } from "../config/entry-config.js";
import { planOf } from "../config/model-folder.js";
import { readModelJson } from "../config/model-json.js";
import { configOfFile } from "../config/served-config.js";
import { servedVersions } from "../config/version-policy.js";
import { warmUp } from "../config/warm-up.js";
import { loadOrder } from "../ensemble/composition.js";
import { ensemblePlan, isEnsemble } from "../ensemble/plan.js";
import { EnsembleSet } from "../ensemble/set.js";
import type { Rollout, RolloutReport } from "../rollout/rollout.js";
import { Rollouts } from "../rollout/rollouts.js";
import { type Finder, type ServedModel, servedOf } from "../served-model.js";
import { ResponseCache } from "../sharing/response-cache.js";
import { type Sharing, sharingOf } from "../sharing/sharing.js";
import { type LoadOverride, OverrideFolder } from "./load-override.js";
import { type Loading, loadVersions } from "./load-versions.js";
import { Loads } from "./loads.js";
import { byName, type IndexRow, Notes, reasonOf } from "./notes.js";
import type { RepositoryEntry } from "./repository-entry.js";
import { Residency } from "./residency.js";

export interface RepositoryOptions
  extends Loading,
    Partial<Pick<Knobs, "modelControl" | "loadTimeout" | "responseCache" | "residentMax">> {
  /** What there is to load now, the newest version of each name; asked for at every load. Default: nothing. */
  readonly list?: () => Promise<readonly RepositoryEntry[]>;
}

/** Where models come from and go to. One for each engine that is served. */
export class ModelRepository {
  readonly #engine: Engine;
  readonly #options: RepositoryOptions;
  readonly #cache: ResponseCache | undefined;
  readonly #notes = new Notes();
  readonly #loads: Loads;
  readonly #residency: Residency | undefined;
  readonly #rollouts = new Rollouts();
  readonly #ensembles = new EnsembleSet((name, version) => this.get(name, version));

  /** Files that came with load requests, by the models that were made of them. */
  readonly #folders = new Map<string, OverrideFolder>();

  constructor(engine: Engine, options: RepositoryOptions = {}) {
    this.#engine = engine;
    this.#options = options;
    this.#loads = new Loads(options.loadTimeout);
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
    // A version and no model: a load may have replaced the model before the rollout was over.
    const drawn = rollout.draw();
    return () => this.get(name, this.#rollouts.find(name) === rollout ? drawn : undefined);
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
    if (rollout !== undefined) return this.get(name, rollout.stable.version);
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
    return this.#notes.knows(name) || this.#ensembles.has(name);
  }

  /** Every model that serves. */
  models(): readonly ServedModel[] {
    return [...this.#engine.models().map(servedOf), ...this.#ensembles.models()];
  }

  /** Everything that serves or could, by name. */
  async index(readyOnly: boolean): Promise<readonly IndexRow[]> {
    const rows = this.#notes.served(this.models());
    for (const { name, version } of this.#residency?.asleep ?? [])
      rows.push({ name, version, state: "READY", reason: "unloaded until its next request" });
    if (readyOnly) return rows.sort(byName);
    rows.push(...this.#notes.others(rows));
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
   * outputs are compared. Throws REQUEST_INVALID, also when the rollout is ended before the version is there,
   * MODEL_NOT_FOUND, and what a load throws.
   */
  async beginRollout(name: string, version: string, percent: number, mirror: boolean): Promise<Rollout> {
    this.#rollouts.assertNone(name);
    const entry = ((await this.#options.list?.()) ?? []).find((candidate) => candidate.name === name);
    await this.#loads.settled(name);
    const stable = this.get(name);
    const files = (entry?.versions ?? []).find((one) => one.version === version);
    if (entry === undefined || files === undefined || this.#ensembles.has(name)) {
      throw new TenonError("REQUEST_INVALID", {
        problem: `the repository has no version ${version} of model '${name}'`,
      });
    }
    // Before the load: a newer version would answer everything as soon as it is there.
    const rollout = this.#rollouts.open(stable, version, mirror);
    const { ended } = rollout;
    try {
      const [candidate] = await this.#loads.run(name, (signal) =>
        this.#loadNow({ ...entry, ...files, versions: [files] }, AbortSignal.any([signal, ended]), {
          beside: true,
        }),
      );
      ended.throwIfAborted();
      this.#rollouts.start(rollout, candidate!, percent);
    } catch (error) {
      if (ended.aborted) throw ended.reason;
      this.endRollout(name, false);
      throw error;
    }
    return rollout;
  }

  /**
   * Ends a rollout: `promote` leaves the candidate, else the stable version. Throws REQUEST_NOT_FOUND, and
   * REQUEST_INVALID for the promotion of a version that is still loading.
   */
  endRollout(name: string, promote: boolean): RolloutReport {
    const rollout = this.#rollouts.get(name);
    if (promote) rollout.assertStarted();
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

  /** As `load`, for an entry that is known already. */
  loadEntry(
    entry: RepositoryEntry,
    config?: string,
    folder?: OverrideFolder,
  ): Promise<readonly ServedModel[]> {
    return this.#loads.run(entry.name, (signal) => this.#loadKeeping(entry, signal, config, folder));
  }

  /** Loads, and keeps or drops the files that came with the request. */
  async #loadKeeping(
    entry: RepositoryEntry,
    signal: AbortSignal,
    config: string | undefined,
    folder: OverrideFolder | undefined,
  ): Promise<readonly ServedModel[]> {
    try {
      const models = await this.#loadNow(entry, signal, { config });
      signal.throwIfAborted();
      this.#ensembles.review();
      // Files that came with a request are gone when their model is unloaded.
      if (folder === undefined && config === undefined && !this.#ensembles.has(entry.name))
        await this.#residency?.loaded(entry, signal);
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

  /** `config` in place of the entry's own. `beside`: what serves goes on, and this version with it. */
  async #loadNow(
    entry: RepositoryEntry,
    signal: AbortSignal,
    { config, beside = false }: { readonly config?: string | undefined; readonly beside?: boolean },
  ): Promise<readonly ServedModel[]> {
    const { name } = entry;
    this.#notes.loading(name, [entry.version]);
    let failing = entry.version;
    try {
      const file = await entryConfig(entry, config);
      const sharing = sharingOf(file, await readModelJson(entry.folder, name), this.#cache);
      if (file !== undefined && isEnsemble(file))
        return [await this.#loadEnsemble(entry, file, sharing, signal)];
      const versions = beside ? [entry] : servedVersions(file, entry.versions ?? [entry]);
      const plan = file === undefined ? undefined : await planOf(file, sharing);
      const named = versions.map(({ version }) => version);
      this.#notes.loading(name, named);
      const failed = (version: string): void => {
        failing = version;
      };
      const models = await this.#loads.inTime(signal, (signal) =>
        loadVersions(this.#engine, this.#options, { name, versions, plan, sharing, signal, failed }),
      );
      this.#notes.clear(name);
      if (!beside) this.#replaceOthers(name, models);
      return models.map(servedOf);
    } catch (thrown) {
      const error = toTenonError(thrown);
      this.#notes.failed({ name, version: failing }, signal.aborted ? "unloaded" : reasonOf(error));
      throw error;
    }
  }

  /** What else served under a name ends. */
  #replaceOthers(name: string, models: readonly Model[]): void {
    this.#rollouts.close(name);
    this.#ensembles.remove(name);
    for (const other of this.#engine.models())
      if (other.name === name && !models.includes(other)) this.#end(other);
  }

  /** Loads the models of an ensemble that do not serve yet, and puts it in. */
  async #loadEnsemble(
    entry: RepositoryEntry,
    file: ConfigFile,
    sharing: Sharing | undefined,
    signal: AbortSignal,
  ): Promise<ServedModel> {
    const startedAt = performance.now();
    const plan = ensemblePlan(file);
    const entries = (await this.#options.list?.()) ?? [];
    for (const { model, step } of await loadOrder(plan, entries)) {
      await this.#loads.settled(model.name);
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
    signal.throwIfAborted();
    this.#rollouts.close(entry.name);
    this.#ensembles.put(ensemble);
    this.#notes.clear(entry.name);
    for (const other of this.#engine.models()) if (other.name === entry.name) this.#end(other);
    return ensemble;
  }

  #serves(name: string, version: string | undefined): boolean {
    return this.models().some(
      (model) => model.name === name && (version === undefined || model.version === version),
    );
  }

  /** Removes what load requests brought along. The models must have ended. */
  async close(): Promise<void> {
    await Promise.all([...this.#folders.values()].map((folder) => folder.remove()));
    this.#folders.clear();
  }

  /**
   * Takes a name out of service; what was accepted is still answered, and what is loading takes no place. Unknown names
   * are nothing to do. `dependents`: also the models that an ensemble is made of, where no other ensemble is made of them.
   */
  unload(name: string, dependents = false): void {
    this.#residency?.forget(name);
    this.#loads.cancel(name);
    this.#rollouts.close(name);
    if (this.#ensembles.has(name)) {
      const version = this.#ensembles.get(name, undefined)?.version ?? "1";
      const models = this.#ensembles.remove(name);
      this.#notes.unavailable({ name, version }, "unloaded");
      if (dependents) for (const model of new Set(models)) this.#unloadPart(model);
    } else this.#unloadModels(name, true);
    this.#ensembles.review();
  }

  /** `told`: the index tells of it afterwards. */
  #unloadModels(name: string, told: boolean): void {
    for (const model of this.#engine.models()) {
      if (model.name !== name) continue;
      if (told) this.#notes.unloading(model);
      this.#end(model, told ? () => this.#notes.unloaded(model) : undefined);
    }
  }

  #unloadPart(name: string): void {
    const others = this.#ensembles.models();
    if (!others.some(({ plan }) => plan.steps.some(({ model }) => model === name))) this.unload(name, true);
  }

  #end(model: Model, done: () => void = () => undefined): void {
    model.unload().then(done, (thrown: unknown) => {
      this.#notes.unavailable(model, reasonOf(toTenonError(thrown)));
    });
  }
}
