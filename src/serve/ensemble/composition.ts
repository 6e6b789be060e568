/** Which models of a repository an ensemble needs, those of the ensembles inside it included. */
import type { Config } from "../config/config-file.js";
import { entryConfig } from "../config/entry-config.js";
import type { RepositoryEntry } from "../repository/repository-entry.js";
import { type EnsemblePlan, ensemblePlan, isEnsemble } from "./plan.js";

/** A model to load before, and the step that asks for it. */
export interface Part {
  readonly model: RepositoryEntry;
  readonly step: NonNullable<Config["ensemble_scheduling"]>["step"][number];
}

/** Those that the repository has, each behind what it needs itself. Throws CONFIG_INVALID for ensembles that contain each other. */
export async function loadOrder(
  plan: EnsemblePlan,
  entries: readonly RepositoryEntry[],
): Promise<readonly Part[]> {
  const order: Part[] = [];
  const done = new Set<string>();
  const visit = async ({ file, steps }: EnsemblePlan, path: readonly string[]): Promise<void> => {
    for (const { model: name, config: step } of steps) {
      if (path.includes(name)) {
        const circle = [...path.slice(path.indexOf(name)), name].join(" → ");
        throw file.invalid(`ensembles contain each other: ${circle}`, "model_name", step);
      }
      if (done.has(name)) continue;
      done.add(name);
      const model = entries.find((entry) => entry.name === name);
      if (model === undefined) continue;
      // What is wrong in it is told when it is loaded.
      const inner = await entryConfig(model).catch(() => undefined);
      if (inner !== undefined && isEnsemble(inner)) {
        const nested = planOrNothing(inner);
        if (nested !== undefined) await visit(nested, [...path, name]);
      }
      order.push({ model, step });
    }
  };
  await visit(plan, [plan.file.model]);
  return order;
}

function planOrNothing(file: EnsemblePlan["file"]): EnsemblePlan | undefined {
  try {
    return ensemblePlan(file);
  } catch {
    return undefined;
  }
}
