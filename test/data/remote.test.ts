/** Parquet behind URLs: only ranges travel, private addresses are refused, and servers that fail are told of. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { col, type Dataset, parquet, type RemoteOptions, sink } from "tenon/data";

const ROWS = 40_000;

type Answering = (request: IncomingMessage, response: ServerResponse, range: [number, number]) => void;

describe("parquet over http", () => {
  let folder: string;
  let file: Buffer;
  let server: Server;
  let port: number;
  let sent = 0;
  let requests: { path: string; authorization: string | undefined }[] = [];
  let answering: Answering;

  const part: Answering = (_, response, [start, end]) => {
    const bytes = file.subarray(start, end + 1);
    sent += bytes.length;
    response.writeHead(206, {
      "content-range": `bytes ${start}-${start + bytes.length - 1}/${file.length}`,
      "content-length": bytes.length,
      etag: '"one"',
    });
    response.end(bytes);
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-remote-"));
    const path = join(folder, "x.parquet");
    {
      await using out = sink.parquet(path, { rowGroup: 10_000 });
      const numbers = (factor: number): Float64Array =>
        Float64Array.from({ length: ROWS }, (_, i) => Math.sin(i) * factor);
      await out.write({
        id: Int32Array.from({ length: ROWS }, (_, i) => i),
        a: numbers(1),
        b: numbers(2),
        c: numbers(3),
      });
      await out.commit();
    }
    file = readFileSync(path);
    server = createServer((request, response) => {
      requests.push({ path: request.url ?? "", authorization: request.headers.authorization });
      const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
      answering(request, response, [Number(match?.[1]), Number(match?.[2])]);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    answering = part;
    sent = 0;
    requests = [];
  });

  const url = (path = "x.parquet?key=secret"): string => `http://127.0.0.1:${port}/${path}`;
  const open = (path?: string, remote: RemoteOptions = {}): Dataset =>
    parquet(url(path), { remote: { privateHosts: ["127.0.0.1"], ...remote } });
  const ids = async (dataset: Dataset): Promise<number[]> => {
    const found: number[] = [];
    for await (const { data } of dataset.tensors({ id: col("id", "int32") })) found.push(...data.id.data);
    return found;
  };
  const refusal = async (dataset: Dataset): Promise<{ code: string; message: string }> => {
    try {
      await ids(dataset);
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      assert.ok(!message.includes("secret"), message);
      return { code, message };
    }
    throw new Error("it was read");
  };

  it("reads the columns that are asked for, and no more of the file", async () => {
    assert.deepEqual(
      await ids(open()),
      Array.from({ length: ROWS }, (_, i) => i),
    );
    assert.ok(sent < file.length / 3, `${sent} of ${file.length} bytes`);
  });

  it("goes on from a position", async () => {
    const read = open()
      .tensors({ id: col("id", "int32") })
      .batch(3000)
      .shuffle({ seed: 1, window: 10_000 });
    const whole: number[][] = [];
    let from: Parameters<typeof read.iterate>[0];
    for await (const { data, next } of read) {
      whole.push([...data.id.data]);
      if (whole.length === 5) from = { from: JSON.parse(JSON.stringify(next)) };
    }
    const rest: number[][] = [];
    for await (const { data } of read.iterate(from)) rest.push([...data.id.data]);
    assert.deepEqual(rest, whole.slice(5));
  });

  it("does not reach into this network unless the host is named", async () => {
    for (const host of [
      "127.0.0.1",
      "localhost",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "0.0.0.0",
      "169.254.169.254",
      "2130706433",
    ]) {
      const { code, message } = await refusal(parquet(`http://${host}:${port}/x.parquet?key=secret`));
      assert.equal(code, "USAGE");
      assert.match(message, /not of the public internet/);
    }
    assert.equal(requests.length, 0);
    const named = parquet(`http://localhost:${port}/x.parquet`, { remote: { privateHosts: ["LocalHost"] } });
    assert.equal((await ids(named)).length, ROWS);
  });

  it("follows redirects, but not into this network, and keeps headers to their origin", async () => {
    answering = (request, response, range) => {
      if (request.url === "/moved") response.writeHead(307, { location: "/x.parquet" }).end();
      else if (request.url === "/away")
        response.writeHead(302, { location: `http://localhost:${port}/x.parquet` }).end();
      else if (request.url === "/round") response.writeHead(302, { location: "/round" }).end();
      else part(request, response, range);
    };
    const headers = { authorization: "Bearer secret" };
    assert.equal((await ids(open("moved", { headers }))).length, ROWS);
    assert.ok(requests.every(({ authorization }) => authorization === headers.authorization));
    requests = [];
    assert.equal((await refusal(open("away", { headers }))).code, "USAGE");
    assert.ok(requests.every(({ path }) => path === "/away"));
    const both = { headers, privateHosts: ["127.0.0.1", "localhost"] };
    assert.equal((await ids(open("away", both))).length, ROWS);
    assert.ok(
      requests.every(({ path, authorization }) => (path === "/away") === (authorization !== undefined)),
    );
    assert.match((await refusal(open("round"))).message, /again and again/);
  });

  it("tells of servers that give no ranges, refuse, or have another file meanwhile", async () => {
    answering = (_, response) => void response.writeHead(200, { "content-length": file.length }).end(file);
    const whole = await refusal(open());
    assert.equal(whole.code, "USAGE");
    assert.match(whole.message, /does not give parts/);
    for (const status of [404, 403]) {
      answering = (_, response) => void response.writeHead(status).end();
      const { code, message } = await refusal(open());
      assert.equal(code, "FILE_NOT_FOUND");
      assert.match(message, new RegExp(String(status)));
    }
    let turn = 0;
    answering = (request, response, range) => {
      if (++turn > 3) response.setHeader("etag", '"two"');
      const setHead = response.writeHead.bind(response);
      if (turn > 3)
        response.writeHead = ((status: number, head: Record<string, string>) =>
          setHead(status, { ...head, etag: '"two"' })) as never;
      part(request, response, range);
    };
    const changed = await refusal(open());
    assert.equal(changed.code, "FILE_INVALID");
    assert.match(changed.message, /changed while it was read/);
  });

  it("asks again after answers that broke off and after errors of the server", async () => {
    let turn = 0;
    answering = (request, response, range) => {
      turn++;
      if (turn === 2) response.writeHead(503).end();
      else if (turn === 4) {
        const [start, end] = range;
        response.writeHead(206, {
          "content-range": `bytes ${start}-${end}/${file.length}`,
          "content-length": end - start + 1,
          etag: '"one"',
        });
        response.write(file.subarray(start, start + 3), () => response.destroy());
      } else part(request, response, range);
    };
    assert.equal((await ids(open())).length, ROWS);
  });

  it("gives a silent server up", async () => {
    answering = () => undefined;
    const { code, message } = await refusal(open(undefined, { timeoutMs: 40 }));
    assert.equal(code, "FILE_NOT_FOUND");
    assert.match(message, /silent/);
  });

  it("refuses other protocols, passwords in URLs, and engines that read files", async () => {
    for (const text of [
      "s3:///x.parquet",
      "s3://bucket/a/../x.parquet",
      "s3://evil.example:80/x.parquet",
      "ftp://host/x.parquet",
      "http://a:secret@127.0.0.1/x.parquet",
    ])
      assert.equal((await refusal(parquet(text))).code, "USAGE");
    const other = parquet(url(), { engine: "duckdb", remote: { privateHosts: ["127.0.0.1"] } });
    assert.equal((await refusal(other)).code, "USAGE");
  });
});
