/** The loaded models of an engine, by name and version. */
import { emit, suggest, TenonError } from "../base/index.js";
import type { Model } from "./model.js";

export class Catalog {
  readonly #models = new Map<string, Map<string, Model>>();

  has(name: string, version?: string): boolean {
    const versions = this.#models.get(name);
    return version === undefined ? versions !== undefined : versions?.has(version) === true;
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

  /** All of them. */
  all(): readonly Model[] {
    return [...this.#models.values()].flatMap((versions) => [...versions.values()]);
  }

  /** From here on `get` gives this model; one that had its place answers what it accepted and goes. */
  place(model: Model, replace: boolean): void {
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
  retire(model: Model): void {
    const versions = this.#models.get(model.name);
    if (versions?.get(model.version) !== model) return;
    versions.delete(model.version);
    if (versions.size === 0) this.#models.delete(model.name);
  }

  /** `next` in the place of `first`, where that has it still. */
  supersede(first: Model, next: Model): void {
    const versions = this.#models.get(first.name);
    if (versions?.get(first.version) === first) versions.set(first.version, next);
  }
}

function newest(versions: ReadonlyMap<string, Model> | undefined): Model | undefined {
  let best: Model | undefined;
  for (const model of versions?.values() ?? [])
    if (best === undefined || BigInt(model.version) > BigInt(best.version)) best = model;
  return best;
}

export function taken(name: string, version: string): TenonError {
  return new TenonError("USAGE", {
    problem: `model "${name}" version ${version} is already loaded`,
    do: "give another name or version, or unload it first",
  });
}
