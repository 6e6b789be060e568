/** Advice gathered from events: once per kind, counted, until the watch ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { emit } from "../base/index.js";
import { watch } from "./watch.js";

test("each kind of advice is told once and counted; after the end nothing is heard", () => {
  const doctor = watch();
  // Other tests of this process may tell something, too.
  const own = () => doctor.advice().filter(({ where }) => where.startsWith("watch-test"));
  emit("model:warning", { model: "watch-test", code: "LOOP_UNBOUNDED", message: "a Loop never ends" });
  emit("model:warning", { model: "watch-test", code: "LOOP_UNBOUNDED", message: "a Loop never ends" });
  emit("resource:leaked", { kind: "lease", name: "watch-test lease" });
  assert.deepEqual(
    own().map(({ code, where, count }) => [code, where, count]),
    [
      ["LOOP_UNBOUNDED", "watch-test", 2],
      ["RESOURCE_LEAKED", "watch-test lease", 1],
    ],
  );
  doctor[Symbol.dispose]();
  emit("model:warning", { model: "watch-test", code: "OTHER", message: "" });
  assert.equal(own().length, 2);
});
