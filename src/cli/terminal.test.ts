/** Output pieces: when colour is on, exact JSON, aligned tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { colourful, table, toJson } from "./terminal.js";

test("colour is for terminals; FORCE_COLOR and NO_COLOR decide otherwise", () => {
  assert.equal(colourful({ isTTY: true }, {}), true);
  assert.equal(colourful({}, {}), false);
  assert.equal(colourful({ isTTY: true }, { NO_COLOR: "1" }), false);
  assert.equal(colourful({ isTTY: true }, { TERM: "dumb" }), false);
  assert.equal(colourful({}, { FORCE_COLOR: "1" }), true);
  assert.equal(colourful({ isTTY: true }, { FORCE_COLOR: "0" }), false);
});

test("JSON keeps bigints exact and writes what JSON has not as texts", () => {
  const value = {
    a: 2n ** 63n,
    b: [Number.NaN, -Number.POSITIVE_INFINITY, null],
    c: undefined,
    d: "x",
    e: new Date(0),
  };
  assert.equal(
    toJson(value),
    '{"a":9223372036854775808,"b":["NaN","-Infinity",null],"d":"x","e":"1970-01-01T00:00:00.000Z"}',
  );
});

test("columns line up, without blanks at the end", () => {
  assert.equal(
    table(
      [
        ["a", "1", "x"],
        ["long", "22", ""],
      ],
      [1],
    ),
    "a      1  x\nlong  22",
  );
});
