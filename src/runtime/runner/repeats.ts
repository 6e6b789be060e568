/** Repeats: calls that come to a place with the description of the call before there are bound, and then only run. */
import { type BoundRun, canBind } from "../bound-run.js";
import type { Session } from "../session.js";
import { HEAD } from "./call.js";
import type { ChildCall } from "./child-run.js";

interface Place {
  readonly call: ChildCall;
  readonly session: Session;
  /** The description as it was. */
  readonly kept: Float64Array;
  bound: BoundRun | undefined;
}

/** A call that is bound, and on its way. */
export interface Repeat extends Place {
  readonly bound: BoundRun;
}

/** Places that are remembered. */
const PLACES = 64;

export class Repeats {
  readonly #places = new Map<number, Place>();

  /** The call at this place when its description is that of the last one there. Give it back by `keep`, or dispose of what it holds. */
  take(slot: number): Repeat | undefined {
    const place = this.#places.get(slot);
    if (place === undefined || !isSame(place.call.head, place.kept)) return undefined;
    place.bound ??= place.session.bind?.(place.call.batch);
    if (place.bound === undefined) return undefined;
    this.#places.delete(slot);
    return place as Repeat;
  }

  /** Its run has ended well. */
  keep(slot: number, repeat: Repeat): void {
    this.#put(slot, repeat);
  }

  /** Another call comes to this place; to be called before its run, which may change the description. */
  note(slot: number, call: ChildCall, session: Session): void {
    this.#drop(slot);
    if (canBind(call.batch)) this.#put(slot, { call, session, kept: call.head.slice(), bound: undefined });
  }

  #put(slot: number, place: Place): void {
    if (this.#places.size >= PLACES) this.#drop(this.#places.keys().next().value!);
    this.#places.set(slot, place);
  }

  #drop(slot: number): void {
    this.#places.get(slot)?.bound?.dispose();
    this.#places.delete(slot);
  }

  /** Forgets a session, whose runs must have ended. */
  forget(session: Session): void {
    for (const [slot, place] of this.#places) if (place.session === session) this.#drop(slot);
  }
}

function isSame(head: Float64Array, kept: Float64Array): boolean {
  for (let i = HEAD.sequence + 1; i < kept.length; i++)
    if (head[i] !== kept[i] && i !== HEAD.runMs && i !== HEAD.cpu) return false;
  return true;
}
