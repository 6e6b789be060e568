/** Rollout: two versions of a model side by side: which of them answers, and how their outputs compare. */
import { TenonError } from "../../base/index.js";
import { type Inputs, type Outputs, outputRecord } from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { ServedModel } from "../served-model.js";
import { Comparison, type ComparisonReport } from "./comparison.js";

export interface RolloutReport {
  readonly model: string;
  /** The version that answers what the other one does not. */
  readonly stable: string;
  readonly candidate: string;
  /** Requests of a hundred that the candidate answers. */
  readonly percent: number;
  /** Whether requests are also run on the version that does not answer them, while nothing else waits. */
  readonly mirror: boolean;
  /** Requests that each version has answered, those that were mirrored left out. */
  readonly answered: { readonly stable: number; readonly candidate: number };
  readonly compared: ComparisonReport;
}

/** Mirrored runs wait behind all others. */
const LOWEST_PRIORITY = 99;
/** Larger requests are not copied for a comparison. */
const MOST_ELEMENTS = 1 << 20;

export class Rollout {
  readonly stable: ServedModel;
  readonly candidateVersion: string;
  readonly #mirror: boolean;
  #percent = 0;
  #candidate: ServedModel | undefined;
  #drawn = 0;
  #mirroring: Promise<void> | undefined;
  readonly #ending = new AbortController();
  readonly #comparison = new Comparison();
  readonly #answered = { stable: 0, candidate: 0 };

  /** Until it is started the stable version answers everything. */
  constructor(stable: ServedModel, candidateVersion: string, mirror: boolean) {
    this.stable = stable;
    this.candidateVersion = candidateVersion;
    this.#mirror = mirror;
  }

  get model(): string {
    return this.stable.name;
  }

  /** Aborted when it is over. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** It is over: what is still loading for it takes no place. */
  end(): void {
    this.#ending.abort(
      new TenonError("REQUEST_INVALID", {
        problem: `the rollout of model '${this.model}' was ended before version ${this.candidateVersion} was loaded`,
      }),
    );
    watchRuns([this.stable, this.#candidate], undefined);
  }

  /** Throws REQUEST_INVALID while the candidate is loading. */
  assertStarted(): void {
    if (this.#candidate !== undefined) return;
    throw new TenonError("REQUEST_INVALID", {
      problem: `version ${this.candidateVersion} of model '${this.model}' is still loading and cannot be promoted yet`,
    });
  }

  start(candidate: ServedModel, percent: number): void {
    this.#candidate = candidate;
    this.#percent = percent;
    watchRuns([this.stable, candidate], this);
  }

  /** The version that answers the next request: exactly `percent` of a hundred go to the candidate. */
  draw(): string {
    const before = Math.floor((this.#drawn * this.#percent) / 100);
    this.#drawn++;
    const isTurn = Math.floor((this.#drawn * this.#percent) / 100) > before;
    return isTurn && this.#candidate !== undefined ? this.candidateVersion : this.stable.version;
  }

  /** One of the two has answered; the other one runs the same where nothing else waits. */
  observe(model: ServedModel, inputs: Inputs, outputs: Outputs): void {
    const candidate = this.#candidate;
    if (candidate === undefined) return;
    const isCandidate = model === candidate;
    this.#answered[isCandidate ? "candidate" : "stable"]++;
    const other = isCandidate ? this.stable : candidate;
    const idle = this.stable.waiting === 0 && candidate.waiting === 0;
    if (!this.#mirror || !idle || this.#mirroring !== undefined) return;
    const names = Object.keys(outputs);
    const tensors = [...Object.values(inputs), ...names.map((name) => outputs[name]!)];
    if (tensors.reduce((sum, { size }) => sum + size, 0) > MOST_ELEMENTS) return;
    const given: Record<string, Tensor> = Object.create(null);
    for (const name in inputs) given[name] = inputs[name]!.clone();
    const made = outputRecord(
      names,
      names.map((name) => outputs[name]!.clone()),
    );
    this.#mirroring = this.#compare(other, given, made).finally(() => {
      this.#mirroring = undefined;
    });
  }

  async #compare(other: ServedModel, inputs: Inputs, made: Outputs): Promise<void> {
    try {
      using outputs = await other.run(inputs, { outputs: Object.keys(made), priority: LOWEST_PRIORITY });
      this.#comparison.add(made, outputs);
    } catch {
      this.#comparison.failed();
    }
  }

  report(): RolloutReport {
    return {
      model: this.model,
      stable: this.stable.version,
      candidate: this.candidateVersion,
      percent: this.#percent,
      mirror: this.#mirror,
      answered: { ...this.#answered },
      compared: this.#comparison.report(),
    };
  }
}

const watching = new WeakMap<ServedModel, Rollout>();

/** From now on the runs of these models are told to a rollout; without one to nobody. */
function watchRuns(models: readonly (ServedModel | undefined)[], rollout: Rollout | undefined): void {
  for (const model of models) {
    if (model === undefined) continue;
    if (rollout === undefined) watching.delete(model);
    else watching.set(model, rollout);
  }
}

/** Tells the rollout of a model, where it has one, of an answer to a client. */
export function observeRun(model: ServedModel, inputs: Inputs, outputs: Outputs): void {
  watching.get(model)?.observe(model, inputs, outputs);
}
