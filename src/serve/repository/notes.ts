/** Notes: what is known of models besides those that serve, and the repository's index, which tells of both. */
import { ERROR_CODES, type TenonError } from "../../base/index.js";

export type ModelState = "READY" | "UNAVAILABLE" | "LOADING" | "UNLOADING";

/** One line of the repository's index. */
export interface IndexRow {
  readonly name: string;
  readonly version?: string;
  readonly state?: ModelState;
  readonly reason?: string;
}

interface Named {
  readonly name: string;
  readonly version: string;
}

interface Note {
  readonly state: Exclude<ModelState, "READY">;
  readonly reason: string;
}

/** By name and version; the newest event counts. */
export class Notes {
  readonly #notes = new Map<string, Map<string, Note>>();

  /** Whether anything is known of a name. */
  knows(name: string): boolean {
    return this.#notes.has(name);
  }

  /** These versions of a name are loading, and nothing else is known of it. */
  loading(name: string, versions: readonly string[]): void {
    this.#notes.set(name, new Map(versions.map((version) => [version, { state: "LOADING", reason: "" }])));
  }

  /** Nothing else is known of its name. */
  failed({ name, version }: Named, reason: string): void {
    this.#notes.set(name, new Map([[version, { state: "UNAVAILABLE", reason }]]));
  }

  unavailable(model: Named, reason: string): void {
    this.#set(model, { state: "UNAVAILABLE", reason });
  }

  unloading(model: Named): void {
    this.#set(model, { state: "UNLOADING", reason: "" });
  }

  /** Its unloading is over, unless it was loaded again since. */
  unloaded(model: Named): void {
    if (this.#notes.get(model.name)?.get(model.version)?.state === "UNLOADING")
      this.unavailable(model, "unloaded");
  }

  /** Nothing is known of a name any more. */
  clear(name: string): void {
    this.#notes.delete(name);
  }

  #set({ name, version }: Named, note: Note): void {
    const notes = this.#notes.get(name) ?? new Map<string, Note>();
    this.#notes.set(name, notes.set(version, note));
  }

  /** What serves, with the reason why it could not be loaded anew. */
  served(models: readonly Named[]): IndexRow[] {
    return models.map(({ name, version }) => {
      const note = this.#notes.get(name)?.get(version);
      const reason = note?.state === "UNAVAILABLE" ? { reason: note.reason } : {};
      return { name, version, state: "READY", ...reason };
    });
  }

  /** What is known besides `served`. */
  others(served: readonly IndexRow[]): IndexRow[] {
    const rows: IndexRow[] = [];
    for (const [name, notes] of this.#notes) {
      for (const [version, { state, reason }] of notes) {
        const serves = served.some((row) => row.name === name && row.version === version);
        if (state === "UNAVAILABLE" && serves) continue;
        rows.push({ name, version, state, ...(reason === "" ? {} : { reason }) });
      }
    }
    return rows;
  }
}

/** The code and its sentence: the message may hold paths. */
export function reasonOf({ code, details, message }: TenonError): string {
  // What is wrong with a configuration names its field and its place in the repository only.
  if (details.field !== undefined || details.line !== undefined) return `${code}: ${message}`;
  return `${code}: ${ERROR_CODES[code].replace(/\.$/, "")}`;
}

export function byName(a: IndexRow, b: IndexRow): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : Number(a.version ?? 0) - Number(b.version ?? 0);
}
