/** ExplicitQueue: batches formed by stated rules instead of measured costs, as Triton's dynamic batcher has them. */
import type { Request } from "./queue.js";

/** What happens to a request that has waited longer than it may. */
export interface QueuePolicy {
  /** `delay`: it is served behind all others of its level, instead of being refused. */
  readonly action: "reject" | "delay";
  /** Milliseconds in the queue; 0: no limit. */
  readonly timeoutMs: number;
  /** A request may name a shorter time; never a longer one. */
  readonly allowOverride: boolean;
  /** Most waiting requests of a level; 0: no limit but the engine's. */
  readonly maxQueue: number;
}

/** Rules for batches. The words are those of `dynamic_batching` in Triton's model configuration. */
export interface ExplicitBatching {
  /** A batch stops growing at the largest of these sizes that the waiting requests reach. */
  readonly preferred: readonly number[];
  /** Milliseconds to wait for the next preferred size; 0 takes what is there. */
  readonly maxDelayMs: number;
  /** Levels of priority, 1 the highest; requests of a higher one are taken first, always. */
  readonly levels: number;
  /** Level of requests that name none, or one that there is not. */
  readonly defaultLevel: number;
  readonly policy: QueuePolicy;
  /** By level, in place of `policy`. */
  readonly policies: ReadonlyMap<number, QueuePolicy>;
  /** Answers leave in the order in which their requests were taken from the queue. */
  readonly preserveOrdering: boolean;
}

/** A request with what it says of its place in the queue. */
export interface ExplicitRequest extends Request {
  /** Level of priority from 1; undefined: the default. */
  readonly level: number | undefined;
  /** Milliseconds that it is ready to wait, where the policy allows to say so. */
  readonly queueTimeoutMs: number | undefined;
}

/** What can be done now: members of a batch, or nothing before `waitMs` have passed. */
export interface Formed<R> {
  readonly members: readonly R[];
  readonly waitMs: number | undefined;
}

interface Waiting<R> {
  readonly request: R;
  readonly expiresAt: number;
}

interface Level<R> {
  readonly policy: QueuePolicy;
  waiting: Waiting<R>[];
  /** Behind those that wait: their time was over. */
  delayed: R[];
}

/** One first-in-first-out queue per level of priority. */
export class ExplicitQueue<R extends ExplicitRequest> {
  readonly #rules: ExplicitBatching;
  readonly #maxRows: number;
  readonly #most: number;
  readonly #preferred: ReadonlySet<number>;
  readonly #levels: readonly Level<R>[];
  #length = 0;
  #rows = 0;

