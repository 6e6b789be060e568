/** Loads what a server starts with: each model is tried, within the time that the settings allow. */
import { formatDuration, type Knobs, TenonError, toTenonError } from "../base/index.js";
import type { Engine, Model } from "../runtime/index.js";
import type { FoundModel } from "./discover.js";

export interface FailedModel {
  readonly name: string;
  readonly error: TenonError;
}

export interface LoadedSet {
  readonly loaded: readonly Model[];
  readonly failed: readonly FailedModel[];
}

/** Loads all models, as many at a time as there are lanes; never rejects for a single model. */
export async function loadModels(
  engine: Engine,
  found: readonly FoundModel[],
  { warmup, loadTimeout, trust }: Pick<Knobs, "warmup" | "loadTimeout" | "trust">,
): Promise<LoadedSet> {
  const loaded = new Map<FoundModel, Model>();
  const failed: FailedModel[] = [];
  const queue = found.values();
  const worker = async (): Promise<void> => {
    for (const entry of queue) {
      const { name, version, path } = entry;
      const loading = engine.load(path, { name, version, warmup, requireRank: true, trust });
      try {
        loaded.set(entry, await within(loading, loadTimeout));
      } catch (error) {
        failed.push({ name, error: toTenonError(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, engine.capacity.lanes) }, worker));
  return { loaded: found.flatMap((entry) => loaded.get(entry) ?? []), failed };
}

/** The model, or a failure when it is not there in time; a model that comes later is unloaded. */
async function within(loading: Promise<Model>, milliseconds: number): Promise<Model> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      loading.then(
        (model) => model.unload(),
        () => undefined,
      );
      reject(
        new TenonError("MODEL_UNAVAILABLE", {
          problem: `loading took longer than ${formatDuration(milliseconds)}`,
          do: "raise --load-timeout, or start with --warmup off",
        }),
      );
    }, milliseconds);
  });
  try {
    return await Promise.race([loading, late]);
  } finally {
    clearTimeout(timer);
  }
}
