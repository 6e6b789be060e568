/** Rosters: what is added and deleted in any order. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Roster } from "./roster.js";

test("a roster holds what a set would", () => {
  const roster = new Roster<{ seat: number; name: number }>();
  const set = new Set<{ seat: number; name: number }>();
  let state = 1;
  const next = (): number => (state = (state * 48_271) % 2_147_483_647);
  const ever: { seat: number; name: number }[] = [];
  for (let i = 0; i < 2000; i++) {
    if (next() % 3 > 0) {
      const member = { seat: -1, name: i };
      ever.push(member);
      roster.add(member);
      set.add(member);
    } else if (ever.length > 0) {
      // Some are gone already.
      const member = ever[next() % ever.length]!;
      roster.delete(member);
      set.delete(member);
    }
    assert.equal(roster.size, set.size);
  }
  const names = (members: Iterable<{ name: number }>): number[] =>
    [...members].map(({ name }) => name).sort((a, b) => a - b);
  assert.deepEqual(names(roster), names(set));
});

test("members may be deleted while they are gone through", () => {
  const roster = new Roster<{ seat: number }>();
  for (let i = 0; i < 10; i++) roster.add({ seat: -1 });
  let seen = 0;
  for (const member of roster) {
    roster.delete(member);
    seen++;
  }
  assert.deepEqual([seen, roster.size], [10, 0]);
});
