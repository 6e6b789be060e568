/** Supervisor: keeps models running in a process, replaces it when it dies, and finds out whose input killed it. */
import { emit, isTenonError, TenonError, toTenonError } from "../../base/index.js";
import { Few } from "../few.js";
import type { Batch, BatchOutputs, Done, MemberOutcome } from "../lane.js";
import { Breaker } from "./breaker.js";
import type { RemoteCall } from "./call.js";
import { cancelled, crashed, type Death, describeDeath, overTime, unavailable } from "./death.js";
import type { LoadMessage } from "./load-message.js";
import { type LoadedReply, readLoadedReply } from "./loaded-reply.js";
import type { ModelProcess, ProcessRun } from "./model-process.js";
import type { ProcessSettings } from "./process-settings.js";
import type { Quarantine } from "./quarantine.js";

/** A model of a process: what to load again when the process is replaced. */
export interface Tenant {
  readonly name: string;
  readonly message: Omit<LoadMessage, "source">;
  readonly from: string | Uint8Array;
  readonly quarantine: Quarantine;
}

/** A batch on its way through a process; `done` is called once whatever happens. */
export interface SupervisedRun {
  readonly tenant: Tenant;
  readonly batch: Batch;
  readonly done: Done;
  readonly call: (memory: ArrayBuffer, batch: Batch) => RemoteCall;
  /** Nobody waits for it any more. */
  cancelled: boolean;
}

interface Started extends ProcessRun {
  readonly origin: SupervisedRun;
  readonly limitMs: number;
  readonly startedAt: number;
  process: ModelProcess;
  sequence: number;
  /** Set when it is one member of a batch that died, run alone. */
  readonly suspect: Suspect | undefined;
}

/** A member of a batch during which the process died. */
interface Suspect {
  readonly trial: Trial;
  readonly index: number;
  readonly batch: Batch;
}

interface Trial {
  readonly run: SupervisedRun;
  readonly outcomes: (MemberOutcome | undefined)[];
  left: number;
  readonly limitMs: number;
}

/** Where a supervisor gets its processes from. */
export interface ProcessSource {
  readonly options: ProcessSettings;
  /** A process without models; what takes its place is started at once, or `later`, when answers come first. */
  take(when: "now" | "later"): Promise<ModelProcess>;
  /** Resident bytes that a process with these models may reach; undefined for no limit. */
  rssLimit(tenants: readonly Tenant[]): number | undefined;
}

const ENFORCE_MS = 50;
const LOOK_AFTER_MS = 1000;
const RECYCLE_FAILED_RUNS = 20_000;
/** Share of the address-space limit that resident memory may reach before the process is replaced. */
const SOFT_RSS = 0.8;
const LEAST_SINGLE_MS = 1000;
const SINGLE_RUNS = 20;
const TRIM_AFTER_MS = 5000;
/** Starting a process stops this one for some 20 ms, and then takes a core: after a crash the answers come first. */
export const SPARE_AFTER_MS = 200;

export class Supervisor {
  readonly #host: ProcessSource;
  readonly #tenants: Tenant[] = [];
  readonly #breaker: Breaker;
  #current: ModelProcess | undefined;
  #standby: ModelProcess | undefined;
  #bringingUp: Promise<void> | undefined;
  #opening: Promise<ModelProcess> | undefined;
  #held: SupervisedRun[] = [];
  readonly #started = new Few<Started>();
  readonly #suspects: Suspect[] = [];
  #onTrial: Started | undefined;
  #roundHadCulprit = false;
  #roundByCrash = false;
  #unavailable: TenonError | undefined;
  #retry: NodeJS.Timeout | undefined;
  #enforcing: NodeJS.Timeout | undefined;
  #lookingAfter: NodeJS.Timeout | undefined;
  #sparing: NodeJS.Timeout | undefined;
  #recycling = false;
  #closed = false;
  /** Average milliseconds of one row. */
  #rowMs = 0;
  #lastRunAt = 0;
  #trimmed = true;

  constructor(host: ProcessSource) {
    this.#host = host;
    this.#breaker = new Breaker(host.options.breaker);
  }

  /** Process that runs the models now; for tests and diagnosis. */
  get pid(): number | undefined {
    return this.#current?.pid;
  }

  /** Memory that a lease can pin; undefined while no process is there or its memory is full. */
  pin(bytes: number): { buffer: ArrayBuffer; offset: number; unpin: () => void } | undefined {
    const process = this.#current;
    const region = process?.pin(bytes);
    if (process === undefined || region === undefined) return undefined;
    return { buffer: process.mapping.buffer, offset: region.offset, unpin: () => process.unpin(region) };
  }

  /** Gives memory of past runs back. */
  trim(): void {
    this.#current?.trim();
  }

