/** Residency: keeps the models of a repository within a bound of bytes; the least used sleep until their next request. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { RepositoryEntry } from "./repository-entry.js";

export interface ResidencyOptions {
  /** Bytes of model files that may be loaded at the same time. */
  readonly maxBytes: number;
  readonly load: (entry: RepositoryEntry) => Promise<unknown>;
  readonly unload: (name: string) => void;
  /** Whether a model may not sleep now: requests wait for it, or others need it. */
  readonly isNeeded: (name: string) => boolean;
}

interface Resident {
  readonly entry: RepositoryEntry;
  readonly bytes: number;
  /** When it was last asked for, counted in requests. */
  usedAt: number;
}

export class Residency {
  readonly #options: ResidencyOptions;
  readonly #residents = new Map<string, Resident>();
  readonly #asleep = new Map<string, RepositoryEntry>();
  readonly #waking = new Map<string, Promise<unknown>>();
  #clock = 0;

  constructor(options: ResidencyOptions) {
    this.#options = options;
  }

  /** Models that sleep, with the version that answers when they are awake. */
  get asleep(): readonly RepositoryEntry[] {
    return [...this.#asleep.values()];
  }

  /** A request asks for this model. */
  use(name: string): void {
    const resident = this.#residents.get(name);
    if (resident !== undefined) resident.usedAt = ++this.#clock;
  }

  /** Resolves when a model that slept is awake; undefined for one that does not sleep. Rejects as its load does. */
  wake(name: string): Promise<unknown> | undefined {
    const entry = this.#asleep.get(name);
    if (entry === undefined) return undefined;
    let waking = this.#waking.get(name);
    if (waking === undefined) {
      waking = this.#options.load(entry).finally(() => this.#waking.delete(name));
      this.#waking.set(name, waking);
    }
    return waking;
  }

  /** A model was loaded: the least used of the others sleep until there is room. `signal`: it is unloaded meanwhile. */
  async loaded(entry: RepositoryEntry, signal: AbortSignal): Promise<void> {
    const bytes = await bytesOf(entry);
    if (signal.aborted) return;
    this.#asleep.delete(entry.name);
    this.#residents.set(entry.name, { entry, bytes, usedAt: ++this.#clock });
    const others = [...this.#residents.values()]
      .filter((one) => one.entry.name !== entry.name)
      .sort((a, b) => a.usedAt - b.usedAt);
    let total = [...this.#residents.values()].reduce((sum, one) => sum + one.bytes, 0);
    for (const one of others) {
      if (total <= this.#options.maxBytes) return;
      const { name } = one.entry;
      if (this.#options.isNeeded(name)) continue;
      this.#residents.delete(name);
      this.#asleep.set(name, one.entry);
      this.#options.unload(name);
      total -= one.bytes;
    }
  }

  /** A model was unloaded for good. */
  forget(name: string): void {
    this.#residents.delete(name);
    this.#asleep.delete(name);
  }
}

/** Sizes of the files of a version; of a file outside a repository with what lies beside under its name. */
async function bytesOf({ path, folder }: RepositoryEntry): Promise<number> {
  const inside = dirname(path);
  const prefix = folder === undefined ? basename(path) : "";
  let bytes = 0;
  for (const name of await readdir(inside).catch(() => [])) {
    const found = name.startsWith(prefix) ? await stat(join(inside, name)).catch(() => undefined) : undefined;
    if (found?.isFile() === true) bytes += found.size;
  }
  return bytes;
}
