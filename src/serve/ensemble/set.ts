/** EnsembleSet: the ensembles of a repository: those that are loaded, and of these the ones whose models are all there. */
import { isTenonError, type TenonError, toTenonError } from "../../base/index.js";
import { rememberConfig } from "../config/served-config.js";
import type { Sharing } from "../sharing/sharing.js";
import { Ensemble, type FindModel } from "./ensemble.js";
import type { EnsemblePlan } from "./plan.js";

interface Loaded {
  readonly ensemble: Ensemble;
  /** Why it does not serve now. */
  obstacle: string | undefined;
}

export class EnsembleSet {
  readonly #find: FindModel;
  readonly #loaded = new Map<string, Loaded>();

  constructor(find: FindModel) {
    this.#find = find;
  }

  /** Makes an ensemble of a plan; it serves when it is put in. Throws CONFIG_INVALID when its models do not fit. */
  make(plan: EnsemblePlan, version: string, loadMs: number, sharing?: Sharing): Ensemble {
    const ensemble = new Ensemble(plan, version, this.#find, loadMs, sharing);
    rememberConfig(ensemble, plan.file.config, new Map());
    return ensemble;
  }

  put(ensemble: Ensemble): void {
    this.#loaded.set(ensemble.name, { ensemble, obstacle: undefined });
  }

  /** One that serves. */
  get(name: string, version: string | undefined): Ensemble | undefined {
    const found = this.#loaded.get(name);
    if (found === undefined || found.obstacle !== undefined) return undefined;
    return version === undefined || version === found.ensemble.version ? found.ensemble : undefined;
  }

  /** Whether there is one of this name, serving or not. */
  has(name: string): boolean {
    return this.#loaded.has(name);
  }

  /** Whether an ensemble is made of this model. */
  needs(model: string): boolean {
    return [...this.#loaded.values()].some(({ ensemble }) =>
      ensemble.plan.steps.some((step) => step.model === model),
    );
  }

  /** Those that serve. */
  models(): readonly Ensemble[] {
    return [...this.#loaded.values()].flatMap(({ ensemble, obstacle }) =>
      obstacle === undefined ? [ensemble] : [],
    );
  }

  /** Those that are loaded and cannot serve, with the reason. */
  waiting(): readonly { readonly name: string; readonly version: string; readonly reason: string }[] {
    return [...this.#loaded.values()].flatMap(({ ensemble: { name, version }, obstacle }) =>
      obstacle === undefined ? [] : [{ name, version, reason: obstacle }],
    );
  }

  /** Takes one out; gives the names of its models. */
  remove(name: string): readonly string[] {
    const found = this.#loaded.get(name);
    this.#loaded.delete(name);
    return found?.ensemble.plan.steps.map(({ model }) => model) ?? [];
  }

  /** Looks at every ensemble again, after models came or went. */
  review(): void {
    // An ensemble may be made of others: until nothing changes any more.
    for (let changed = true; changed; ) {
      changed = false;
      for (const loaded of this.#loaded.values()) {
        const obstacle = obstacleOf(loaded.ensemble);
        if ((obstacle === undefined) !== (loaded.obstacle === undefined)) changed = true;
        loaded.obstacle = obstacle;
      }
    }
  }
}

function obstacleOf(ensemble: Ensemble): string | undefined {
  try {
    ensemble.models();
    return undefined;
  } catch (thrown) {
    if (!isTenonError(thrown, "MODEL_NOT_FOUND")) return messageOf(toTenonError(thrown));
    const model = String(thrown.details.model);
    return `MODEL_UNAVAILABLE: ensemble '${ensemble.name}' depends on '${model}' which has no loaded version`;
  }
}

function messageOf({ code, message }: TenonError): string {
  return `${code}: ${message}`;
}
