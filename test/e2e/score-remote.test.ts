/** `tenon score` over URLs: the same bytes as from files, known by the server's tag, refused once it changed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parquet, sink } from "tenon/data";
import { type CliResult, runCli } from "../support/cli.js";
import { type FileServer, serveFiles, tagOf } from "../support/file-server.js";
import { assertSameResult, writeJob } from "../support/score-job.js";

const near = ["--private-hosts", "127.0.0.1"];

describe("tenon score over urls", () => {
  let folder: string;
  let files: FileServer;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-score-remote-"));
    await writeJob(folder, 500, 100);
    await using out = sink.csv(join(folder, "in.csv"));
    for await (const { data } of parquet(join(folder, "in.parquet"))) await out.write(data);
    await out.commit();
    files = await serveFiles(folder);
  });
  after(async () => {
    await files[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const score = (output: string, input: string, ...more: readonly string[]): Promise<CliResult> =>
    runCli(
      [
        ...["score", "m.onnx", "--input", input, "--output", output, "--map", "x=f0..f1", "--batch", "8"],
        ...["--rows-per-shard", "200", "--isolation", "inline", "--cache", "off", ...more],
      ],
      { cwd: folder },
    );

  it("gives the bytes that files give, and knows the object again", async () => {
    for (const [kind, more] of [
      ["parquet", ["--verify", "full"]],
      ["csv", []],
      ["parquet", ["--workers", "2"]],
    ] as const) {
      const name = `${kind}-${more[0] ?? ""}`;
      const local = await score(`local-${name}`, `in.${kind}`, ...more);
      assert.equal(local.code, 0, local.stderr);
      const url = `${files.origin}/in.${kind}`;
      const key = more[0] === "--workers" ? "" : "?key=secret";
      const remote = await score(`remote-${name}`, `${url}${key}`, ...near, ...more);
      assert.equal(remote.code, 0, remote.stderr);
      const success = (output: string): unknown => {
        const { plan: _, ...rest } = JSON.parse(readFileSync(join(folder, output, "_SUCCESS"), "utf8")) as {
          plan: string;
          parts: { sha256?: string }[];
        };
        return rest.parts.map(({ sha256: __, ...part }) => part);
      };
      assert.deepEqual(success(`remote-${name}`), success(`local-${name}`));
      const text = readFileSync(join(folder, `remote-${name}`, "plan.json"), "utf8");
      assert.ok(!text.includes("secret"));
      const plan = JSON.parse(text) as { input: { files: object[] }; info: { inputRoot: string } };
      assert.equal(plan.info.inputRoot, files.origin);
      const tag = tagOf(readFileSync(join(folder, `in.${kind}`)));
      assert.deepEqual(
        plan.input.files.map((file) => ({ ...file, contentSha256: "", sha256: "" })),
        [
          {
            name: `in.${kind}`,
            size: readFileSync(join(folder, `in.${kind}`)).length,
            contentSha256: "",
            version: tag,
            sha256: "",
          },
        ],
      );
    }
  });

  it("goes on with a job, and refuses an object that changed, as it refuses a file", async () => {
    writeFileSync(join(folder, "late.parquet"), readFileSync(join(folder, "in.parquet")));
    const url = `${files.origin}/late.parquet`;
    assert.equal((await score("late", url, ...near, "--shard", "0/2")).code, 0);
    files.bend = (_, response, bytes) => {
      response.setHeader("etag", '"other"');
      response.setHeader("content-range", `bytes 0-3/${bytes.length}`);
      response.writeHead(206).end(bytes.subarray(0, 4));
      return true;
    };
    const changed = await score("late", url, ...near, "--resume");
    files.bend = () => false;
    assert.equal(changed.code, 4, changed.stderr);
    files.bend = (_, response, bytes) => {
      const setHead = response.writeHead.bind(response);
      response.writeHead = ((status: number, head: Record<string, string>) =>
        setHead(status, { ...head, etag: '"other"' })) as never;
      return bytes.length < 0;
    };
    const other = await score("late", url, ...near, "--resume");
    files.bend = () => false;
    assert.equal(other.code, 3, other.stderr);
    assert.match(other.stderr, /input\.files\.0\.version/);
    const done = await score("late", url, ...near, "--resume");
    assert.equal(done.code, 0, done.stderr);
    assert.equal((await score("whole", url, ...near)).code, 0);
    assertSameResult(join(folder, "late"), join(folder, "whole"));
  });

  it("refuses what it cannot hand on, mixed places, and addresses of this network", async () => {
    const signed = await score("no", `${files.origin}/in.parquet?key=secret`, ...near, "--workers", "2");
    assert.equal(signed.code, 2);
    assert.match(signed.stderr, /not handed on/);
    assert.ok(!signed.stderr.includes("secret"));
    const mixed = await score("no", `${files.origin}/in.parquet`, ...near, "--input", "in.parquet");
    assert.equal(mixed.code, 2);
    assert.match(mixed.stderr, /different places/);
    const refused = await score("no", `${files.origin}/in.parquet`);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /--private-hosts/);
    const missing = await score("no", `${files.origin}/none.csv`, ...near);
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /404/);
    const unnamed = await score("no", `${files.origin}/in?file=x.csv`, ...near);
    assert.equal(unnamed.code, 2);
    assert.match(unnamed.stderr, /format cannot be told/);
  });
});
