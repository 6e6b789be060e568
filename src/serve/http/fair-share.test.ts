/** FairShare: who floods queues behind itself; order within a caller stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FairShare } from "./fair-share.js";

const FLOOD = { name: "flood" };
const QUIET = { name: "quiet" };

/** A server that takes 10 ms for each request, the lowest tag first. `arrivals`: milliseconds and caller, in order. */
function simulate(
  arrivals: readonly (readonly [number, object])[],
): { caller: object; arrived: number; done: number }[] {
  const shares = new FairShare<object>();
  const waiting: { caller: object; arrived: number; tag: number }[] = [];
  const done: { caller: object; arrived: number; done: number }[] = [];
  const queue = [...arrivals];
  for (let now = 0; queue.length > 0 || waiting.length > 0; now++) {
    while (queue[0] !== undefined && queue[0][0] <= now) {
      const [arrived, caller] = queue.shift()!;
      waiting.push({ caller, arrived, tag: shares.enter(caller, now) });
    }
    if (now % 10 !== 0 || waiting.length === 0) continue;
    waiting.sort((a, b) => a.tag - b.tag);
    const served = waiting.shift()!;
    shares.leave(served.caller, served.tag, now);
    done.push({ caller: served.caller, arrived: served.arrived, done: now });
  }
  return done;
}

test("a quiet caller waits a few runs beside one that floods, not for its whole queue", () => {
  const flood = Array.from({ length: 500 }, (_, i) => [i, FLOOD] as const);
  const quiet = Array.from({ length: 20 }, (_, i) => [200 + 100 * i, QUIET] as const);
  const served = simulate([...flood, ...quiet].sort((a, b) => a[0] - b[0]));
  const waits = served.filter(({ caller }) => caller === QUIET).map(({ arrived, done }) => done - arrived);
  assert.equal(waits.length, 20);
  assert.ok(Math.max(...waits) <= 40, `waited ${waits}`);
});

test("two that flood take turns, also when one began much earlier", () => {
  const first = Array.from({ length: 300 }, (_, i) => [i, FLOOD] as const);
  const second = Array.from({ length: 100 }, (_, i) => [1000 + i, QUIET] as const);
  const served = simulate([...first, ...second]);
  const both = served.filter(({ done }) => done >= 1100 && done < 2500);
  const share = both.filter(({ caller }) => caller === QUIET).length / both.length;
  assert.ok(share > 0.4 && share < 0.6, `the later one got ${share}`);
});

test("the requests of one caller keep their order", () => {
  const arrivals = fc.array(fc.tuple(fc.nat(300), fc.constantFrom(FLOOD, QUIET)), { maxLength: 60 });
  fc.assert(
    fc.property(arrivals, (list) => {
      const served = simulate(list.toSorted((a, b) => a[0] - b[0]));
      assert.equal(served.length, list.length);
      for (const caller of [FLOOD, QUIET]) {
        const order = served.filter((request) => request.caller === caller).map(({ arrived }) => arrived);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      }
    }),
  );
});
