/** Suggestions: near names are found, far ones are not offered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { closest, editDistance, suggest } from "./did-you-mean.js";

test("a swap of neighbours is one edit", () => {
  assert.equal(editDistance("sevre", "serve"), 1);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("same", "same"), 0);
});

test("only a slip of the hand is suggested", () => {
  assert.equal(closest("Sevre", ["run", "serve"]), "serve");
  assert.equal(closest("zzz", ["run", "serve"]), undefined);
});

test("the hint names the near one first and cuts long lists", () => {
  assert.equal(suggest("imput", ["input", "mask"]), 'did you mean "input"? (one of input, mask)');
  assert.equal(suggest("q", ["alpha", "beta"], 1), "one of alpha, …");
});
