/** The configuration of a model in a repository: what a load request gave, else its file. */
import { dirname } from "node:path";
import { isEnsemble } from "../ensemble/plan.js";
import type { RepositoryEntry } from "../repository/repository-entry.js";
import { ConfigFile } from "./config-file.js";

/** undefined for a model without one. Throws CONFIG_INVALID or FILE_NOT_FOUND. */
export async function entryConfig(
  { name, config, folder, path }: RepositoryEntry,
  given?: string,
): Promise<ConfigFile | undefined> {
  if (given !== undefined) return ConfigFile.fromJson(given, name, folder ?? dirname(dirname(path)));
  return config === undefined ? undefined : await ConfigFile.read(config, name);
}

/** Models first, then what is made of them. */
export async function byNeed<E extends RepositoryEntry>(
  entries: readonly E[],
): Promise<readonly (readonly E[])[]> {
  const made = await Promise.all(
    entries.map(async (entry) => {
      const file = await entryConfig(entry).catch(() => undefined);
      return file !== undefined && isEnsemble(file);
    }),
  );
  return [entries.filter((_, i) => !made[i]), entries.filter((_, i) => made[i])];
}
