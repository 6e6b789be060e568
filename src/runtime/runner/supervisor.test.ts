/** Supervisor: a process is replaced by a fresh one without losing or delaying a run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { graph, writeModel } from "../../onnx/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { BufferPool } from "../buffers.js";
import { type BuildOptions, sourceKey } from "../load.js";
import { OutputShapes } from "../output-shapes.js";
import { canShareMemory } from "./libc.js";
import { ProcessHost } from "./process-host.js";
import { Quarantine } from "./quarantine.js";
import { RemoteSession } from "./remote-session.js";
import { Supervisor, type Tenant } from "./supervisor.js";

const skip = canShareMemory() ? false : "models run inline here";

test("recycling loads a fresh process first and loses no run", { skip }, async () => {
  const g = graph({ opset: 17, name: "neg" });
  g.output(g.add("Neg", [g.input("x", "float32", ["N"])]), "y");
  const from = writeModel(g.model());
  const build: BuildOptions = { optimization: "all", config: {}, providers: [] };
  const host = await ProcessHost.open({ lanes: 1, group: false, cacheMaxBytes: 2 ** 30 });
  const supervisor = new Supervisor(host);
  try {
    const trust = "pinned";
    const identity = await sourceKey({ from, baseDir: undefined, trust }, build, undefined, host.version);
    const message = { model: 0, baseDir: null, trust, identity, build, cache: null, growth: null } as const;
    const tenant: Tenant = {
      name: "neg",
      from,
      quarantine: new Quarantine(),
      message: { ...message, threads: 1, wideOf: null, folder: null },
    };
    const { signature } = await supervisor.add(tenant);
    const session = new RemoteSession(supervisor, tenant, signature);
    const [shapes, pool] = [new OutputShapes(signature), new BufferPool()];
    const run = (value: number): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const inputs = [tensorFromStorage("float32", [1], Float32Array.of(value))];
        const members = [{ inputs, rows: 1, into: undefined }];
        session.lane(shapes, pool).run({ members, rows: 1, outputs: [0] }, (error, outputs) => {
          if (error === null) resolve(outputs!.tensors[0]!.at(0));
          else reject(error);
        });
      });
    const before = session.pid;
    assert.equal(await run(1), -1);
    let recycled = false;
    const recycling = supervisor.recycle().then(() => {
      recycled = true;
    });
    for (let i = 0; !recycled; i++)
      assert.deepEqual(await Promise.all([run(i + 1), run(i + 2)]), [-i - 1, -i - 2]);
    await recycling;
    assert.notEqual(session.pid, before);
    assert.equal(await run(7), -7);
  } finally {
    await supervisor.close();
    await host.close();
  }
});
