/** The one gate in front of every route: a known key, within its rate and its share of open requests. */
import { TenonError } from "../../base/index.js";
import { isAllowedOrigin } from "./guard.js";
import type { Caller, KeyRing } from "./key-ring.js";
import type { OpenExchange } from "./open-exchange.js";

/**
 * Lets the exchange pass and notes its caller, or throws REQUEST_UNAUTHORIZED or RATE_LIMITED. Paths of `open` need no
 * key; nor do preflights of an allowed origin, for which browsers send none.
 */
export function admit(exchange: OpenExchange, keys: KeyRing | undefined, open: ReadonlySet<string>): void {
  if (keys === undefined || open.has(exchange.path)) return;
  const { exchanges } = exchange;
  const { origin, authorization } = exchange.headers;
  if (exchange.method === "OPTIONS" && origin !== undefined && isAllowedOrigin(origin, exchanges.settings))
    return;
  exchange.enter(admitted(keys, authorization, exchanges.settings.keyRequests));
}

/** The caller whose key this is, unless it is over its rate or has `most` requests open. */
export function admitted(keys: KeyRing, authorization: string | undefined, most: number): Caller {
  const caller = keys.callerOf(authorization);
  const waitMs = caller.bucket?.take(performance.now()) ?? 0;
  if (waitMs > 0) {
    throw new TenonError("RATE_LIMITED", {
      problem: `this key may ask ${caller.bucket?.rate} times a second`,
      details: { retryAfter: Math.ceil(waitMs / 1000) },
    });
  }
  if (caller.open >= most) {
    throw new TenonError("RATE_LIMITED", {
      problem: `this key may have ${most} requests under way`,
      details: { retryAfter: 1 },
    });
  }
  return caller;
}
