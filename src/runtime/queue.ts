/** RequestQueue: waiting requests by what can share a batch, in order of priority and age. */
import type { Member } from "./lane.js";

export interface Request {
  readonly member: Member;
  /** Requests with equal keys can share a batch. */
  readonly batchKey: string;
  readonly outputs: readonly number[];
  /** Order in the queue: arrival time plus what a lower priority costs. */
  readonly rank: number;
  readonly arrivedAt: number;
  readonly deadlineAt: number;
  readonly priority: number;
}

/** Keys whose empty lists are kept. */
const KEYS_KEPT = 16;

/** Per batch key an array sorted by rank; equal ranks keep their order of arrival. */
export class RequestQueue<R extends Request> {
  readonly #lists = new Map<string, R[]>();
  #length = 0;
  #rows = 0;

  /** Waiting requests. */
  get length(): number {
    return this.#length;
  }

  /** Waiting rows. */
  get rows(): number {
    return this.#rows;
  }

  push(request: R): void {
    this.#length++;
    this.#rows += request.member.rows;
    const list = this.#lists.get(request.batchKey);
    if (list === undefined) {
      this.#lists.set(request.batchKey, [request]);
      return;
    }
    let at = list.length;
    while (at > 0 && list[at - 1]!.rank > request.rank) at--;
    if (at === list.length) list.push(request);
    else list.splice(at, 0, request);
  }

  /** The request that is served next. */
  head(): R | undefined {
    let first: R | undefined;
    for (const list of this.#lists.values())
      if (list.length > 0 && (first === undefined || list[0]!.rank < first.rank)) first = list[0];
    return first;
  }

  /** Rows that could share a batch with this request, itself included. */
  rowsLike(request: R): number {
    let rows = 0;
    for (const other of this.#lists.get(request.batchKey) ?? []) rows += other.member.rows;
    return rows;
  }

  /** Takes requests that share a batch with `first` (the head of its key), up to `rows` rows and at least one request. */
  take(first: R, rows: number): R[] {
    const list = this.#lists.get(first.batchKey)!;
    let count = 1;
    let total = list[0]!.member.rows;
    while (count < list.length && total + list[count]!.member.rows <= rows)
      total += list[count++]!.member.rows;
    const taken = list.splice(0, count);
    this.#emptied(first.batchKey, list);
    this.#length -= count;
    this.#rows -= total;
    return taken;
  }

  /** Takes one request out; false when it does not wait here. */
  remove(request: R): boolean {
    const list = this.#lists.get(request.batchKey);
    const at = list?.indexOf(request) ?? -1;
    if (list === undefined || at < 0) return false;
    list.splice(at, 1);
    this.#emptied(request.batchKey, list);
    this.#length--;
    this.#rows -= request.member.rows;
    return true;
  }

  #emptied(key: string, list: readonly R[]): void {
    if (list.length === 0 && this.#lists.size > KEYS_KEPT) this.#lists.delete(key);
  }

  /** Takes everything out. */
  drain(): R[] {
    const all = [...this.#lists.values()].flat();
    this.#lists.clear();
    this.#length = 0;
    this.#rows = 0;
    return all;
  }
}
