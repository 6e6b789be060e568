/** Ensemble: several models that answer as one; steps run side by side as soon as their tensors are there. */
import { isTenonError, TenonError, toTenonError } from "../../base/index.js";
import {
  BatchLog,
  type BatchRecord,
  type Inputs,
  type Outputs,
  orderInputs,
  orderOutputs,
  outputRecord,
  type Signature,
} from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import { runCounted } from "../metrics/statistics.js";
import type { ServedModel, ServedRunOptions } from "../served-model.js";
import type { Sharing } from "../sharing/sharing.js";
import { checkEnsemble } from "./check.js";
import type { EnsemblePlan, EnsembleStep } from "./plan.js";

/** Gives the model of a step as it is now. Throws MODEL_NOT_FOUND. */
export type FindModel = (name: string, version: string | undefined) => ServedModel;

export class Ensemble implements ServedModel {
  readonly name: string;
  readonly version: string;
  readonly signature: Signature;
  readonly maxBatch: number;
  readonly plan: EnsemblePlan;
  readonly profile: ServedModel["profile"];
  readonly waiting = 0;
  readonly #find: FindModel;
  readonly #sharing: Sharing | undefined;
  readonly #log: BatchLog;
  /** The models that were held against it last. */
  #checked: readonly ServedModel[];

  /** Throws CONFIG_INVALID when the models do not fit, MODEL_NOT_FOUND when one is not there. */
  constructor(plan: EnsemblePlan, version: string, find: FindModel, loadMs: number, sharing?: Sharing) {
    this.name = plan.file.model;
    this.version = version;
    this.signature = plan.signature;
    this.maxBatch = plan.maxBatch;
    this.plan = plan;
    this.profile = { lanes: 1, loadMs };
    this.#find = find;
    this.#sharing = sharing;
    this.#log = new BatchLog(this.name);
    this.#checked = plan.steps.map((step) => find(step.model, step.version));
    checkEnsemble(plan, this.#checked);
  }

  explain(count?: number): BatchRecord[] {
    return this.#log.last(count);
  }

  /** The models of the steps as they are now, which fit. */
  models(): readonly ServedModel[] {
    const models = this.plan.steps.map((step) => this.#find(step.model, step.version));
    if (models.some((model, i) => model !== this.#checked[i])) {
      checkEnsemble(this.plan, models);
      this.#checked = models;
    }
    return models;
  }

  run(inputs: Inputs, options: ServedRunOptions = {}): Promise<Outputs> {
    const { sequence } = options;
    if (this.#sharing === undefined || sequence !== undefined) return this.#run(inputs, options);
    return this.#sharing.run(this, inputs, options, (own) => this.#run(inputs, own));
  }

  async #run(inputs: Inputs, options: ServedRunOptions): Promise<Outputs> {
    const ordered = orderInputs(this.name, this.signature, inputs, { allowZero: true });
    const rows = this.#rowsOf(ordered);
    const { outputs: all } = this.signature;
    const wanted =
      options.outputs === undefined
        ? all.map(({ name }) => name)
        : orderOutputs(this.name, this.signature, options.outputs).map((i) => all[i]!.name);
    const run = new EnsembleRun(this.plan, this.models(), this.#find, inputs, wanted, options);
    const startedAt = performance.now();
    try {
      return await run.finish();
    } catch (thrown) {
      throw this.#explained(toTenonError(thrown));
    } finally {
      this.#log.add({
        n: rows,
        members: 1,
        gear: "steps",
        waitedMs: [0],
        padRatio: 1,
        predictedMs: 0,
        actualMs: performance.now() - startedAt,
        reason: "unbatched",
        copiedBytes: 0,
        ...(run.error === undefined ? {} : { error: run.error.code }),
      });
    }
  }

  #rowsOf(inputs: readonly Tensor[]): number {
    if (this.maxBatch === 0) return 1;
    const rows = inputs[0]!.shape[0]!;
    inputs.forEach(({ shape }, i) => {
      if (shape[0] === rows) return;
      throw new TenonError("INPUT_BATCH", {
        problem: "the inputs differ in their batch size",
        details: { model: this.name, input: this.signature.inputs[i]!.name },
      });
    });
    return rows;
  }

  /** What a model inside answers to is named with the ensemble. */
  #explained(error: TenonError): TenonError {
    const { code, problem, details } = error;
    if (details.model === undefined || details.model === this.name) return error;
    return new TenonError(code, { problem, details: { ensemble: this.name, ...details }, cause: error });
  }
}

