/** Scheduler: one model's queue and lanes. Collects a turn's requests, forms batches, runs them, answers each request. */
import { emit, isTenonError, TenonError, toTenonError } from "../base/index.js";
import { answerOf } from "./answer.js";
import { AnswerOrder } from "./answer-order.js";
import { ArenaWatch } from "./arena-watch.js";
import type { BatchLog, BatchReason, BatchRecord } from "./batch-log.js";
import { recordOf } from "./batch-record.js";
import type { BufferPool } from "./buffers.js";
import type { CostModel, CostModels } from "./cost-model.js";
import { type ExplicitBatching, ExplicitQueue } from "./explicit-queue.js";
import { Few } from "./few.js";
import { type BatchOutputs, type MemberOutcome, rowsOf } from "./lane.js";
import type { Contender, LaneBudget } from "./lane-budget.js";
import type { OutputShapes } from "./output-shapes.js";
import { type Outputs, SharedBuffers } from "./outputs.js";
import type { Padding } from "./padding.js";
import { batchOf, filledTo, hasRows, type Pending, type Running } from "./pending.js";
import { RequestQueue } from "./queue.js";
import { cancelled, deadlinePassed, deadlineUnreachable, queueFull, queueTimeout } from "./refusals.js";
import type { RunLane, Session } from "./session.js";

export interface SchedulerOptions {
  readonly model: string;
  /** Most rows in a batch; 1 when the model is not batched. */
  readonly maxRows: number;
  /** Most waiting requests. */
  readonly queueLimit: number;
  /** Milliseconds to wait for a batch to fill; 0 never holds a request back. */
  readonly maxDelayMs: number;
  /** Along what requests of one key are filled up to the longest of a batch. */
  readonly padding: Padding | undefined;
  /** The key of a request that shares batches with its own shape alone. */
  readonly keyAlone: (request: Pending) => string;
  /** Rules for batches in place of measured costs. */
  readonly explicit: ExplicitBatching | undefined;
  /** Most runs at the same time; undefined: as many as there are lanes. */
  readonly instances: number | undefined;
  /** False when the values of a request decide how long it runs: no run is done on the event-loop thread then. */
  readonly foreseeable: boolean;
}

/** Runs on the event-loop thread are shorter than this: another thread would cost a lone request more. */
const INLINE_BELOW_MS = 0.3;
/** Least time that handing a run to another thread and back takes. */
const HANDING_OVER_MS = 0.05;
/** Share of its time that the event loop may be busy otherwise while batches run on it. */
const INLINE_LOOP_BUSY = 0.7;
/** Below this, more threads for a lone request do not pay. */
const WIDE_FROM_MS = 2;
/** Runs shorter than this are not queued behind a running lane before a full batch waits. */
const QUEUE_AHEAD_FROM_MS = 1;

export class Scheduler implements Contender {
  readonly #options: SchedulerOptions;
  readonly #session: Session;
  readonly #budget: LaneBudget;
  readonly #shapes: OutputShapes;
  readonly #pool: BufferPool;
  readonly #costs: CostModels;
  readonly #log: BatchLog;
  readonly #costed = new RequestQueue<Pending>();
  readonly #explicit: ExplicitQueue<Pending> | undefined;
  /** The one of both that is used. */
  readonly #queue: RequestQueue<Pending> | ExplicitQueue<Pending>;
  readonly #order: AnswerOrder | undefined;
  readonly #idleLanes: RunLane[] = [];
  readonly #running = new Few<Running>();
  readonly #wideGear: WideGear;
  #maxRows: number;
  #inlineLane: RunLane | undefined;
  /** Whether runs can be done on the event-loop thread. */
  readonly #inline: boolean;
  #closed: TenonError | undefined;
  #drained: (() => void) | undefined;
  readonly #arena: ArenaWatch;
  #delayTimer: NodeJS.Timeout | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;