  // ── models ─────────────────────────────────────────────────────────────────────────────────

  /** Loads a further model. Throws what the load threw; a process that dies of the first model's load is not replaced. */
  async add(tenant: Tenant): Promise<LoadedReply> {
    await this.#bringingUp;
    const process = this.#current ?? (await this.#first());
    const { loadTimeoutMs } = this.#host.options;
    const reply = await process.load(tenant.message, tenant.from, loadTimeoutMs, readLoadedReply);
    this.#tenants.push(tenant);
    this.#prepareStandby();
    return reply;
  }

  #first(): Promise<ModelProcess> {
    this.#opening ??= this.#host
      .take("later")
      .then((process) => {
        this.#install(process);
        return process;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  /** Forgets a model; without models the process is stopped. Its runs must have ended. */
  async remove(tenant: Tenant): Promise<void> {
    const at = this.#tenants.indexOf(tenant);
    if (at >= 0) this.#tenants.splice(at, 1);
    this.#current?.unload(tenant.message.model);
    this.#standby?.unload(tenant.message.model);
    if (this.#tenants.every(({ message }) => message.wideOf !== null)) await this.#retire();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#retire();
  }

  /** Stops the processes; another model may still be added. */
  async #retire(): Promise<void> {
    this.#tenants.length = 0;
    clearTimeout(this.#retry);
    clearTimeout(this.#sparing);
    clearInterval(this.#enforcing);
    clearInterval(this.#lookingAfter);
    this.#retry = this.#sparing = this.#enforcing = this.#lookingAfter = undefined;
    this.#unavailable = undefined;
    const [current, standby] = [this.#current, this.#standby];
    this.#current = this.#standby = undefined;
    await Promise.all([current?.stop(), standby?.stop(), this.#bringingUp]);
    this.#failHeld(new TenonError("ENGINE_CLOSED", { problem: "the model was unloaded" }));
  }

  // ── runs ───────────────────────────────────────────────────────────────────────────────────

  submit(run: SupervisedRun): void {
    if (this.#closed) run.done(new TenonError("ENGINE_CLOSED", { problem: "the model was unloaded" }), null);
    else if (this.#unavailable !== undefined) run.done(this.#unavailable, null);
    else if (this.#mayStart) this.#start(run);
    else this.#held.push(run);
  }

  cancel(run: SupervisedRun): void {
    run.cancelled = true;
    const at = this.#held.indexOf(run);
    if (at >= 0) {
      this.#held.splice(at, 1);
      run.done(cancelled(), null);
      return;
    }
    for (const started of this.#started) if (started.origin === run) started.process.cancel(started.sequence);
  }

  get #mayStart(): boolean {
    return (
      this.#current?.alive === true &&
      this.#onTrial === undefined &&
      this.#suspects.length === 0 &&
      this.#held.length === 0
    );
  }

  /** False when there is no room for it yet. */
  #start(run: SupervisedRun, suspect?: Suspect): boolean {
    const process = this.#current!;
    const batch = suspect?.batch ?? run.batch;
    const started: Started = {
      origin: run,
      model: run.tenant.message.model,
      limitMs: suspect?.trial.limitMs ?? this.#host.options.runLimitMs,
      startedAt: performance.now(),
      process,
      sequence: 0,
      suspect,
      call: (memory) => run.call(memory, batch),
      done: (error, outputs) => this.#ended(started, error, outputs),
    };
    let sequence: number | undefined;
    try {
      sequence = process.submit(started);
    } catch (error) {
      this.#conclude(started, toTenonError(error), null);
      return true;
    }
    if (sequence === undefined) {
      if (suspect === undefined) this.#held.unshift(run);
      return false;
    }
    started.sequence = sequence;
    this.#started.add(started);
    this.#trimmed = false;
    if (suspect !== undefined) this.#onTrial = started;
    this.#enforcing ??= setInterval(() => this.#enforce(), ENFORCE_MS).unref();
    return true;
  }

  #ended(started: Started, error: TenonError | null, outputs: BatchOutputs | null): void {
    this.#started.delete(started);
    this.#lastRunAt = performance.now();
    if (error === null) {
      const ms = (this.#lastRunAt - started.startedAt) / Math.max(1, started.origin.batch.rows);
      this.#rowMs = this.#rowMs === 0 ? ms : 0.9 * this.#rowMs + 0.1 * ms;
    }
    if (this.#onTrial === started) this.#onTrial = undefined;
    if (started.suspect === undefined && isTenonError(error, "DEADLINE")) this.#tookTooLong(started);
    else this.#conclude(started, error, outputs);
    this.#proceed();
  }

  #conclude(started: Started, error: TenonError | null, outputs: BatchOutputs | null): void {
    const { suspect, origin } = started;
    if (suspect === undefined) {
      origin.done(error, outputs);
      return;
    }
    const { trial, index } = suspect;
    trial.outcomes[index] = { error, outputs };
    if (--trial.left === 0) trial.run.done(null, null, trial.outcomes as MemberOutcome[]);
  }

  /** Starts what waits: first the suspects, each alone; then the rest. */
  #proceed(): void {
    const process = this.#current;
    if (process === undefined || !process.alive) return;
    if (this.#onTrial !== undefined) return;
    while (this.#suspects.length > 0) {
      if (process.inFlight > 0 || this.#onTrial !== undefined) return;
      const suspect = this.#suspects.shift()!;
      if (suspect.trial.run.cancelled) {
        this.#conclude({ suspect, origin: suspect.trial.run } as Started, cancelled(), null);
      } else this.#start(suspect.trial.run, suspect);
      if (this.#suspects.length === 0 && this.#onTrial === undefined) this.#endRound();
    }
    if (this.#onTrial !== undefined) return;
    this.#endRound();
    while (this.#held.length > 0 && this.#current?.alive === true && this.#onTrial === undefined) {
      if (!this.#start(this.#held.shift()!)) return;
    }
  }

  #endRound(): void {
    if (!this.#roundByCrash) return;
    const blamed = this.#roundHadCulprit;
    this.#roundByCrash = this.#roundHadCulprit = false;
    if (!blamed) this.#countCrash("it crashed, and no request was to blame");
  }

  /** Every member gets its own run, alone in the process. */
  #suspect(run: SupervisedRun, limitMs: number): void {
    const { members } = run.batch;
    const trial: Trial = {
      run,
      outcomes: new Array(members.length).fill(undefined),
      left: members.length,
      limitMs,
    };
    members.forEach((member, index) => {
      const batch: Batch = { members: [member], rows: member.rows, outputs: run.batch.outputs };
      this.#suspects.push({ trial, index, batch });
    });
  }

  // ── time ───────────────────────────────────────────────────────────────────────────────────

  #enforce(): void {
    if (this.#started.size === 0) {
      clearInterval(this.#enforcing);
      this.#enforcing = undefined;
      return;
    }
    const processes = new Set([...this.#started].map((started) => started.process));
    for (const process of processes) process.enforce((run) => (run as Started).limitMs);
  }

  #tookTooLong({ origin }: Started): void {
    if (origin.batch.members.length === 1) origin.done(overTime(this.#host.options.runLimitMs), null);
    else this.#suspect(origin, Math.max(LEAST_SINGLE_MS, SINGLE_RUNS * this.#rowMs));
  }

  // ── death and replacement ──────────────────────────────────────────────────────────────────

  #install(process: ModelProcess): void {
    this.#current = process;
    process.onDeath = (death, runs) => this.#died(process, death, runs as readonly Started[]);
    this.#lookingAfter ??= setInterval(() => this.#lookAfter(), LOOK_AFTER_MS).unref();
  }

  #died(process: ModelProcess, death: Death, runs: readonly Started[]): void {
    for (const run of runs) this.#started.delete(run);
    const wasCurrent = this.#current === process;
    if (wasCurrent) this.#current = undefined;
    if (this.#closed || death.reason === "stopped") {
      const closed = new TenonError("ENGINE_CLOSED", { problem: "the model was unloaded" });
      for (const run of runs) this.#conclude(run, closed, null);
      return;
    }
    emit("model:crashed", {
      model: this.#tenants.map(({ name }) => name).join(", "),
      pid: death.pid,
      reason: describeDeath(death),
      runs: runs.length,
      stderr: death.stderr,
    });
    this.#blame(death, runs);
    if (wasCurrent && this.#tenants.length > 0 && this.#unavailable === undefined) this.#bringUp();
  }

  #blame(death: Death, runs: readonly Started[]): void {
    const trial = this.#onTrial;
    this.#onTrial = undefined;
    if (death.reason === "deadline") {
      for (const run of runs) {
        if (run !== death.offender) this.#again(run);
        else if (run.suspect !== undefined) this.#conclude(run, overTime(run.limitMs), null);
        else this.#tookTooLong(run);
      }
      return;
    }
    if (trial !== undefined && runs.includes(trial)) {
      this.#convict(trial, death);
      return;
    }
    const only = runs.length === 1 ? runs[0]! : undefined;
    if (only !== undefined && only.origin.batch.members.length === 1 && death.signal !== "SIGKILL") {
      this.#convict(only, death);
      return;
    }
    if (runs.length === 0) {
      this.#countCrash(describeDeath(death));
      return;
    }
    this.#roundByCrash = true;
    for (const run of runs) this.#suspect(run.origin, this.#host.options.runLimitMs);
  }

  /** It was the only run in the process. SIGKILL comes from outside: nothing is proven then. */
  #convict(run: Started, death: Death): void {
    const member = (run.suspect?.batch ?? run.origin.batch).members[0]!;
    if (death.signal === "SIGKILL" && death.reason === undefined) {
      this.#roundByCrash = true;
      this.#conclude(run, unavailable(run.origin.tenant.name, describeDeath(death)), null);
      return;
    }
    this.#roundHadCulprit = true;
    run.origin.tenant.quarantine.add(member);
    this.#conclude(run, crashed(run.origin.tenant.name, death), null);
  }

  /** It was not to blame: the same run once more. */
  #again(run: Started): void {
    if (run.suspect !== undefined) this.#suspects.unshift(run.suspect);
    else this.#held.unshift(run.origin);
  }

  #bringUp(): void {
    this.#bringingUp ??= this.#replace().finally(() => {
      this.#bringingUp = undefined;
    });
  }

  async #replace(): Promise<void> {
    const wanted = (): boolean => !this.#closed && this.#tenants.length > 0;
    while (wanted() && this.#unavailable === undefined && this.#current === undefined) {
      const standby = this.#standby;
      this.#standby = undefined;
      try {
        const process = standby?.alive === true ? standby : await this.#loadedProcess();
        if (!wanted()) {
          await process.stop();
          return;
        }
        this.#breaker.recovered(performance.now());
        this.#install(process);
        this.#proceed();
        clearTimeout(this.#sparing);
        this.#sparing = setTimeout(() => this.#prepareStandby(), SPARE_AFTER_MS).unref();
      } catch (error) {
        this.#countCrash(toTenonError(error).message);
      }
    }
  }

  /** A process with all models loaded. */
  async #loadedProcess(): Promise<ModelProcess> {
    const process = await this.#host.take("later");
    try {
      for (const { message, from } of [...this.#tenants])
        await process.load(message, from, this.#host.options.loadTimeoutMs, readLoadedReply);
      return process;
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  #prepareStandby(): void {
    if (
      this.#host.options.spare !== "model" ||
      this.#standby !== undefined ||
      this.#tenants.length === 0 ||
      this.#closed
    )
      return;
    void this.#loadedProcess().then(
      (process) => {
        if (this.#closed || this.#tenants.length === 0 || this.#standby !== undefined) void process.stop();
        else this.#standby = process;
      },
      () => undefined, // the next crash then loads anew, and reports why it cannot
    );
  }

  #countCrash(reason: string): void {
    const pauseMs = this.#breaker.crashed(performance.now());
    if (pauseMs === undefined || this.#closed) return;
    const names = this.#tenants.map(({ name }) => name).join(", ");
    this.#unavailable = unavailable(names, reason);
    emit("model:warning", {
      model: names,
      code: "MODEL_UNAVAILABLE",
      message: `crashed too often and is closed for ${Math.round(pauseMs / 1000)} s: ${reason}`,
    });
    this.#failHeld(this.#unavailable);
    this.#retry = setTimeout(() => {
      this.#unavailable = undefined;
      if (this.#current === undefined) this.#bringUp();
      else this.#proceed();
    }, pauseMs).unref();
  }

  #failHeld(error: TenonError): void {
    for (const run of this.#held.splice(0)) run.done(error, null);
    for (const suspect of this.#suspects.splice(0))
      this.#conclude({ suspect, origin: suspect.trial.run } as Started, error, null);
  }

  // ── care ───────────────────────────────────────────────────────────────────────────────────

  #lookAfter(): void {
    const process = this.#current;
    if (process === undefined) return;
    if (!this.#trimmed && process.inFlight === 0 && performance.now() - this.#lastRunAt > TRIM_AFTER_MS) {
      this.#trimmed = true;
      process.trim();
    }
    const limit = this.#host.rssLimit(this.#tenants);
    const rss = limit === undefined ? 0 : process.rssBytes();
    if (limit !== undefined && rss > limit && globalThis.process.platform !== "linux") process.kill("memory");
    else if ((limit !== undefined && rss > SOFT_RSS * limit) || process.failedRuns >= RECYCLE_FAILED_RUNS)
      void this.recycle();
  }

  /** Replaces the process by a fresh one that is ready before the old one gets no more runs. */
  async recycle(): Promise<void> {
    const old = this.#current;
    if (this.#recycling || this.#closed || old === undefined) return;
    this.#recycling = true;
    try {
      const fresh = await this.#loadedProcess();
      if (this.#closed || this.#current !== old) {
        await fresh.stop();
        return;
      }
      old.onFree = () => {
        if (old.inFlight === 0) void old.stop();
      };
      this.#install(fresh);
      if (old.inFlight === 0) await old.stop();
      this.#proceed();
    } catch {
      // The old process serves on, and the next look tries again.
    } finally {
      this.#recycling = false;
    }
  }
}
