/** Strikes: who keeps ending a model's process is refused on that model for a while, so that others keep it. */
import { isIPv6 } from "node:net";
import { TenonError } from "../../base/index.js";
import type { Caller } from "./key-ring.js";

/** How long a strike counts, and how long who has too many is refused. */
export const STRIKE_MS = 60_000;

/** Who sends requests: the holder of a key, else an address. */
export type Sender = Caller | string;

/** What one sender did to one model. */
interface Record {
  /** Times of the last strikes, oldest first; never more than are allowed. */
  readonly at: number[];
  /** Until when the sender is refused; 0: it is not. */
  refusedUntil: number;
}

/** Counts the requests that ended the process of their model. `most` of them within a minute are allowed. */
export class Strikes {
  readonly #most: number;
  readonly #models = new Map<string, Map<Sender, Record>>();

  /** `off`: nobody is refused. */
  constructor(most: number | "off") {
    this.#most = most === "off" ? Number.POSITIVE_INFINITY : most;
  }

  /** A request of this sender ended the process of this model. `now` in milliseconds. */
  add(sender: Sender, model: string, now: number): void {
    if (this.#most === Number.POSITIVE_INFINITY) return;
    this.#forget(now);
    let senders = this.#models.get(model);
    if (senders === undefined) this.#models.set(model, (senders = new Map()));
    let record = senders.get(sender);
    if (record === undefined) senders.set(sender, (record = { at: [], refusedUntil: 0 }));
    record.at.push(now);
    while (record.at.length > this.#most || record.at[0]! <= now - STRIKE_MS) record.at.shift();
    if (record.at.length === this.#most) record.refusedUntil = now + STRIKE_MS;
  }

  /** Throws RATE_LIMITED while this sender is refused on this model. */
  check(sender: () => Sender, model: string, now: number): void {
    const senders = this.#models.get(model);
    if (senders === undefined) return;
    const waitMs = (senders.get(sender())?.refusedUntil ?? 0) - now;
    if (waitMs <= 0) return;
    throw new TenonError("RATE_LIMITED", {
      problem: `${this.#most} of your requests ended the process of model '${model}' within a minute`,
      details: { retryAfter: Math.ceil(waitMs / 1000) },
    });
  }

  /** Drops what no longer counts; there is a crash for each record, so there are few. */
  #forget(now: number): void {
    for (const [model, senders] of this.#models) {
      for (const [sender, { at, refusedUntil }] of senders) {
        if (refusedUntil <= now && at.at(-1)! <= now - STRIKE_MS) senders.delete(sender);
      }
      if (senders.size === 0) this.#models.delete(model);
    }
  }
}

/** The sender that an address stands for: of IPv6 the network (64 bits), since a host has all of its addresses. */
export function networkOf(address: string | undefined): string {
  if (address === undefined || !isIPv6(address)) return address ?? "";
  if (address.startsWith("::ffff:") && address.includes(".")) return address.slice("::ffff:".length);
  const [front = "", back] = address.replace(/%.*$/, "").split("::");
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) {
    const rest = back === "" ? [] : back.split(":");
    groups.push(...new Array<string>(Math.max(0, 8 - groups.length - rest.length)).fill("0"), ...rest);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
