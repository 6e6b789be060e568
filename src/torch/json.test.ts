/** The JSON reader: equal to the platform's on what both take, stricter where files lie. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../base/index.js";
import { parseJson, strictJson } from "./json.js";
import { type Json, type JsonOptions, LazyObject } from "./json-value.js";
import { nativeJson } from "./native-json.js";

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

  test("the platform's parser is used only where it gives the same", () => {
    const options = {
      maxDepth: 20,
      maxValues: 400,
      only: new Map([["m", new Set(["y"])]]),
      lazy: new Set(["b"]),
    };
    const given = (read: () => Json | undefined): unknown => {
      try {
        return plain(read());
      } catch {
        return undefined;
      }
    };
    let taken = 0;
    const key = fc.constantFrom("a", "b", "m", "y", "0", "7", "\\", ':"', "__proto__", "k\\");
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(
          "1",
          "-0",
          "1e3",
          "9223372036854775807",
          "-3.4e38",
          "9.223372036854775807e18",
          '":a"',
        ),
        fc.constantFrom("9007199254740993", '"\\ud83d"', "0.12345678901234567", '"x\\":"', '"', "[,", "{"),
        fc.array(tie("tree"), { maxLength: 4 }).map((items) => `[${items.join(", ")}]`),
        fc
          .array(fc.tuple(key, tie("tree"), fc.constantFrom(":", ": ", " :")), { maxLength: 4 })
          .map((members) => `{${members.map(([k, v, c]) => JSON.stringify(k) + c + v).join(",")}}`),
      ),
    }));
    fc.assert(
      fc.property(tree as fc.Arbitrary<string>, (text) => {
        const fast = nativeJson(text, options);
        if (fast === undefined) return;
        taken++;
        assert.deepEqual(
          plain(fast),
          given(() => strictJson(text, "the text", options)),
        );
      }),
      { seed: 11, numRuns: 3000 },
    );
    assert.ok(taken > 500, `only ${taken} texts were taken`);
  });

  test("2^63 as a float stays a number beside the last integer", () => {
    for (const float of ["92233720368.54776e8", "0.9223372036854776E+19", "9223372036854775808.0"])
      assert.deepEqual(parse(`[9223372036854775807,${float}]`), [9223372036854775807n, 2 ** 63], float);
  });

  test("refuses bytes that are no UTF-8", () => {
    assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), "the text"), /no UTF-8/);
  });
});