  constructor(
    options: SchedulerOptions,
    session: Session,
    parts: {
      budget: LaneBudget;
      shapes: OutputShapes;
      pool: BufferPool;
      costs: CostModels;
      log: BatchLog;
      wideGear: WideGear;
    },
  ) {
    this.#options = options;
    const { explicit } = options;
    this.#explicit = explicit === undefined ? undefined : new ExplicitQueue(explicit, options.maxRows);
    this.#queue = this.#explicit ?? this.#costed;
    this.#order = explicit?.preserveOrdering ? new AnswerOrder() : undefined;
    this.#maxRows = options.maxRows;
    this.#session = session;
    this.#inlineLane = session.lane(parts.shapes, parts.pool);
    this.#inline = options.foreseeable && this.#inlineLane.runSync !== undefined;
    this.#budget = parts.budget;
    this.#shapes = parts.shapes;
    this.#pool = parts.pool;
    this.#costs = parts.costs;
    this.#log = parts.log;
    this.#wideGear = parts.wideGear;
    this.#arena = new ArenaWatch(session);
    this.#budget.join(this);
  }

  get running(): number {
    return this.#running.size;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  oldestWaiting(): number | undefined {
    if (this.#running.size >= (this.#options.instances ?? Number.POSITIVE_INFINITY)) {
      this.#wakeAtExpiry();
      return undefined;
    }
    if (this.#explicit !== undefined) return this.#explicitWaiting(this.#explicit);
    const head = this.#costed.head();
    if (head === undefined) return undefined;
    const delay = this.#options.maxDelayMs;
    if (
      delay > 0 &&
      this.#costed.rowsLike(head) < this.#maxRows &&
      performance.now() - head.arrivedAt < delay
    ) {
      this.#wakeAfter(delay - (performance.now() - head.arrivedAt));
      return undefined;
    }
    const full = this.#budget.inFlight >= this.#budget.lanes;
    if (full && !this.#mayQueueAhead(head) && !this.#budget.lends(this)) return undefined;
    return head.arrivedAt;
  }

  /** As `oldestWaiting`, by rules: a batch grows until a lane is free to take it. */
  #explicitWaiting(queue: ExplicitQueue<Pending>): number | undefined {
    if (queue.length === 0) return undefined;
    const now = performance.now();
    for (const late of queue.expire(now)) this.#settle(late, queueTimeout());
    if (this.#budget.inFlight >= this.#budget.lanes && !this.#budget.lends(this)) {
      this.#wakeAtExpiry();
      return undefined;
    }
    const { members, waitMs } = queue.form(now);
    if (members.length > 0) return queue.oldest();
    if (waitMs !== undefined) this.#wakeAfter(Math.min(waitMs, queue.nextExpiry() - now));
    return undefined;
  }

  /** Requests are refused when their time is over, also while nothing can run. */
  #wakeAtExpiry(): void {
    const next = this.#explicit?.nextExpiry() ?? Number.POSITIVE_INFINITY;
    if (next !== Number.POSITIVE_INFINITY) this.#wakeAfter(Math.max(1, next - performance.now()));
  }

