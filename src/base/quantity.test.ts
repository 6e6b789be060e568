/** Sizes, durations and counts: read as written, refused where ambiguous, printed to read well. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatBytes,
  formatCount,
  formatDuration,
  parseBytes,
  parseCount,
  parseDuration,
} from "./quantity.js";

test("sizes and durations need a unit", () => {
  assert.equal(parseBytes("64MiB"), 64 * 2 ** 20);
  assert.equal(parseBytes("2 GB"), 2e9);
  assert.equal(parseDuration("1.5s"), 1500);
  assert.equal(parseDuration("250us"), 0.25);
  for (const text of ["64", "64 mib", "-1MiB", "MiB", "1e3B", ""]) {
    assert.throws(() => parseBytes(text), { code: "CONFIG_INVALID" }, text);
  }
  assert.throws(() => parseDuration("30"), { code: "CONFIG_INVALID" });
});

test("counts take k, M and G and must be whole", () => {
  assert.equal(parseCount("25.6k"), 25_600);
  assert.equal(parseCount("512"), 512);
  assert.throws(() => parseCount("1.5"), { code: "CONFIG_INVALID" });
  assert.throws(() => parseCount("constructor"), { code: "CONFIG_INVALID" });
});

test("numbers are printed in the unit that reads best", () => {
  assert.equal(formatBytes(1536), "1.5 KiB");
  assert.equal(formatBytes(12), "12 B");
  assert.equal(formatCount(25_600), "25.6 k");
  assert.equal(formatCount(7), "7");
  assert.equal(formatDuration(0.042), "42 us");
  assert.equal(formatDuration(90_000), "1.5 min");
});
