/** The attack corpus in front of preflight: every row ends as its table says, whatever its size. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { preflight, preflightFile, readModel, refusal } from "tenon/onnx";
import { ATTACKS, type Attack, RUN_ATTACKS } from "./corpus.js";
import { EXTERNAL_ATTACKS, makeExternal, makeHonest } from "./external.js";

describe("attack corpus", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-attacks-"));
  after(() => rmSync(root, { recursive: true }));

  for (const [name, attack] of Object.entries<Attack>(ATTACKS)) {
    test(`${name}: ${attack.outcome}`, async () => {
      const path = join(root, `${name}.onnx`);
      writeFileSync(path, attack.make());
      const { findings } = await preflightFile(path, { trust: "untrusted" });
      const errors = findings.filter(({ severity }) => severity === "error").map(({ code }) => code);
      assert.deepEqual([...new Set(errors)], attack.outcome === "loads" ? [] : [attack.outcome]);
      assert.equal(refusal(findings) === undefined, attack.outcome === "loads");
    });
  }

  for (const [name, code] of EXTERNAL_ATTACKS) {
    test(`external data, ${name}`, async () => {
      const { findings } = await preflightFile(makeExternal(name, root));
      assert.deepEqual(
        findings.map((finding) => [finding.code, finding.severity]),
        [[code, "error"]],
      );
    });
  }

  test("external data where it should be is read", async () => {
    assert.deepEqual((await preflightFile(makeHonest(root), { trust: "untrusted" })).findings, []);
  });

  for (const [name, attack] of Object.entries(RUN_ATTACKS)) {
    test(`${name}: nothing in the file gives it away`, async () => {
      const model = await readModel(attack.make());
      assert.equal(refusal(preflight(model, { trust: "untrusted" })), undefined);
    });
  }
});
