/** Chaos in short: processes are killed under load; every request is answered, rightly or so that it may be asked again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { chaos } from "./kills.js";

const skip = process.platform === "linux" ? false : "reads /proc";

test("model processes are killed at random through the server, and nothing else is lost", {
  skip,
}, async () => {
  const report = await chaos({ minutes: 0.02, seed: 3, clients: 3, everyMs: 400 });
  assert.deepEqual(report.defects, []);
  assert.ok(report.kills > 0);
  assert.ok((report.outcomes.get("right") ?? 0) > 0);
});
