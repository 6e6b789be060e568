/** BodyPool: what is given back is handed out again, what is foreign or too much is not kept. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BodyPool } from "./body-pool.js";

describe("BodyPool", () => {
  it("hands out again what fits well", () => {
    const pool = new BodyPool();
    const first = pool.take(100_000);
    pool.give(first.subarray(64));
    const second = pool.take(90_000);
    assert.equal(second.buffer, first.buffer);
    assert.equal(second.length, 90_000);
    pool.give(second);
    assert.notEqual(pool.take(1_000_000).buffer, first.buffer, "too small");
    assert.notEqual(pool.take(65_000).buffer, first.buffer, "not from the pool");
  });

  it("takes nothing back twice, nor what it never lent", () => {
    const pool = new BodyPool();
    const body = pool.take(100_000);
    pool.give(body);
    pool.give(body);
    pool.give(Buffer.alloc(100_000));
    assert.equal(pool.take(100_000).buffer, body.buffer);
    assert.notEqual(pool.take(100_000).buffer, body.buffer);
  });

  it("keeps a bounded amount of memory", () => {
    const pool = new BodyPool();
    const bodies = [1, 2, 3].map(() => pool.take(30 * 2 ** 20));
    bodies.forEach((body) => void pool.give(body));
    const again = [1, 2, 3].map(() => pool.take(30 * 2 ** 20).buffer);
    assert.equal(again.filter((buffer) => bodies.some((body) => body.buffer === buffer)).length, 2);
  });
});
