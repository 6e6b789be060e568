/** A model process leaves the core that it shares with its busy parent, and only then. */
import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { libc } from "./libc.js";
import { NO_CPU, StepAside } from "./step-aside.js";

describe("StepAside", () => {
  const on = (own: number): { aside: StepAside; left: number[] } => {
    const left: number[] = [];
    return { aside: new StepAside({ cpu: () => own, leaveCpu: (cpu) => left.push(cpu) }), left };
  };

  it("leaves its parent's core after some calls from there, and then waits", () => {
    const { aside, left } = on(1);
    for (let i = 0; i < 100 && left.length === 0; i++) aside.called(1);
    for (let i = 0; i < 8; i++) aside.called(1);
    assert.deepEqual(left, [1]);
  });

  it("stays when calls come from another core, or from a parent that will sleep", () => {
    const { aside, left } = on(1);
    for (let i = 0; i < 100; i++) aside.called(i % 3 === 0 ? 0 : 1);
    for (let i = 0; i < 100; i++) aside.called(NO_CPU);
    assert.deepEqual(left, []);
  });

  it("moves this thread and lets it come back", { skip: process.platform !== "linux" }, async () => {
    const c = await libc();
    const before = availableParallelism();
    const cpu = c.cpu();
    assert.ok(cpu >= 0);
    c.leaveCpu(cpu);
    assert.equal(availableParallelism(), before);
    c.leaveCpu(-1);
    c.leaveCpu(100_000);
    assert.equal(availableParallelism(), before);
  });
});
