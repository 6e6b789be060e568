/** The JSON reader: equal to the platform's on what both take, stricter where files lie. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../base/index.js";
import { type Json, type JsonOptions, LazyObject, parseJson } from "./json.js";

const parse = (text: string, options: JsonOptions = {}): Json =>
  parseJson(new TextEncoder().encode(text), "the text", options);

/** Maps back to plain objects. */
function plain(value: Json | undefined): unknown {
  if (value instanceof LazyObject)
    return plain(new Map([...value.keys()].map((key) => [key, value.get(key)!])));
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
}

suite("parseJson", () => {
  test("reads what JSON.parse reads", () => {
    const value = fc.jsonValue({ maxDepth: 6 }).filter((item) => JSON.stringify(item).isWellFormed());
    fc.assert(
      fc.property(value, fc.constantFrom(0, 2), (item, indent) => {
        const text = JSON.stringify(item, null, indent);
        if (/\\ud[89a-f]/.test(text) || /-?\d{16}/.test(text)) return;
        assert.deepEqual(plain(parse(text)), JSON.parse(text));
        const lazy = parse(`{"a":${text},"b":{"c":${text}}}`, { lazy: new Set(["b"]) });
        assert.deepEqual(plain(lazy), { a: JSON.parse(text), b: { c: JSON.parse(text) } });
        const only = new Map([["m", new Set(["y"])]]);
        assert.deepEqual(plain(parse(`{"m":{"x": ${text} ,"y":1}}`, { only })), { m: { y: 1 } });
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  test("keeps integers exact and takes Python's infinities when asked", () => {
    assert.equal(parse("9223372036854775807"), 9223372036854775807n);
    assert.equal(parse("-9007199254740993"), -9007199254740993n);
    assert.deepEqual(parse("[NaN, Infinity, -Infinity]", { nonFinite: true }), [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
  });

  const wrong: readonly (readonly [string, RegExp, JsonOptions?])[] = [
    ['{"a":1,"a":2}', /has the key "a" twice/],
    ['{"a":1,"\\u0061":2}', /twice/],
    ["[NaN]", /no value/],
    ["[1,]", /no value/],
    ['{"a":1,}', /lacks a key/],
    ["{a:1}", /lacks a key/],
    ["[1 2]", /lacks a comma/],
    ["01", /after its end/],
    ["1 2", /after its end/],
    ["", /no value/],
    ['"a', /without an end/],
    ['"a\n"', /without an end/],
    ['"\\x"', /wrong escape/],
    ['"\\ud800"', /half a character/],
    ["tru", /unknown word/],
    ["[".repeat(300), /nested too deeply/],
    [`${"9".repeat(41)}`, /too many digits/],
    ["[1.0]", /where a count belongs/, { countsOnly: true }],
    ["[-1]", /where a count belongs/, { countsOnly: true }],
    ["[1,2,3,4]", /more values/, { maxValues: 4 }],
    ['{"b":{"c":[}}', /no value|lacks/, { lazy: new Set(["x"]) }],
    ['{"b":{"c":1,"c":2}}', /twice/, { lazy: new Set(["b"]) }],
    ['{"m":{"x":[1', /cut off/, { only: new Map([["m", new Set<string>()]]) }],
  ];
  for (const [text, message, options] of wrong) {
    test(`refuses ${text.slice(0, 40)}`, () => {
      assert.throws(
        () => parse(text, options),
        (error) => isTenonError(error, "FILE_INVALID") && message.test(error.message),
      );
    });
  }

  test("refuses bytes that are no UTF-8", () => {
    assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), "the text"), /no UTF-8/);
  });
});
