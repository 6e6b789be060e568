/** `version_policy`: which of the versions that are there are served. */
import { TenonError } from "../../base/index.js";
import type { ConfigFile } from "./config-file.js";

/** The versions to serve, the newest first. Throws CONFIG_INVALID when the policy leaves none. */
export function servedVersions<V extends { readonly version: string }>(
  file: ConfigFile | undefined,
  available: readonly V[],
): readonly V[] {
  const policy = file?.config.version_policy;
  if (file === undefined || policy === undefined) return available.slice(0, 1);
  if (policy.all !== undefined) return available;
  if (policy.specific === undefined) return available.slice(0, Math.max(1, policy.latest?.num_versions ?? 1));
  const wanted = new Set(policy.specific.versions.map(String));
  const served = available.filter(({ version }) => wanted.has(version));
  const missing = [...wanted].filter((version) => !served.some((one) => one.version === version));
  if (served.length === 0) {
    throw new TenonError("CONFIG_INVALID", {
      problem: `${file.place("version_policy")}: of the versions ${[...wanted].join(", ")} none is there`,
      expected: `some of ${available.map(({ version }) => version).join(", ")}`,
    });
  }
  if (missing.length > 0) file.warn("version_policy", `there is no version ${missing.join(", ")}`);
  return served;
}
