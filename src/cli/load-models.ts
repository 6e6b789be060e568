/** Loads what a server starts with: each model is tried, within the time that the settings allow. */
import { type TenonError, toTenonError } from "../base/index.js";
import type { ModelRepository, ServedModel } from "../serve/index.js";
import type { FoundModel } from "./discover.js";

export interface FailedModel {
  readonly name: string;
  readonly error: TenonError;
}

export interface LoadedSet {
  readonly loaded: readonly ServedModel[];
  readonly failed: readonly FailedModel[];
}

/** Loads all models, then the ensembles of them, `atOnce` at a time; never rejects for a single model. */
export async function loadModels(
  repository: ModelRepository,
  found: readonly FoundModel[],
  atOnce: number,
): Promise<LoadedSet> {
  const loaded = new Map<FoundModel, readonly ServedModel[]>();
  const failed: FailedModel[] = [];
  const worker = async (queue: IterableIterator<FoundModel>): Promise<void> => {
    for (const entry of queue) {
      try {
        loaded.set(entry, await repository.loadEntry(entry));
      } catch (error) {
        failed.push({ name: entry.name, error: toTenonError(error) });
      }
    }
  };
  for (const group of await (await import("../serve/index.js")).byNeed(found)) {
    const queue = group.values();
    await Promise.all(Array.from({ length: Math.max(1, atOnce) }, () => worker(queue)));
  }
  return { loaded: found.flatMap((entry) => loaded.get(entry) ?? []), failed };
}
