/** A folder over HTTP on loopback, with ranges and tags as file servers have them; answers may be bent. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

export interface FileServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** Requests so far: path with query, and the range asked for. */
  readonly requests: { path: string; range: string | undefined }[];
  /** Answers in place of the server where it gives true. */
  bend: (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => boolean;
}

/** The tag of a content. */
export function tagOf(bytes: Uint8Array): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

export async function serveFiles(folder: string): Promise<FileServer> {
  const requests: FileServer["requests"] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    requests.push({ path, range: request.headers.range });
    let bytes: Buffer;
    try {
      bytes = readFileSync(join(folder, decodeURIComponent(new URL(path, "http://x").pathname)));
    } catch {
      response.writeHead(404).end("no such file");
      return;
    }
    if (files.bend(request, response, bytes)) return;
    const etag = tagOf(bytes);
    const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    if (match === null) {
      response.writeHead(200, { "content-length": bytes.length, etag }).end(bytes);
      return;
    }
    const start = Number(match[1]);
    const part = bytes.subarray(start, match[2] === "" ? bytes.length : Number(match[2]) + 1);
    response
      .writeHead(206, {
        "content-range": `bytes ${start}-${start + part.length - 1}/${bytes.length}`,
        "content-length": part.length,
        etag,
      })
      .end(part);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const files: FileServer = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    bend: () => false,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return files;
}
