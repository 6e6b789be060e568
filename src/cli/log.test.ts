/** Log records as lines for reading. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { readable } from "./log.js";

test("time, level, message and fields stand in one line", () => {
  const record = { level: "info", time: 1250, msg: "request", path: "/v2", status: 200, nested: { a: 1 } };
  const plain = stripVTControlCharacters(readable(JSON.stringify(record)));
  assert.equal(plain, '00:00:01.250 info  request  path=/v2  status=200  nested={"a":1}');
});

test("times as ISO 8601 stay as they are written", () => {
  const record = { level: "warn", time: "2026-01-02T03:04:05.678Z", msg: "slow" };
  const plain = stripVTControlCharacters(readable(JSON.stringify(record)));
  assert.equal(plain, "2026-01-02T03:04:05.678Z warn  slow");
});
