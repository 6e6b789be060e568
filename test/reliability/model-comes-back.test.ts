/** Models in processes of their own behind a server: closed after crashes and opened again, replaced or not. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { on } from "tenon/base";
import { graph, writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { ModelRepository, serve } from "tenon/serve";
import { tensorFromStorage } from "tenon/tensor";
import { type RawAnswer, rawRequest, send } from "../support/served.js";
import { intDivideModel } from "../support/small-models.js";

const skip = process.platform === "linux" ? false : "kills processes of models";
const REQUEST = rawRequest(
  "/v2/models/m/infer",
  JSON.stringify({ inputs: [{ name: "x", shape: [1, 4], datatype: "INT32", data: [1, 2, 3, 4] }] }),
);

/** y = -2^31 mod -1, whatever x is: every run ends its process. */
function alwaysCrashing(): Uint8Array {
  const g = graph({ opset: 17, name: "always_crashing" });
  const x = g.input("x", "int32", ["N", 4]);
  const scalar = (name: string, value: number): string =>
    g.initializer(name, tensorFromStorage("int32", [1], Int32Array.of(value)));
  const least = g.add("Add", [g.add("Sub", [x, x]), scalar("least", -(2 ** 31))]);
  g.output(g.add("Mod", [least, scalar("divisor", -1)]), "y");
  return writeModel(g.model());
}

const outcomeOf = ({ status, headers }: RawAnswer): string =>
  `${status} ${headers.get("x-tenon-error") ?? ""}${headers.has("retry-after") ? ", again" : ""}`;

describe("a model that crashes, behind a server", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-comes-back-"));
  after(() => rmSync(folder, { recursive: true }));

  it("is closed after crashes that nobody is to blame for, tried again, and longer closed the next time", async () => {
    const breaker = { crashes: 2, windowMs: 3_600_000, pauseMs: 2000 };
    await using engine = await Engine.open({ cache: false, isolation: "process", process: { breaker } });
    const model = await engine.load(intDivideModel(), { name: "m", calibrate: false });
    await using server = await serve(engine, { port: 0 });
    const warnings: string[] = [];
    let crashes = 0;
    const stops = [
      on("model:warning", ({ message }) => void warnings.push(message)),
      on("model:crashed", () => void crashes++),
    ];
    try {
      for (const pause of [2, 4]) {
        for (let kills = 0; kills < breaker.crashes; kills++) {
          while (model.profile.pid === undefined) await sleep(5);
          const before = crashes;
          process.kill(model.profile.pid, "SIGKILL");
          while (crashes === before) await sleep(5);
        }
        const seen = new Set<string>();
        for (let outcome = ""; outcome !== "200 "; seen.add(outcome)) {
          outcome = outcomeOf(await send(server.port, REQUEST));
        }
        assert.deepEqual([...seen], ["503 MODEL_UNAVAILABLE, again", "200 "]);
        assert.match(warnings.at(-1)!, new RegExp(`closed for ${pause} s`));
      }
    } finally {
      for (const stop of stops) stop();
    }
  });

  it("takes no other's place when it ends its process while it is warmed up; the index says why", async () => {
    const path = join(folder, "model.onnx");
    await using engine = await Engine.open({ cache: false, isolation: "process" });
    const repository = new ModelRepository(engine, {
      modelControl: "explicit",
      list: async () => [{ name: "m", version: "1", path }],
      load: { warmup: true },
    });
    await using server = await serve(engine, { port: 0, repository });
    const post = (what: string): Promise<RawAnswer> =>
      send(server.port, rawRequest(`/v2/repository/${what}`, ""));
    writeFileSync(path, writeModel(intDivideModel()));
    assert.equal((await post("models/m/load")).status, 200);
    writeFileSync(path, alwaysCrashing());
    const refused = await post("models/m/load");
    assert.notEqual(refused.status, 200);
    assert.match(refused.body.toString(), /failed to load: MODEL_CRASHED/);
    const index = JSON.parse((await post("index")).body.toString()) as { state: string; reason?: string }[];
    assert.match(index.map(({ reason }) => reason ?? "").join(" "), /MODEL_CRASHED/);
    assert.equal(outcomeOf(await send(server.port, REQUEST)), "200 ");
  });
});
