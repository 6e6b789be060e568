/** Runs bound once: a stop that comes when the run has ended does not concern the next one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { graph, writeModel } from "../onnx/index.js";
import { type Tensor, tensor, zeros } from "../tensor/index.js";
import { BoundRun } from "./bound-run.js";
import { ortLibrary } from "./ort/library.js";
import { createSession } from "./ort/session.js";

test("a stop that comes when the run has ended does not stop the next one", async () => {
  const g = graph({ opset: 17, name: "negate" });
  g.output(g.add("Neg", [g.input("x", "float32", [4])]), "y");
  const session = await createSession(await ortLibrary(), writeModel(g.model()), {
    threads: 1,
    optimization: "none",
  });
  const y: Tensor<"float32"> = zeros("float32", [4]);
  const member = { inputs: [tensor([1, 2, 3, 4])], rows: 1, into: new Map([[0, y]]) };
  const bound = new BoundRun(session, { members: [member], rows: 1, outputs: [0] });
  try {
    const run = (): Promise<unknown> => new Promise((resolve) => bound.run(resolve));
    const first = run();
    // The event loop gets no turn, so that the run ends while its answer is still to come.
    const end = performance.now() + 10_000;
    while (performance.now() < end && y.data[3] !== -4);
    assert.equal(y.data[3], -4);
    bound.terminate();
    await first;
    y.data.fill(0);
    assert.equal(await run(), null);
    assert.deepEqual([...y.data], [-1, -2, -3, -4]);
  } finally {
    bound.dispose();
    await session.release();
  }
});
