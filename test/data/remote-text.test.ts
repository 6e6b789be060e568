/** CSV, JSON lines and Arrow behind URLs: fetched once, gone on with where a connection broke, known by their tags. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { isTenonError } from "tenon/base";
import { arrow, col, csv, type Dataset, jsonl, sink } from "tenon/data";
import { type FileServer, serveFiles, tagOf } from "../support/file-server.js";

const ROWS = 30_000;
const READERS = { csv, jsonl, arrow } as const;
const remote = { privateHosts: ["127.0.0.1"], timeoutMs: 5000 };

describe("text and arrow over http", () => {
  let folder: string;
  let files: FileServer;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-remote-text-"));
    for (const kind of ["csv", "jsonl", "arrow"] as const) {
      await using out = sink[kind](join(folder, `x.${kind}`));
      await out.write({
        id: Int32Array.from({ length: ROWS }, (_, i) => i),
        text: Array.from({ length: ROWS }, (_, i) => `row number ${i}, of many`),
      });
      await out.commit();
    }
    writeFileSync(join(folder, "x.csv.gz"), gzipSync(readFileSync(join(folder, "x.csv"))));
    files = await serveFiles(folder);
  });
  after(async () => {
    await files[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    files.bend = () => false;
    files.requests.length = 0;
  });

  const ids = async (dataset: Dataset): Promise<number[]> => {
    const found: number[] = [];
    for await (const { data } of dataset.tensors({ id: col("id", "int32") })) found.push(...data.id.data);
    return found;
  };
  const all = Array.from({ length: ROWS }, (_, i) => i);
  const refusal = async (dataset: Dataset): Promise<{ code: string; message: string }> => {
    const error = await ids(dataset).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    assert.ok(isTenonError(error), String(error));
    assert.ok(!error.message.includes("secret"), error.message);
    return error;
  };

  for (const name of ["x.csv", "x.jsonl", "x.arrow", "x.csv.gz"] as const)
    it(`reads ${name}, and fetches it once for several uses`, async () => {
      const read = READERS[name.split(".")[1] as keyof typeof READERS];
      const path = `${files.origin}/${name}?key=secret`;
      const dataset = read(path, { remote });
      assert.deepEqual(await ids(dataset), all);
      // From here on the server gives the head of an answer only.
      files.bend = (_, response, bytes) => {
        response.writeHead(200, { "content-length": bytes.length, etag: tagOf(bytes) });
        response.write(bytes.subarray(0, 10));
        return true;
      };
      const shuffled = dataset
        .tensors({ id: col("id", "int32") })
        .batch(1000)
        .shuffle({ seed: 3 });
      const batches: number[][] = [];
      let from: Parameters<typeof shuffled.iterate>[0];
      for await (const { data, next } of shuffled) {
        batches.push([...data.id.data]);
        if (batches.length === 7) from = { from: JSON.parse(JSON.stringify(next)) };
      }
      const rest: number[][] = [];
      for await (const { data } of shuffled.iterate(from)) rest.push([...data.id.data]);
      assert.deepEqual(rest, batches.slice(7));
      const { files: known } = await dataset.inspect();
      assert.equal(known[0]!.name, `${files.origin}/${name}`);
      assert.equal(known[0]!.version, tagOf(readFileSync(join(folder, name))));
    });

  it("needs no ranges, and goes on by a range where an answer breaks off", async () => {
    files.bend = (request, response, bytes) => {
      if (request.headers.range !== undefined) return false;
      response.writeHead(200, { "content-length": bytes.length, etag: tagOf(bytes) });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
      return true;
    };
    assert.deepEqual(await ids(csv(`${files.origin}/x.csv?broken`, { remote })), all);
    assert.match(files.requests[1]!.range!, /^bytes=\d+-$/);

    // The same without ranges: nothing is read twice into one table, and nothing is taken for whole.
    files.bend = (_, response, bytes) => {
      response.writeHead(200, { "content-length": bytes.length, etag: tagOf(bytes) });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
      return true;
    };
    const cut = await refusal(csv(`${files.origin}/x.csv?cut`, { remote }));
    assert.equal(cut.code, "FILE_NOT_FOUND");
    assert.match(cut.message, /cut off/);
  });

  it("refuses a rest of another content, and a file that changed between stop and resumption", async () => {
    files.bend = (request, response, bytes) => {
      const etag = request.headers.range === undefined ? '"one"' : '"two"';
      const rest = request.headers.range !== undefined;
      response.writeHead(rest ? 206 : 200, {
        "content-length": rest ? bytes.length - 100_000 : bytes.length,
        ...(rest ? { "content-range": `bytes 100000-${bytes.length - 1}/${bytes.length}` } : {}),
        etag,
      });
      if (rest) response.end(bytes.subarray(100_000));
      else response.write(bytes.subarray(0, 100_000), () => response.destroy());
      return true;
    };
    const mixed = await refusal(csv(`${files.origin}/x.csv?mixed`, { remote }));
    assert.equal(mixed.code, "FILE_INVALID");
    assert.match(mixed.message, /changed while it was read/);

    files.bend = () => false;
    copyFileSync(join(folder, "x.csv"), join(folder, "y.csv"));
    const read = csv(`${files.origin}/y.csv`, { remote }).tensors({ id: col("id", "int32") });
    let from: Parameters<typeof read.iterate>[0];
    for await (const { next } of read) from ??= { from: next };
    const text = readFileSync(join(folder, "y.csv"), "utf8");
    writeFileSync(join(folder, "y.csv"), text.replace("row number 7,", "row number 8,"));
    await assert.rejects(async () => {
      for await (const _ of read.iterate(from)) assert.fail("it was read");
    }, /y\.csv/);
  });

  it("tells of what is not there, refuses, or leads into this network", async () => {
    const missing = await refusal(csv(`${files.origin}/none.csv?key=secret`, { remote }));
    assert.equal(missing.code, "FILE_NOT_FOUND");
    assert.match(missing.message, /404/);
    const near = await refusal(jsonl(`${files.origin}/x.jsonl?key=secret`));
    assert.equal(near.code, "USAGE");
    assert.match(near.message, /public internet/);
    files.bend = (_, response) => {
      response.writeHead(302, { location: "http://localhost:1/x.arrow" }).end();
      return true;
    };
    assert.match((await refusal(arrow(`${files.origin}/x.arrow`, { remote }))).message, /public internet/);
    files.bend = (_, response) => {
      response.writeHead(503).end();
      return true;
    };
    assert.match((await refusal(csv(`${files.origin}/x.csv?down`, { remote }))).message, /503/);
    assert.ok(files.requests.filter(({ path }) => path.endsWith("?down")).length === 3);
  });
});