  constructor(rules: ExplicitBatching, maxRows: number) {
    this.#rules = rules;
    this.#maxRows = maxRows;
    this.#preferred = new Set(rules.preferred);
    this.#most = rules.preferred.length === 0 ? maxRows : Math.max(...rules.preferred);
    this.#levels = Array.from({ length: Math.max(1, rules.levels) }, (_, i) => ({
      policy: rules.policies.get(i + 1) ?? rules.policy,
      waiting: [],
      delayed: [],
    }));
  }

  /** Waiting requests. */
  get length(): number {
    return this.#length;
  }

  /** Waiting rows. */
  get rows(): number {
    return this.#rows;
  }

  #levelOf({ level }: R): Level<R> {
    const { levels, defaultLevel } = this.#rules;
    const at = level !== undefined && level >= 1 && level <= levels ? level : defaultLevel;
    return this.#levels[Math.min(Math.max(at, 1), this.#levels.length) - 1]!;
  }

  /** The most that may wait on a request's level, when as many do; undefined when there is room. */
  fullAt(request: R): number | undefined {
    const { policy, waiting, delayed } = this.#levelOf(request);
    return policy.maxQueue > 0 && waiting.length + delayed.length >= policy.maxQueue
      ? policy.maxQueue
      : undefined;
  }

  push(request: R): void {
    const level = this.#levelOf(request);
    const { timeoutMs, allowOverride } = level.policy;
    const own = allowOverride ? request.queueTimeoutMs : undefined;
    const limit = own !== undefined && own > 0 && own < timeoutMs ? own : timeoutMs;
    const expiresAt = limit > 0 ? request.arrivedAt + limit : Number.POSITIVE_INFINITY;
    level.waiting.push({ request, expiresAt });
    this.#length++;
    this.#rows += request.member.rows;
  }

  /** Takes out what has waited too long and is to be refused; what is to be delayed goes to the end of its level. */
  expire(now: number): R[] {
    const refused: R[] = [];
    for (const level of this.#levels) {
      if (!level.waiting.some(({ expiresAt }) => expiresAt <= now)) continue;
      const kept: Waiting<R>[] = [];
      for (const entry of level.waiting) {
        if (entry.expiresAt > now) kept.push(entry);
        else if (level.policy.action === "delay") level.delayed.push(entry.request);
        else refused.push(entry.request);
      }
      level.waiting = kept;
    }
    for (const request of refused) this.#left(request);
    return refused;
  }

  /** When the next request has waited too long; infinite when none can. */
  nextExpiry(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { waiting } of this.#levels)
      for (const { expiresAt } of waiting) if (expiresAt < next) next = expiresAt;
    return next;
  }

  *#inOrder(): Generator<R> {
    for (const { waiting, delayed } of this.#levels) {
      for (const { request } of waiting) yield request;
      yield* delayed;
    }
  }

  /** Arrival of the request that has waited longest; undefined when none waits. */
  oldest(): number | undefined {
    let oldest: number | undefined;
    for (const { arrivedAt } of this.#inOrder())
      if (oldest === undefined || arrivedAt < oldest) oldest = arrivedAt;
    return oldest;
  }

  /** The batch that a free instance would run now. It stays in the queue until it is taken. */
  form(now: number): Formed<R> {
    const members: R[] = [];
    let rows = 0;
    let best = 0;
    let cut = false;
    for (const request of this.#inOrder()) {
      const grown = rows + request.member.rows;
      if (members.length > 0) {
        if (grown > this.#most && best === 0) best = members.length;
        if (grown > this.#maxRows || request.batchKey !== members[0]!.batchKey) {
          cut = true;
          break;
        }
      }
      members.push(request);
      rows = grown;
      if (this.#preferred.has(rows)) best = members.length;
    }
    if (members.length === 0) return { members, waitMs: undefined };
    const { maxDelayMs } = this.#rules;
    const waited = now - (this.oldest() ?? now);
    const late = maxDelayMs > 0 && waited >= maxDelayMs;
    if (best > 0 && !late) return { members: members.slice(0, best), waitMs: undefined };
    if (cut || rows >= this.#most || late || maxDelayMs === 0) return { members, waitMs: undefined };
    return { members: [], waitMs: maxDelayMs - waited };
  }

  /** Takes the batch that `form` gives. */
  take(now: number): readonly R[] {
    const { members } = this.form(now);
    for (const request of members) this.remove(request);
    return members;
  }

  /** Takes one request out; false when it does not wait here. */
  remove(request: R): boolean {
    const level = this.#levelOf(request);
    const at = level.waiting.findIndex((entry) => entry.request === request);
    const delayedAt = at < 0 ? level.delayed.indexOf(request) : -1;
    if (at < 0 && delayedAt < 0) return false;
    if (at >= 0) level.waiting.splice(at, 1);
    else level.delayed.splice(delayedAt, 1);
    this.#left(request);
    return true;
  }

  #left(request: R): void {
    this.#length--;
    this.#rows -= request.member.rows;
  }

  /** Takes everything out. */
  drain(): R[] {
    const all = [...this.#inOrder()];
    for (const level of this.#levels) {
      level.waiting = [];
      level.delayed = [];
    }
    this.#length = 0;
    this.#rows = 0;
    return all;
  }
}