  #wakeAfter(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#wakesAt) return;
    clearTimeout(this.#delayTimer);
    this.#wakesAt = at;
    this.#delayTimer = setTimeout(() => {
      this.#wakesAt = Number.POSITIVE_INFINITY;
      for (const late of this.#explicit?.expire(performance.now()) ?? []) this.#settle(late, queueTimeout());
      this.#budget.pump();
    }, ms);
  }

  #mayQueueAhead(head: Pending): boolean {
    if (head.lane !== undefined) return true;
    const cost = this.#costs.of(head.batchKey);
    return cost.predict(1) >= QUEUE_AHEAD_FROM_MS || this.#costed.rowsLike(head) >= cost.best;
  }

  /** Takes a request on. Rejects it at once with QUEUE_FULL, MODEL_UNAVAILABLE, CANCELLED or DEADLINE. */
  submit(request: Pending): void {
    const refused = this.#refusal(request);
    if (refused !== undefined) {
      request.state = "done";
      request.reject(refused);
      return;
    }
    this.#queue.push(request);
    const { signal } = request;
    if (signal !== undefined) {
      request.onAbort = () => this.#abandon(request, cancelled(signal));
      signal.addEventListener("abort", request.onAbort, { once: true });
    }
    if (request.deadlineAt !== Number.POSITIVE_INFINITY) {
      const left = request.deadlineAt - performance.now();
      request.timer = setTimeout(() => this.#abandon(request, deadlinePassed()), Math.max(left, 0));
    }
    // A lease's run is never joined by others: it has nothing to wait for.
    this.#budget.accepted(request.lane !== undefined);
  }

  #refusal(request: Pending): TenonError | undefined {
    if (this.#closed !== undefined) return this.#closed;
    if (request.signal?.aborted) return cancelled(request.signal);
    if (request.deadlineAt <= performance.now()) return deadlinePassed();
    const { queueLimit, model } = this.#options;
    const limit = this.#queue.length >= queueLimit ? queueLimit : this.#explicit?.fullAt(request);
    if (limit === undefined) return undefined;
    return queueFull(model, this.#queue.length, limit);
  }

  /** A request that nobody waits for any more: free while queued; alone in a run it stops the run. */
  #abandon(request: Pending, error: TenonError): void {
    if (request.state === "done") return;
    if (request.state === "queued") this.#queue.remove(request);
    else if (request.run !== undefined && --request.run.wanted === 0) request.run.lane.terminate();
    this.#settle(request, error);
  }

  #settle(request: Pending, error: TenonError | undefined, outputs?: Outputs): void {
    if (request.state === "done") return;
    request.state = "done";
    if (request.timer !== undefined) clearTimeout(request.timer);
    if (request.onAbort !== undefined) request.signal!.removeEventListener("abort", request.onAbort);
    this.#budget.answered();
    if (error !== undefined) request.reject(error);
    else request.resolve(outputs!);
  }

  // ── forming batches ──────────────────────────────────────────────────────────────────────────

  dispatch(free: number): void {
    if (this.#explicit === undefined) this.#dispatchCosted(free);
    else this.#dispatchExplicit(this.#explicit);
  }

  #dispatchExplicit(queue: ExplicitQueue<Pending>): void {
    const now = performance.now();
    const members = queue.take(now);
    const head = members[0];
    if (head === undefined) return;
    if (head.lane !== undefined) this.#start(members, head.lane, "lease", "lease", now);
    else this.#start(members, this.#idleLanes.pop() ?? this.#newLane(), "lane", "rules", now);
  }

  #dispatchCosted(free: number): void {
    const head = this.#costed.head()!;
    const now = performance.now();
    if (head.lane !== undefined) {
      this.#start(this.#costed.take(head, head.member.rows), head.lane, "lease", "lease", now);
      return;
    }
    const cost = this.#costs.of(head.batchKey);
    const alone = cost.predict(head.member.rows);
    if (head.deadlineAt - now < alone) {
      this.#queue.remove(head);
      this.#settle(head, deadlineUnreachable(alone, head.deadlineAt - now));
      return;
    }
    const like = this.#costed.rowsLike(head);
    // Everything in the system waits here: nothing else would be served while this thread runs the model.
    const everything =
      this.#budget.inFlight === 0 &&
      this.#queue.length === this.#budget.requests &&
      like === this.#queue.rows;
    if (everything && like <= this.#maxRows && this.#runsInline(like, cost)) {
      this.#runInline(this.#costed.take(head, like), now, cost);
      return;
    }
    let { rows, reason }: { rows: number; reason: BatchReason } = {
      rows: head.member.rows,
      reason: "unbatched",
    };
    if (this.#maxRows > 1) {
      ({ rows, reason } = cost.choose(
        like,
        Math.max(Math.min(free, this.#lanesLeft), 1),
        this.#budget.lanes,
      ));
      while (rows > head.member.rows && head.deadlineAt - now < cost.predict(rows)) {
        rows = Math.floor(rows / 2);
        reason = "deadline";
      }
      if (reason === "all" && like < this.#queue.rows) reason = "shape";
    }
    const members = this.#costed.take(head, rows);
    const wide =
      everything && this.#budget.alone && alone >= WIDE_FROM_MS && this.#budget.lanes > 1
        ? this.#wideGear.lane()
        : undefined;
    if (wide !== undefined) this.#start(members, wide, "wide", reason, now);
    else this.#start(members, this.#idleLanes.pop() ?? this.#newLane(), "lane", reason, now);
  }

  /**
   * Whether all that waits runs on the event-loop thread: a lone tiny request always, a batch when it takes less than
   * handing it over and the loop has little else to do.
   */
  #runsInline(rows: number, cost: CostModel): boolean {
    if (!cost.known || !this.#inline) return false;
    const ms = cost.predict(rows);
    if (this.#budget.alone) return ms < INLINE_BELOW_MS;
    const handingOver = Math.max(cost.hopMs, HANDING_OVER_MS);
    return ms < Math.min(2 * handingOver, INLINE_BELOW_MS) && this.#budget.loopBusy < INLINE_LOOP_BUSY;
  }

  get #lanesLeft(): number {
    return (this.#options.instances ?? this.#budget.lanes) - this.#running.size;
  }

  #newLane(): RunLane {
    return this.#session.lane(this.#shapes, this.#pool);
  }

  #runInline(members: readonly Pending[], now: number, cost: CostModel): void {
    this.#inlineLane ??= this.#newLane();
    const batch = batchOf(members, this.#options.padding, false);
    for (const member of members) member.state = "running";
    let outputs: BatchOutputs | null = null;
    let error: TenonError | null = null;
    try {
      outputs = this.#inlineLane.runSync!(batch);
    } catch (cause) {
      error = toTenonError(cause);
    }
    const startedAt = now;
    const actualMs = performance.now() - startedAt;
    this.#budget.ranInline(actualMs);
    const reason = this.#maxRows === 1 ? "unbatched" : members.length === 1 ? "idle" : "all";
    this.#log.add(
      recordOf({
        batch,
        members,
        gear: "inline",
        reason,
        startedAt,
        predictedMs: cost.predict(batch.rows),
        actualMs,
        outputs,
        error,
      }),
    );
    this.#conclude(members, error, outputs);
  }

  #start(
    members: readonly Pending[],
    lane: RunLane,
    gear: BatchRecord["gear"],
    reason: BatchReason,
    now: number,
  ): void {
    const arena = gear === "wide" ? this.#wideGear.arena : this.#arena;
    const shrink = arena?.shrinkDue(now) ?? false;
    const batch = batchOf(members, this.#options.padding, shrink);
    const running: Running = { members, lane, wanted: members.length };
    const turn = this.#order?.enter();
    for (const member of members) {
      member.state = "running";
      member.run = running;
    }
    const cost = gear === "lease" ? undefined : this.#costs.of(members[0]!.batchKey);
    const predictedMs = cost?.predict(batch.rows) ?? 0;
    this.#running.add(running);
    const lanes = gear === "wide" ? this.#budget.lanes : 1;
    const lent = this.#budget.take(lanes);
    lane.run(batch, (failure, outputs, outcomes) => {
      const error = failure?.code === "CANCELLED" && this.#closed !== undefined ? this.#closed : failure;
      const actualMs = performance.now() - now;
      this.#running.delete(running);
      arena?.ran(`${members[0]!.batchKey} ${batch.rows}`, now + actualMs, shrink);
      if (shrink) lane.shrinkSlab();
      if (gear === "lane") {
        this.#idleLanes.push(lane);
        if (error === null && outcomes === undefined) cost?.learn(batch.rows, actualMs, outputs?.runMs);
      } else if (gear === "wide") this.#wideGear.done(lane, actualMs, predictedMs);
      this.#log.add(
        recordOf({ batch, members, gear, reason, startedAt: now, predictedMs, actualMs, outputs, error }),
      );
      const conclude = (): void => this.#concludeAll(members, error, outputs, outcomes);
      if (turn === undefined) conclude();
      else turn(conclude);
      this.#budget.give(lanes, lent);
      if (this.#running.size === 0) this.#drained?.();
    });
  }

  // ── answering ────────────────────────────────────────────────────────────────────────────────

  #concludeAll(
    members: readonly Pending[],
    error: TenonError | null,
    outputs: BatchOutputs | null,
    outcomes: readonly MemberOutcome[] | undefined,
  ): void {
    if (outcomes === undefined) this.#conclude(members, error, outputs);
    else outcomes.forEach((own, i) => void this.#conclude([members[i]!], own.error, own.outputs));
  }

  #conclude(members: readonly Pending[], error: TenonError | null, outputs: BatchOutputs | null): void {
    if (isTenonError(error, "ENGINE_FAILED") && this.#closed === undefined && filledTo(members) !== undefined)
      this.#runUnfilled(members);
    else if (error !== null || outputs === null) {
      for (const member of members) this.#settle(member, error ?? new TenonError("INTERNAL"));
    } else if (members.length > 1 && !hasRows(outputs.tensors, members)) this.#runSingly(members);
    else this.#answer(members, outputs);
  }

  /** A batch's outputs do not have its rows, although the model passed the proof: it is not batched any more. */
  #runSingly(members: readonly Pending[]): void {
    this.#maxRows = 1;
    emit("model:warning", {
      model: this.#options.model,
      code: "BATCHING_OFF",
      message: "a batch did not have one output row per input row; requests now run one by one",
    });
    this.#again(members);
  }

  /** A longer one may have been too long for the model: each shape by itself then. */
  #runUnfilled(members: readonly Pending[]): void {
    for (const member of members) {
      member.batchKey = this.#options.keyAlone(member);
      member.length = undefined;
    }
    this.#again(members);
  }

  #again(members: readonly Pending[]): void {
    for (const member of members) {
      if (member.state === "done") continue;
      member.state = "queued";
      member.run = undefined;
      this.#queue.push(member);
    }
    this.#budget.schedule();
  }

  #answer(members: readonly Pending[], outputs: BatchOutputs): void {
    const names = this.#session.signature.outputs;
    const shared = new SharedBuffers(this.#pool, outputs.buffers, members.length);
    const padding = filledTo(members) === undefined ? undefined : this.#options.padding;
    let start = 0;
    for (const member of members) {
      const { rows } = member.member;
      if (member.state === "done") {
        shared.release();
        start += rows;
        continue;
      }
      const own = members.length === 1 ? outputs.tensors : rowsOf(outputs.tensors, start, rows);
      start += rows;
      try {
        this.#settle(member, undefined, answerOf(member, own, names, padding, shared));
      } catch (error) {
        shared.release();
        this.#settle(member, toTenonError(error));
      }
    }
  }

  /** Rejects what waits, stops what runs, and frees the lanes when the last run has ended. */
  async close(reason: TenonError): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    for (const request of this.#queue.drain()) this.#settle(request, reason);
    for (const running of this.#running) running.lane.terminate();
    await this.#idle();
    this.#release();
  }

  /** Takes no new requests, lets the accepted ones finish, then frees the lanes. */
  async drain(reason: TenonError): Promise<void> {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    while (this.#queue.length > 0 || this.#running.size > 0) await this.#idle();
    this.#release();
  }

  async #idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    else if (this.#queue.length > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    this.#drained = undefined;
  }

  #release(): void {
    clearTimeout(this.#delayTimer);
    this.#budget.leave(this);
    for (const lane of this.#idleLanes.splice(0)) lane.dispose();
    this.#inlineLane?.dispose();
    this.#inlineLane = undefined;
  }
}

/** Lanes on a session with one thread per core, for lone requests on heavy models. */
export interface WideGear {
  /** A wide lane, or undefined while there is none or it does not pay for this model. */
  lane(): RunLane | undefined;
  /** The memory of the wide session. */
  readonly arena: ArenaWatch | undefined;
  done(lane: RunLane, ms: number, oneThreadMs: number): void;
}
