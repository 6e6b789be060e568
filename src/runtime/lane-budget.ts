/** LaneBudget: one bound on running lanes over all models of an engine, and who gets the next free one. */

/** A model's side of the budget. */
export interface Contender {
  /** Arrival time of the oldest waiting request; undefined when none waits. */
  oldestWaiting(): number | undefined;
  /** Runs in flight. */
  readonly running: number;
  /** Start something; `free` lanes are idle (0: it would only be queued behind a running lane). */
  dispatch(free: number): void;
}

/** The event loop's load is looked at over windows of at least this length. */
const LOOP_WINDOW_MS = 10;
/** So long may runs hold all lanes, none ending, before a model that has none running is lent one. */
const LEND_AFTER_MS = 20;

export class LaneBudget {
  /** Runs that make progress at the same time: one per core that may be used. */
  readonly lanes: number;
  /** Runs handed to the thread pool per lane: 2 keeps a lane from waiting for the event loop, where the pool is ours. */
  readonly depth: number;
  /** Whether a model may run beside lanes that hang: where each model has a process, and so a thread, of its own. */
  readonly #lending: boolean;
  readonly #contenders = new Set<Contender>();
  #inFlight = 0;
  /** When a lane last came back, or the last free one was taken. */
  #progressAt = 0;
  #lendTimer: NodeJS.Timeout | undefined;
  #requests = 0;
  #averageRequests = 0;
  #scheduled = false;
  #utilization = performance.eventLoopUtilization();
  #inlineMs = 0;
  #turns = 0;
  #loopBusy = 0;

  constructor(lanes: number, depth: number, lending = false) {
    this.lanes = lanes;
    this.depth = depth;
    this.#lending = lending;
  }

  join(contender: Contender): void {
    this.#contenders.add(contender);
  }

  leave(contender: Contender): void {
    this.#contenders.delete(contender);
  }

  /** Lanes taken by runs in flight; a wide run takes all. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Requests accepted and not yet answered, over all models. */
  get requests(): number {
    return this.#requests;
  }

  /** True when the system has had, lately and now, not more than one request at a time. */
  get alone(): boolean {
    return this.#requests === 1 && this.#averageRequests < 1.5;
  }

  /** Share of its time that the event loop lately spent on other things than inline runs, from 0 to 1. */
  get loopBusy(): number {
    return this.#loopBusy;
  }

  /** A run on the event-loop thread took this long. */
  ranInline(ms: number): void {
    this.#inlineMs += ms;
  }

  #observeLoop(): void {
    const { active, idle } = performance.eventLoopUtilization(this.#utilization);
    if (active + idle < LOOP_WINDOW_MS) return;
    this.#loopBusy = Math.max(0, active - this.#inlineMs) / (active + idle);
    this.#inlineMs = 0;
    this.#utilization = performance.eventLoopUtilization();
  }

  /** `alone` for a request that runs by itself: it starts at once, unless others of this turn wait to be seen together. */
  accepted(alone: boolean): void {
    this.#requests++;
    if (!alone || this.#scheduled) this.schedule();
    else this.#turn();
  }

  answered(): void {
    this.#requests--;
  }

  /** Takes lanes for a run; whether they are lent ones, to be named when they are given back. */
  take(lanes: number): boolean {
    const full = this.#inFlight >= this.lanes;
    const lent = full && this.#stalledFor() >= LEND_AFTER_MS;
    this.#inFlight += lanes;
    if (!full && this.#inFlight >= this.lanes) this.#progressAt = performance.now();
    return lent;
  }

  /** Gives lanes back and starts what waits. A lent one that comes back says nothing of those that hang. */
  give(lanes: number, lent: boolean): void {
    this.#inFlight -= lanes;
    if (!lent) this.#progressAt = performance.now();
    this.pump();
  }

  /**
   * Whether a model may start a run although all lanes are taken: it has none, and none of them came back for a while.
   * Where that is only to come, what waits is looked at again then.
   */
  lends(contender: Contender): boolean {
    if (!this.#lending || contender.running > 0) return false;
    const left = LEND_AFTER_MS - this.#stalledFor();
    if (left <= 0) return true;
    this.#lendTimer ??= setTimeout(() => {
      this.#lendTimer = undefined;
      this.pump();
    }, Math.ceil(left));
    return false;
  }

  #stalledFor(): number {
    return this.#lending ? performance.now() - this.#progressAt : 0;
  }

  /** Everything that arrives in this turn of the event loop is seen together. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    if ((++this.#turns & 15) === 0) this.#observeLoop();
    this.#averageRequests += (this.#requests - this.#averageRequests) / 8;
    this.pump();
  }

  /** Starts runs while there is room: first models that have none running, then whose request has waited longest. */
  pump(): void {
    for (;;) {
      const full = this.#inFlight >= this.lanes * this.depth;
      if (full && !this.#lending) return;
      let next: Contender | undefined;
      let oldest = Number.POSITIVE_INFINITY;
      for (const contender of this.#contenders) {
        const waiting = contender.oldestWaiting();
        if (waiting === undefined || (full && !this.lends(contender))) continue;
        const first = contender.running === 0;
        const nextFirst = next !== undefined && next.running === 0;
        if (next === undefined || (first !== nextFirst ? first : waiting < oldest)) {
          next = contender;
          oldest = waiting;
        }
      }
      if (next === undefined) return;
      next.dispatch(Math.max(0, this.lanes - this.#inFlight));
    }
  }
}
