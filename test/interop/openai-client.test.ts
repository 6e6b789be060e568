/** OpenAI's Python client against the real command on a folder of texts' models. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";
import { embedder } from "tenon/embed";
import { firstLine, startCli } from "../support/cli.js";
import { saveTinyEmbedder } from "../support/tiny-embedder.js";

const TEXTS = ["a red one", "two things", ""];

interface Told {
  readonly models: string[];
  readonly base64: number[][];
  readonly float: number[][];
  readonly cut: number[][];
  readonly tokens: number;
  readonly missing: unknown[];
  readonly wrong: unknown[];
}

it("gives OpenAI's Python client the vectors of the library, and errors that it knows", async () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-openai-"));
  await saveTinyEmbedder(join(cwd, "models/tiny-embedder"), {});
  const ports = ["--http-port", "0", "--grpc-port", "off", "--metrics-port", "off"];
  const child = startCli(["serve", "models", ...ports, "--isolation", "inline", "--json"], {
    cwd,
    env: { TENON_CACHE: "off" },
  });
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const python = join(process.env.TENON_INTEROP!, "clients/bin/python");
    const script = resolve(import.meta.dirname, "../../../test/interop/openai_client.py");
    const { stdout } = await promisify(execFile)(python, [script, url, JSON.stringify(TEXTS)], {
      timeout: 120_000,
    });
    const told = JSON.parse(stdout) as Told;
    await using local = await embedder(join(cwd, "models/tiny-embedder"), { cache: false, lanes: 1 });
    const expected = await local.embed(TEXTS);
    assert.deepEqual(told.models, ["tiny-embedder"]);
    for (const rows of [told.base64, told.float]) {
      assert.equal(rows.length, TEXTS.length);
      for (const [i, row] of rows.entries()) {
        const wanted = expected.row(i) as Float32Array;
        assert.equal(row.length, wanted.length);
        for (const [j, value] of row.entries()) assert.ok(Math.abs(value - wanted[j]!) < 1e-5);
      }
    }
    assert.equal(told.cut[0]!.length, 3);
    assert.equal(
      told.tokens,
      expected.tokens.reduce((sum, count) => sum + count, 0),
    );
    assert.deepEqual(told.missing.slice(0, 2), [404, "model_not_found"]);
    assert.deepEqual([told.wrong[0], told.wrong[2]], [400, "dimensions"]);
  } finally {
    child.kill("SIGTERM");
    await once(child, "close");
    rmSync(cwd, { recursive: true });
  }
});
