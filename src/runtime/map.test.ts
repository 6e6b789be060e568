/** mapOrdered: order, bound, back-pressure, failure, leaving early. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { mapOrdered } from "./map.js";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

suite("ordered map", () => {
  test("results keep the order of the inputs", async () => {
    const results: number[] = [];
    const slowFirst = (n: number): Promise<number> => sleep(n % 3 === 0 ? 8 : 1, n * n);
    for await (const result of mapOrdered(numbers(20), 5, slowFirst)) results.push(result);
    assert.deepEqual(
      results,
      numbers(20).map((n) => n * n),
    );
  });

  test("never more than inFlight are under way, and the source is not read ahead", async () => {
    let running = 0;
    let most = 0;
    let pulled = 0;
    let yielded = 0;
    function* source(): Generator<number> {
      for (const n of numbers(50)) {
        pulled++;
        yield n;
      }
    }
    const call = async (n: number): Promise<number> => {
      most = Math.max(most, ++running);
      await sleep(1);
      running--;
      return n;
    };
    for await (const _ of mapOrdered(source(), 4, call)) {
      yielded++;
      assert.ok(pulled - yielded <= 4, `${pulled} pulled, ${yielded} yielded`);
    }
    assert.equal(most, 4);
  });

  test("a result does not wait for a slow source", async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1;
      await sleep(10_000, undefined, { ref: false });
      yield 2;
    }
    const iterator = mapOrdered(source(), 8, async (n) => n);
    const first = await Promise.race([iterator.next(), sleep(1000, "late")]);
    assert.deepEqual(first, { done: false, value: 1 });
    await Promise.race([iterator.return?.(), sleep(1000)]);
  });

  test("a failing call ends the map with its error, cancels the others and closes the source", async () => {
    const signals: AbortSignal[] = [];
    let closed = false;
    function* source(): Generator<number> {
      try {
        yield* numbers(10);
      } finally {
        closed = true;
      }
    }
    const call = async (n: number, signal: AbortSignal): Promise<number> => {
      signals.push(signal);
      await sleep(2);
      if (n === 2) throw new Error("two");
      return n;
    };
    await assert.rejects(async () => {
      for await (const _ of mapOrdered(source(), 3, call));
    }, /two/);
    assert.ok(signals.every((signal) => signal.aborted));
    assert.ok(closed);
  });

  test("leaving early closes the source", async () => {
    let closed = false;
    async function* source(): AsyncGenerator<number> {
      try {
        for (;;) yield 1;
      } finally {
        closed = true;
      }
    }
    for await (const _ of mapOrdered(source(), 2, async (n) => n)) break;
    assert.ok(closed);
  });
});