/** One request on its way through the steps. */
class EnsembleRun {
  readonly #plan: EnsemblePlan;
  readonly #models: readonly ServedModel[];
  readonly #find: FindModel;
  readonly #options: ServedRunOptions;
  readonly #wanted: readonly string[];
  readonly #tensors = new Map<string, Tensor>();
  readonly #made: (Outputs | undefined)[] = [];
  /** Steps that are needed, and how many of those still take a step's tensors. */
  readonly #takers = new Map<number, number>();
  readonly #promises = new Map<number, Promise<void>>();
  readonly #deadlineAt: number;
  readonly #stop = new AbortController();
  error: TenonError | undefined;

  constructor(
    plan: EnsemblePlan,
    models: readonly ServedModel[],
    find: FindModel,
    inputs: Inputs,
    wanted: readonly string[],
    options: ServedRunOptions,
  ) {
    this.#plan = plan;
    this.#models = models;
    this.#find = find;
    this.#options = options;
    this.#wanted = wanted;
    this.#deadlineAt =
      options.deadlineMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.deadlineMs;
    for (const name in inputs) this.#tensors.set(name, inputs[name]!);
    for (const name of wanted) this.#need(plan.maker.get(name));
  }

  #need(index: number | undefined): void {
    if (index === undefined || this.#takers.has(index)) return;
    this.#takers.set(index, 0);
    for (const other of this.#plan.steps[index]!.after) {
      this.#need(other);
      this.#takers.set(other, this.#takers.get(other)! + 1);
    }
  }

  async finish(): Promise<Outputs> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#stop.abort(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    const steps = this.#plan.order.filter((index) => this.#takers.has(index));
    for (const index of steps) this.#promises.set(index, this.#step(index));
    await Promise.allSettled(this.#promises.values());
    signal?.removeEventListener("abort", onAbort);
    if (this.error !== undefined) {
      for (const index of steps) this.#free(index);
      throw this.error;
    }
    const held = outputRecord(
      this.#wanted,
      this.#wanted.map((name) => this.#tensors.get(name)!),
    );
    return Object.defineProperty(held, Symbol.dispose, {
      value: () => {
        for (const index of steps) this.#free(index);
      },
    });
  }

  async #step(index: number): Promise<void> {
    const step = this.#plan.steps[index]!;
    await Promise.all(step.after.map((other) => this.#promises.get(other)));
    try {
      if (this.error !== undefined) return;
      const outputs = await this.#run(step, this.#models[index]!);
      this.#made[index] = outputs;
      for (const [name, tensor] of step.outputs) this.#tensors.set(tensor, outputs[name]!);
    } catch (thrown) {
      this.error ??= toTenonError(thrown);
      this.#stop.abort(this.error);
    }
    for (const other of step.after) {
      const left = this.#takers.get(other)! - 1;
      this.#takers.set(other, left);
      const kept = this.#plan.steps[other]!.outputs.some(([, tensor]) => this.#wanted.includes(tensor));
      if (left === 0 && !kept) this.#free(other);
    }
  }

  /** Runs a step, on the model's successor when it was replaced meanwhile. */
  async #run(step: EnsembleStep, model: ServedModel): Promise<Outputs> {
    const inputs: Record<string, Tensor> = Object.create(null);
    for (const [name, tensor] of step.inputs) inputs[name] = this.#tensors.get(tensor)!;
    const { deadlineMs: _, outputs: __, ...options } = this.#options;
    for (let now = model; ; ) {
      const left = this.#deadlineAt - performance.now();
      if (left <= 0) throw new TenonError("DEADLINE");
      try {
        return await runCounted(now, inputs, {
          ...options,
          signal: this.#stop.signal,
          ...(left === Number.POSITIVE_INFINITY ? {} : { deadlineMs: left }),
          outputs: step.outputs.map(([name]) => name),
        });
      } catch (error) {
        if (!isTenonError(error, "ENGINE_CLOSED")) throw error;
        const successor = this.#find(step.model, step.version);
        if (successor === now) throw error;
        now = successor;
      }
    }
  }

  #free(index: number): void {
    this.#made[index]?.[Symbol.dispose]();
    this.#made[index] = undefined;
  }
}
