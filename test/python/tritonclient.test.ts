/** The real tritonclient from PyPI against the real server: every part of its script must hold. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startServed } from "../support/served.js";

const SCRIPT = resolve(import.meta.dirname, "../../../test/python/tritonclient_suite.py");

test("tritonclient over HTTP", async () => {
  await using served = await startServed({ responseCompression: true });
  const address = served.url.replace("http://", "");
  const { stdout } = await promisify(execFile)(process.env.TENON_PYTHON!, [SCRIPT, address], {
    encoding: "utf8",
    timeout: 120_000,
  });
  const parts = stdout.trim().split("\n");
  assert.equal(parts.pop(), "done");
  assert.equal(parts.length, 38);
});
