/** Loads versions of a model into the engine, as its configuration wants them; all of them take their places, or none. */
import { dirname, join } from "node:path";
import type { Engine, LoadOptions, Model, Source } from "../../runtime/index.js";
import { ConfiguredModel } from "../config/configured-model.js";
import type { Plan } from "../config/model-folder.js";
import { serveAs } from "../served-model.js";
import type { Sharing } from "../sharing/sharing.js";
import { LoadTogether } from "./load-together.js";
import type { VersionEntry } from "./repository-entry.js";

/** How a repository loads models. */
export interface Loading {
  /** What to load for an entry's path. Default: the path, which is then a model file. */
  readonly open?: (path: string) => Promise<Source>;
  readonly load?: Pick<LoadOptions, "warmup" | "trust" | "batch" | "optimization" | "sessionConfig">;
}

export interface VersionsOrder {
  readonly name: string;
  readonly versions: readonly VersionEntry[];
  /** What the configuration asks for; undefined without one. */
  readonly plan: Plan | undefined;
  readonly sharing: Sharing | undefined;
  /** Once it is aborted no version takes its place. */
  readonly signal: AbortSignal;
  /** Told of the version whose load failed first. */
  readonly failed: (version: string) => void;
}

/** What a version replaces answers what it accepted. Throws what `Engine.load` throws. */
export function loadVersions(
  engine: Engine,
  loading: Loading,
  { name, versions, plan, sharing, signal, failed }: VersionsOrder,
): Promise<readonly Model[]> {
  const together = new LoadTogether(versions.length);
  return together.all(versions, async ({ version, path }, ready, stop) => {
    const file = plan?.modelFile === undefined ? path : join(dirname(path), plan.modelFile);
    try {
      const source = (await loading.open?.(file)) ?? file;
      return await engine.load(source, {
        ...loading.load,
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
      if (!stop.aborted) failed(version);
      throw error;
    }
  });
}
