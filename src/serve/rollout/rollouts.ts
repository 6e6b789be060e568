/** Rollouts: those of a repository's models, by name. */
import { TenonError } from "../../base/index.js";
import type { ServedModel } from "../served-model.js";
import { Rollout } from "./rollout.js";

export class Rollouts {
  readonly #rollouts = new Map<string, Rollout>();

  find(name: string): Rollout | undefined {
    return this.#rollouts.get(name);
  }

  /** Throws REQUEST_NOT_FOUND. */
  get(name: string): Rollout {
    const found = this.find(name);
    if (found !== undefined) return found;
    throw new TenonError("REQUEST_NOT_FOUND", {
      problem: `model '${name}' has no rollout`,
      details: { spoken: true },
    });
  }

  /**
   * From here on the stable version answers, until `start`. Throws REQUEST_INVALID where a rollout is open, and for the
   * version that answers already.
   */
  open(stable: ServedModel, candidateVersion: string, mirror: boolean): Rollout {
    const { name, version } = stable;
    this.assertNone(name);
    if (version === candidateVersion)
      throw invalid(`version ${version} of model '${name}' is the one that answers`);
    const rollout = new Rollout(stable, candidateVersion, mirror);
    this.#rollouts.set(name, rollout);
    return rollout;
  }

  /** Throws REQUEST_INVALID where a rollout is open. */
  assertNone(name: string): void {
    const open = this.find(name);
    if (open === undefined) return;
    throw invalid(
      `model '${name}' has a rollout of version ${open.candidateVersion}, which is promoted or rolled back first`,
    );
  }

  /** Throws REQUEST_INVALID when the candidate takes or gives something else than the stable version. */
  start(rollout: Rollout, candidate: ServedModel, percent: number): void {
    const { stable } = rollout;
    for (const side of ["inputs", "outputs"] as const) {
      const [one, other] = [stable, candidate].map((model) =>
        model.signature[side].map(({ name, dtype }) => `${name} ${dtype}`).join(", "),
      );
      if (one === other) continue;
      throw invalid(
        `version ${candidate.version} of model '${stable.name}' has the ${side} ${other}, and version ${stable.version} ${one}`,
      );
    }
    rollout.start(candidate, percent);
  }

  close(name: string): void {
    this.find(name)?.end();
    this.#rollouts.delete(name);
  }
}

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}
