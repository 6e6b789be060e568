/** LangChain's client and that of Hugging Face, unchanged, against the real command on a folder. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { embedder } from "tenon/embed";
import { firstLine, startCli } from "../support/cli.js";
import { saveTinyEmbedder } from "../support/tiny-embedder.js";

const script = resolve(import.meta.dirname, "../../../test/python/text_clients.py");
const TEXTS = ["a red one", "two things", "green"];

test("clients of LangChain and of Hugging Face get the vectors of the library", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-clients-"));
  await saveTinyEmbedder(join(cwd, "tiny"));
  const ports = ["--http-port", "0", "--grpc-port", "off", "--metrics-port", "off"];
  const child = startCli(["serve", "tiny", ...ports, "--isolation", "inline", "--json"], {
    cwd,
    env: { TENON_CACHE: "off" },
  });
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const run = promisify(execFile);
    const { stdout } = await run(process.env.TENON_PYTHON!, [script, url, JSON.stringify(TEXTS)], {
      timeout: 120_000,
    });
    await using local = await embedder(join(cwd, "tiny"), { cache: false, lanes: 1 });
    const expected = await local.embed(TEXTS);
    const told = JSON.parse(stdout) as Record<string, number[][]>;
    assert.equal(Object.keys(told).length, 3);
    for (const [client, rows] of Object.entries(told)) {
      assert.equal(rows.length, TEXTS.length, client);
      rows.forEach((row, i) => {
        const wanted = expected.row(i) as Float32Array;
        assert.equal(row.length, wanted.length, client);
        row.forEach((value, j) => {
          assert.ok(Math.abs(value - wanted[j]!) < 1e-5, `${client}: ${value} is ${wanted[j]}`);
        });
      });
    }
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
    rmSync(cwd, { recursive: true });
  }
});
