/** Rollouts: those of a repository's models, by name. */
import { TenonError } from "../../base/index.js";
import type { ServedModel } from "../served-model.js";
import { Rollout, watchRuns } from "./rollout.js";

export class Rollouts {
  readonly #rollouts = new Map<string, { rollout: Rollout; candidate: ServedModel | undefined }>();

  find(name: string): Rollout | undefined {
    return this.#rollouts.get(name)?.rollout;
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

  /** From here on the stable version answers, until `start`. */
  open(stable: ServedModel, candidateVersion: string, mirror: boolean): Rollout {
    const rollout = new Rollout(stable, candidateVersion, mirror);
    this.#rollouts.set(stable.name, { rollout, candidate: undefined });
    return rollout;
  }

  /** Throws REQUEST_INVALID when the candidate takes or gives something else than the stable version. */
  start(rollout: Rollout, candidate: ServedModel, percent: number): void {
    const { stable } = rollout;
    for (const side of ["inputs", "outputs"] as const) {
      const [one, other] = [stable, candidate].map((model) =>
        model.signature[side].map(({ name, dtype }) => `${name} ${dtype}`).join(", "),
      );
      if (one === other) continue;
      throw new TenonError("REQUEST_INVALID", {
        problem: `version ${candidate.version} of model '${stable.name}' has the ${side} ${other}, and version ${stable.version} ${one}`,
      });
    }
    rollout.start(candidate, percent);
    this.#rollouts.set(stable.name, { rollout, candidate });
    watchRuns([stable, candidate], rollout);
  }

  close(name: string): void {
    const found = this.#rollouts.get(name);
    if (found !== undefined) watchRuns([found.rollout.stable, found.candidate], undefined);
    this.#rollouts.delete(name);
  }
}
