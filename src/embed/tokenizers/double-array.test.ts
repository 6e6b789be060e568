/** DoubleArray: what is found in it, against the list that it was built from. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DoubleArray } from "./double-array.js";

const unitsOf = (text: string): Uint16Array => Uint16Array.from(text, (character) => character.charCodeAt(0));
const texts = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", "c", "\u2581", "\u4e00"), maxLength: 9 }),
  {
    maxLength: 60,
  },
);

test("texts are found by their place, the later of equal ones, and nothing else", () => {
  fc.assert(
    fc.property(texts, texts, (list, others) => {
      const trie = DoubleArray.ofList(list);
      for (const text of [...list, ...others])
        assert.equal(trie.find(unitsOf(text), 0, text.length), list.lastIndexOf(text), JSON.stringify(text));
    }),
  );
});

test("the texts that begin somewhere are told from the shortest on", () => {
  fc.assert(
    fc.property(texts, fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 }), (list, text) => {
      const trie = DoubleArray.ofList(list);
      const found: [number, number][] = [];
      trie.prefixes(unitsOf(text), 0, text.length, (value, end) => found.push([value, end]));
      const expected = Array.from({ length: text.length + 1 }, (_, end) => [
        list.lastIndexOf(text.slice(0, end)),
        end,
      ]).filter(([value]) => value !== -1);
      assert.deepEqual(found, expected);
    }),
  );
});
