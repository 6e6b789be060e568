/** RequestQueue against a plain list. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type Request, RequestQueue } from "./queue.js";

let sequence = 0;
const request = (batchKey: string, rank: number, rows = 1): Request & { id: number } => ({
  id: sequence++,
  member: { inputs: [], rows, into: undefined },
  batchKey,
  outputs: [],
  rank,
  arrivedAt: rank,
  deadlineAt: Number.POSITIVE_INFINITY,
  priority: 0,
});

suite("request queue", () => {
  test("the head has the least rank over all keys", () => {
    const queue = new RequestQueue<Request>();
    const late = request("a", 5);
    const early = request("b", 3);
    queue.push(late);
    queue.push(early);
    assert.equal(queue.head(), early);
    queue.take(early, 1);
    assert.equal(queue.head(), late);
  });

  test("a batch takes equal keys in order up to its rows, and at least one request", () => {
    const queue = new RequestQueue<Request>();
    const [a, b, c] = [request("k", 1, 2), request("k", 2, 3), request("k", 3, 1)];
    for (const each of [b, a, c]) queue.push(each);
    assert.deepEqual(queue.take(a, 5), [a, b]);
    assert.deepEqual(queue.take(c, 0), [c]);
    assert.equal(queue.length, 0);
    assert.equal(queue.rows, 0);
  });

  test("equal ranks keep their order", () => {
    const queue = new RequestQueue<Request>();
    const all = [request("k", 1), request("k", 1), request("k", 1)];
    for (const each of all) queue.push(each);
    assert.deepEqual(queue.take(all[0]!, 9), all);
  });

  test("any sequence of operations leaves the counts right and loses nothing", () => {
    const operation = fc.oneof(
      fc.record({
        push: fc.constantFrom("a", "b", "c"),
        rank: fc.integer({ min: 0, max: 9 }),
        rows: fc.integer({ min: 1, max: 4 }),
      }),
      fc.record({ take: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ remove: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const queue = new RequestQueue<Request>();
        let waiting: Request[] = [];
        for (const step of operations) {
          if ("push" in step) {
            const item = request(step.push, step.rank, step.rows);
            queue.push(item);
            waiting.push(item);
          } else if ("take" in step) {
            const head = queue.head();
            if (head === undefined) continue;
            assert.equal(head.rank, Math.min(...waiting.map((item) => item.rank)));
            const taken = queue.take(head, step.take);
            assert.ok(taken.length >= 1 && taken.every((item) => item.batchKey === head.batchKey));
            waiting = waiting.filter((item) => !taken.includes(item));
          } else if (waiting.length > 0) {
            const item = waiting[step.remove % waiting.length]!;
            assert.ok(queue.remove(item));
            assert.ok(!queue.remove(item));
            waiting = waiting.filter((other) => other !== item);
          }
          assert.equal(queue.length, waiting.length);
          assert.equal(
            queue.rows,
            waiting.reduce((sum, item) => sum + item.member.rows, 0),
          );
        }
        assert.deepEqual(new Set(queue.drain()), new Set(waiting));
      }),
    );
  });
});
