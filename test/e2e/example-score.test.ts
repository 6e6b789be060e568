/** examples/04-score at a hundredth of its size: the command it prints works, and the riskiest pumps come out. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { collect } from "../support/cli.js";

test("the example scores its table on two workers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-example-"));
  try {
    const script = resolve(import.meta.dirname, "../../examples/04-score/main.js");
    const env = { ...process.env, TENON_CACHE: "off" };
    const example = spawn(process.execPath, [script, "--rows", "10000", "--folder", join(folder, "job")], {
      env,
    });
    const [stdout, stderr] = [collect(example.stdout), collect(example.stderr)];
    assert.deepEqual(await once(example, "close"), [0, null], stderr());
    assert.match(
      stdout(),
      /^tenon score pumps\.onnx .*--workers 2\n10000 rows in 1 part, 0 set aside: scored\n/,
    );
    const risks = [...stdout().matchAll(/^P\d{7}: (\d\.\d{4})$/gm)].map((match) => Number(match[1]));
    assert.equal(risks.length, 3);
    assert.ok(risks[0]! >= risks[1]! && risks[1]! >= risks[2]! && risks[2]! > 0.5);
    assert.ok(readdirSync(join(folder, "job/scored")).includes("_SUCCESS"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
