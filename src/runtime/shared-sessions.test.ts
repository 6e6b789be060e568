/** Sessions that several holders share. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Loaded } from "./load.js";
import { SharedSessions } from "./shared-sessions.js";

function loaded(): { readonly value: Loaded; readonly freed: () => number } {
  let freed = 0;
  const session = { release: async () => void freed++ };
  return { value: { session } as unknown as Loaded, freed: () => freed };
}

test("a session is loaded once for all who hold it, and freed with the last of them", async () => {
  const sessions = new SharedSessions();
  const { value, freed } = loaded();
  let loads = 0;
  const load = async (): Promise<Loaded> => {
    loads++;
    return value;
  };
  const [a, b] = [sessions.acquire("k", load), sessions.acquire("k", load)];
  assert.equal(await a.loaded, await b.loaded);
  await a.release();
  assert.equal(freed(), 0);
  await b.release();
  assert.equal(freed(), 1);
  await sessions.acquire("k", load).loaded;
  assert.equal(loads, 2);
});

test("who gives a failed load back takes nothing from a later one", async () => {
  const sessions = new SharedSessions();
  const failed = sessions.acquire("k", () => Promise.reject(new Error("unreadable")));
  await assert.rejects(failed.loaded, /unreadable/);
  const { value, freed } = loaded();
  const second = sessions.acquire("k", async () => value);
  await failed.release();
  assert.equal(freed(), 0);
  const third = sessions.acquire("k", () => assert.fail("the second is held"));
  await second.release();
  assert.equal(freed(), 0);
  await third.release();
  assert.equal(freed(), 1);
});
