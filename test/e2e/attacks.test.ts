/** Hostile models through the real server: each is refused with its reason, and the process goes on serving. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { ATTACKS, type Attack, RUN_ATTACKS, type RunAttack } from "../attacks/corpus.js";
import { EXTERNAL_ATTACKS, makeExternal } from "../attacks/external.js";
import { firstLine, startCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

const HEALTHY = JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 2], data: [1, 1] }] });

/** Models that load, in many seconds. */
const SLOW: readonly string[] = ["chain-100k", "chain-20k-mul"] satisfies (keyof typeof ATTACKS)[];

interface Failed {
  readonly name: string;
  readonly code: string;
  readonly problem: string;
}

async function assertServes(url: string): Promise<void> {
  const answer = await fetch(`${url}/v2/models/healthy/infer`, { method: "POST", body: HEALTHY });
  assert.equal(answer.status, 200);
  const { outputs } = (await answer.json()) as { outputs: { data: number[] }[] };
  assert.deepEqual(outputs[0]!.data, [5, 7, 9]);
}

describe("hostile models through tenon serve", { concurrency: 2 }, () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-hostile-"));
  after(() => rmSync(root, { recursive: true }));
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0" };
  const healthy = saveMatMul(join(root, "healthy.onnx"));

  test("files are refused at load, each with its reason; the others are served by the same process", async () => {
    const folder = join(root, "models");
    mkdirSync(folder);
    const attacks = Object.entries<Attack>(ATTACKS).filter(([name]) => !SLOW.includes(name));
    for (const [name, attack] of attacks) writeFileSync(join(folder, `${name}.onnx`), attack.make());
    const external = [...EXTERNAL_ATTACKS.keys()].map((name) => makeExternal(name, root));
    const child = startCli(["serve", healthy, folder, ...external, "--json"], { cwd: root, env });
    const ready = JSON.parse(await firstLine(child)) as { url: string; failed: Failed[] };
    const reasons = new Map(ready.failed.map(({ name, code, problem }) => [name, { code, problem }]));
    for (const [name, { outcome }] of attacks) {
      const reason = reasons.get(name);
      if (outcome === "loads") assert.equal(reason, undefined, `${name}: ${reason?.problem}`);
      else assert.match(reason?.code ?? "loaded", /^MODEL_(INVALID|UNSUPPORTED)$/, name);
      if (outcome !== "loads" && outcome !== "FILE_FORMAT")
        assert.match(reason!.problem, new RegExp(outcome));
    }
    for (const name of EXTERNAL_ATTACKS.keys()) {
      assert.match(reasons.get(name)?.code ?? "loaded", /^(MODEL_INVALID|FILE_NOT_FOUND)$/, name);
    }
    await assertServes(ready.url);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "close"), [0, null]);
  });

  for (const [name, attack] of Object.entries<RunAttack>(RUN_ATTACKS)) {
    test(`${name} (${attack.harm}) fails alone`, async () => {
      const path = join(root, `${name}.onnx`);
      writeFileSync(path, attack.make());
      const options = ["--run-deadline", "3s", "--warmup", "off", "--json"];
      const child = startCli(["serve", healthy, path, ...options], { cwd: root, env });
      const { url } = JSON.parse(await firstLine(child)) as { url: string };
      const body = JSON.stringify({ inputs: attack.inputs });
      const answer = await fetch(`${url}/v2/models/${name}/infer`, { method: "POST", body });
      assert.ok(answer.status >= 400, `answered with ${answer.status}`);
      assert.equal(answer.status, attack.harm === "endless" ? 504 : answer.status);
      assert.equal(child.exitCode, null);
      await assertServes(url);
      child.kill("SIGTERM");
      await once(child, "close");
    });
  }
});
