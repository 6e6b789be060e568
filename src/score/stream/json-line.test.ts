/** Fields of lines against JSON.parse, over generated objects and spellings. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readLine } from "./json-line.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("each field's text is its value as it was written", () => {
  const spaced = fc.constantFrom(undefined, 1, "\t");
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), spaced, (object, space) => {
      const text = JSON.stringify(object, null, space).replaceAll("\n", " ");
      const { values, texts } = readLine(bytes(text));
      const expected = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual(values, expected);
      const read = [...texts].map(([name, value]) => [name, JSON.parse(value) as unknown] as const);
      assert.deepEqual(new Map(read), new Map(Object.entries(expected)));
    }),
  );
});

test("numbers keep their digits, of a name that stands twice the last counts", () => {
  const { texts } = readLine(
    bytes('{ "a" : 1 , "a":12345678901234567890,"b":[1e400, {"}":","}],"c":"\\"}" }'),
  );
  assert.deepEqual(
    [...texts],
    [
      ["a", "12345678901234567890"],
      ["b", '[1e400, {"}":","}]'],
      ["c", '"\\"}"'],
    ],
  );
});

test("what is no object in UTF-8 is refused", () => {
  for (const line of ["", "[1]", "3", "null", '{"a":1', '{"a":1}{', "{a:1}"])
    assert.throws(() => readLine(bytes(line)), { code: "INPUT_VALUE" }, line);
  assert.throws(() => readLine(Uint8Array.from([...bytes('{"a":"'), 0xff, ...bytes('"}')])), {
    code: "INPUT_VALUE",
  });
});
