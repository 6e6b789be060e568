/** RepositoryWatch: follows the files of a repository; what changed is loaded when it has settled. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { toTenonError } from "../../base/index.js";
import type { ServerLog } from "../observe/server-log.js";
import type { ModelRepository } from "./repository.js";
import type { RepositoryEntry } from "./repository-entry.js";

export interface WatchOptions {
  /** What there is now. */
  readonly list: () => Promise<readonly RepositoryEntry[]>;
  /** Milliseconds between two looks. */
  readonly every: number;
  readonly log?: ServerLog | undefined;
}

/** Files of one model that are looked at, and how deep its folders go. */
const MOST_FILES = 10_000;
const MOST_DEPTH = 6;

/**
 * A model is loaded when two looks in a row saw the same files, with the same sizes and times, and they differ from
 * those that were loaded last; it is unloaded when two looks in a row did not see it. What fails to load is tried again
 * when its files change; until then what served goes on.
 */
export class RepositoryWatch {
  readonly #repository: ModelRepository;
  readonly #options: WatchOptions;
  /** The files that were loaded, or tried, by model. */
  readonly #applied = new Map<string, string>();
  /** The files of the last look. */
  #seen = new Map<string, string>();
  /** What did not load: tried again when other models changed, which an ensemble may need. */
  readonly #failed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;
  #complaint = "";

  private constructor(repository: ModelRepository, options: WatchOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  /** Takes the files as they are now for those that are loaded; `start` looks on from there. */
  static async open(repository: ModelRepository, options: WatchOptions): Promise<RepositoryWatch> {
    const watch = new RepositoryWatch(repository, options);
    for (const entry of await options.list()) {
      const print = await printOf(entry);
      watch.#failed.add(entry.name);
      watch.#applied.set(entry.name, print);
      watch.#seen.set(entry.name, print);
    }
    return watch;
  }

  /** Looks again and again, until it is closed. */
  start(): void {
    if (this.#closed) return;
    for (const { name } of this.#repository.models()) this.#failed.delete(name);
    this.#next();
  }

  #next(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look().finally(() => this.#next());
    }, this.#options.every).unref();
  }

  /** One look, and the loads that follow from it. Never rejects. */
  async look(): Promise<void> {
    const entries = await this.#list();
    if (entries === undefined) return;
    const prints = new Map<string, string>();
    const changed: RepositoryEntry[] = [];
    for (const entry of entries) {
      const print = await printOf(entry);
      prints.set(entry.name, print);
      if (print === this.#applied.get(entry.name) || print !== this.#seen.get(entry.name)) continue;
      this.#applied.set(entry.name, print);
      changed.push(entry);
    }
    for (const name of this.#applied.keys()) {
      if (prints.has(name) || this.#seen.has(name)) continue;
      this.#applied.delete(name);
      this.#failed.delete(name);
      this.#repository.unload(name);
      this.#options.log?.info({ model: name }, "model removed");
    }
    this.#seen = prints;
    if (this.#closed || changed.length === 0) return;
    const failed = entries.filter((entry) => this.#failed.has(entry.name) && !changed.includes(entry));
    await Promise.all(changed.map((entry) => this.#load(entry)));
    await Promise.all(failed.map((entry) => this.#load(entry)));
  }

  async #list(): Promise<readonly RepositoryEntry[] | undefined> {
    try {
      const entries = await this.#options.list();
      this.#complaint = "";
      return entries;
    } catch (thrown) {
      // Said once, not at every look.
      const error = toTenonError(thrown);
      if (error.message !== this.#complaint)
        this.#options.log?.error({ code: error.code, err: error }, "the repository cannot be read");
      this.#complaint = error.message;
      return undefined;
    }
  }

  async #load(entry: RepositoryEntry): Promise<void> {
    try {
      await this.#repository.loadEntry(entry);
      this.#failed.delete(entry.name);
    } catch (thrown) {
      this.#failed.add(entry.name);
      const error = toTenonError(thrown);
      this.#options.log?.error({ model: entry.name, code: error.code, err: error }, "model not loaded");
    }
  }

  /** Ends looking; a load that is under way is waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }
}

/** All files of a model with what tells that they changed. */
async function printOf({ path, folder }: RepositoryEntry): Promise<string> {
  const lines: string[] = [];
  if (folder !== undefined) await printFolder(folder, "", lines, 0);
  else {
    await printFile(path, "", lines, 0);
    // External data lies beside, under names that begin with the model's.
    const name = basename(path);
    for (const file of await namesIn(dirname(path)))
      if (file !== name && file.startsWith(name)) await printFile(join(dirname(path), file), file, lines, 0);
  }
  return lines.join("\n");
}

async function printFolder(folder: string, name: string, lines: string[], depth: number): Promise<void> {
  for (const file of await namesIn(folder)) {
    if (lines.length >= MOST_FILES) return;
    await printFile(join(folder, file), `${name}/${file}`, lines, depth);
  }
}

async function printFile(path: string, name: string, lines: string[], depth: number): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isDirectory()) lines.push(`${name} ${found.size} ${found.mtimeMs} ${found.ino}`);
  else {
    lines.push(`${name}/`);
    if (depth < MOST_DEPTH) await printFolder(path, name, lines, depth + 1);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(() => [])).filter((name) => !name.startsWith(".")).sort();
}
