/** examples/06-finetune-embedder on a part of its functions: the tuned all-MiniLM-L6-v2 finds more of them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { test } from "node:test";
import { collect } from "../support/cli.js";
import { minilmOracle } from "./minilm-oracle.js";

test("the example's tuned embedder finds more functions than the one it came from", async () => {
  const { source } = await minilmOracle();
  const script = resolve(import.meta.dirname, "../../examples/06-finetune-embedder/main.js");
  const given = [script, source, "--rows", "120", "--batch", "16"];
  const example = spawn(process.execPath, given, { env: { ...process.env, TENON_CACHE: "off" } });
  const [stdout, stderr] = [collect(example.stdout), collect(example.stderr)];
  assert.deepEqual(await once(example, "close"), [0, null], stderr());
  assert.match(stdout(), /^96 functions to train on, 24 to find among all 120\n/);
  const found = (name: string): number =>
    Number(new RegExp(`^${name}: .*mrr (\\d\\.\\d{3})`, "m").exec(stdout())?.[1]);
  assert.ok(found("after") > found("before") + 0.02, stdout());
});
