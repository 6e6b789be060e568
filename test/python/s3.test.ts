/** S3 objects, prefixes and patterns against moto, a server of the protocol that others wrote and that checks signatures. */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { arrow, col, csv, type Dataset, jsonl, parquet, sink } from "tenon/data";
import { runCli } from "../support/cli.js";
import { writeJob } from "../support/score-job.js";

const SCRIPT = resolve(import.meta.dirname, "../../../test/python/s3_server.py");
const ROWS = 3000;

describe("s3 and moto", { skip: process.env.TENON_PYTHON ? false : "TENON_PYTHON is not set" }, () => {
  let folder: string;
  let server: ChildProcessWithoutNullStreams;
  let lines: AsyncIterator<string>;
  let place: { url: string; id: string; secret: string };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-s3-"));
    const objects = join(folder, "objects");
    for (const [i, path] of [
      "year=2023/a.parquet",
      "year=2024/b c+d.parquet",
      "year=2024/_c.parquet",
    ].entries()) {
      mkdirSync(join(objects, path, ".."), { recursive: true });
      await using out = sink.parquet(join(objects, path), { rowGroup: 500 });
      await out.write({ id: Int32Array.from({ length: ROWS }, (_, row) => i * ROWS + row) });
      await out.commit();
    }
    for (const kind of ["csv", "jsonl", "arrow"] as const) {
      await using out = sink[kind](join(objects, `x.${kind}`));
      await out.write({ id: Int32Array.from({ length: ROWS }, (_, row) => row) });
      await out.commit();
    }
    await writeJob(objects, 500, 100);
    server = spawn(process.env.TENON_PYTHON!, [SCRIPT, objects], { timeout: 120_000 });
    server.stderr.resume();
    lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
    place = JSON.parse((await lines.next()).value as string) as typeof place;
  });
  after(async () => {
    server.stdin.end();
    if (server.exitCode === null) await once(server, "exit");
    rmSync(folder, { recursive: true });
  });

  const ids = async (dataset: Dataset): Promise<number[]> => {
    const found: number[] = [];
    for await (const { data } of dataset.tensors({ id: col("id", "int32") })) found.push(...data.id.data);
    return found;
  };
  const upTo = (rows: number): number[] => Array.from({ length: rows }, (_, i) => i);
  const remote = (credentials: { accessKeyId: string; secretAccessKey: string } | null) => ({
    remote: { s3: { endpoint: place.url, region: "eu-west-1", credentials } },
  });
  const refusal = async (dataset: Dataset): Promise<string> => {
    const error = await ids(dataset).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    assert.ok(isTenonError(error), String(error));
    return `${error.code} ${error.message}`;
  };

  it("reads objects, prefixes and patterns of a public bucket, of every format", async () => {
    const open = remote(null);
    assert.deepEqual(await ids(parquet("s3://tables/year=2023/a.parquet", open)), upTo(ROWS));
    const years = parquet("s3://tables/year=*/?*d.parquet", open);
    assert.equal((await ids(years)).length, ROWS);
    const all = parquet("s3://tables/**/*d.parquet", open);
    assert.equal((await all.inspect()).files.length, 1);
    const { files, schema } = await parquet(
      ["s3://tables/year=2023/", "s3://tables/year=2024/"],
      open,
    ).inspect();
    assert.deepEqual(
      files.map(({ name }) => name),
      ["s3://tables/year=2023/a.parquet", "s3://tables/year=2024/b c+d.parquet"],
    );
    assert.ok(schema.has("year"));
    for (const read of [csv, jsonl, arrow])
      assert.deepEqual(await ids(read(`s3://tables/x.${read.name}`, open)), upTo(ROWS));
  });

  it("lists page after page", async () => {
    const last = await ids(csv("s3://tables/many/*9.csv", remote(null)));
    assert.deepEqual(
      last,
      Array.from({ length: 12 }, (_, i) => 10 * i + 9),
    );
  });

  it("signs what it asks for, and tells the server's reason where it is refused", async () => {
    server.stdin.write("lock\n");
    assert.equal((await lines.next()).value, "locked");
    const own = { accessKeyId: place.id, secretAccessKey: place.secret };
    assert.equal((await ids(parquet("s3://tables/year=*/*.parquet", remote(own)))).length, 3 * ROWS);
    assert.deepEqual(await ids(csv("s3://tables/x.csv", remote(own))), upTo(ROWS));
    const path = "s3://tables/year=2023/a.parquet";
    const wrong = remote({ ...own, secretAccessKey: "wrong" });
    assert.match(await refusal(parquet(path, wrong)), /^FILE_NOT_FOUND .*403, SignatureDoesNotMatch/s);
    assert.match(await refusal(parquet("s3://tables/year=*/*.parquet", wrong)), /SignatureDoesNotMatch/);
    const missing = await refusal(parquet("s3://tables/none.parquet", remote(own)));
    assert.match(missing, /^FILE_NOT_FOUND .*404, NoSuchKey/s);
    assert.match(await refusal(parquet("s3://tables/none/*.parquet", remote(own))), /no file matches/);
    assert.match(await refusal(parquet("s3://nothing/x.parquet", remote(own))), /NoSuchBucket/);
  });

  it("scores objects with what the environment says, on workers too", async () => {
    const env = {
      AWS_ENDPOINT_URL: place.url,
      AWS_REGION: "eu-west-1",
      AWS_ACCESS_KEY_ID: place.id,
      AWS_SECRET_ACCESS_KEY: place.secret,
    };
    const args = ["--map", "x=f0..f1", "--rows-per-shard", "200", "--isolation", "inline", "--cache", "off"];
    const model = join(folder, "objects/m.onnx");
    for (const [output, input, ...more] of [
      ["out", "s3://tables/in.parquet"],
      ["workers", "s3://tables/in.parquet", "--workers", "2"],
      ["prefix", "s3://tables/in.*"],
    ] as const) {
      const result = await runCli(
        ["score", model, "--input", input, "--output", join(folder, output), ...args, ...more],
        { env },
      );
      assert.equal(result.code, 0, result.stderr);
      const read = (name: string): string => readFileSync(join(folder, output, name), "utf8");
      assert.equal((JSON.parse(read("_SUCCESS")) as { rows: number }).rows, 500);
      const plan = JSON.parse(read("plan.json")) as { info: { inputRoot: string } };
      assert.equal(plan.info.inputRoot, "s3://tables");
      assert.ok(!read("plan.json").includes(place.secret));
    }
  });
});
