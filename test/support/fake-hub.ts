/** A hub on loopback that speaks the protocol of Hugging Face's, and the host of large files that it redirects to. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HubRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

export interface FakeRepository {
  readonly files: Readonly<Record<string, Buffer>>;
  /** Told in the list, whatever there is. */
  readonly listed?: readonly string[];
  readonly gated?: boolean;
  readonly private?: boolean;
  /** Its only commit. */
  readonly commit?: string;
}

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
/** Files from this size on lie on the other host. */
const LARGE = 1000;

export class FakeHub {
  readonly repositories = new Map<string, FakeRepository>();
  readonly requests: HubRequest[] = [];
  readonly cdnRequests: HubRequest[] = [];
  /** The other host sends so many bytes of its next answers, and then waits for `breakOff`. */
  cutAfter: number[] = [];
  readonly #held: ServerResponse[] = [];
  /** What the other host changes of its bytes. */
  damage: ((bytes: Buffer) => Buffer) | undefined;
  token: string | undefined;
  /** Where large files are said to be, in place of the other host. */
  redirect: string | undefined;
  #hub: Server | undefined;
  #cdn: Server | undefined;

  async start(): Promise<string> {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#cdn = createServer((request, response) => this.#answerFile(request, response));
    for (const server of [this.#hub, this.#cdn]) {
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    }
    return origin(this.#hub);
  }

  /** Ends the connections whose answers were cut. */
  breakOff(): void {
    for (const response of this.#held.splice(0)) response.destroy();
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server?.closeAllConnections();
      await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.requests.push(told(request));
    const path = decodeURIComponent(request.url!.split("?")[0]!);
    const name = /^\/(?:api\/models\/)?([^/]+\/[^/]+)/.exec(path)?.[1] ?? "";
    const fail = (status: number, code: string): void => {
      response.writeHead(status, { "X-Error-Code": code, "X-Error-Message": "no" }).end("{}");
    };
    if (name === "old/name") {
      response.writeHead(307, { Location: request.url!.replace("old/name", "owner/tiny") }).end();
      return;
    }
    const repository = this.repositories.get(name);
    const isKnown = this.token !== undefined && request.headers.authorization === `Bearer ${this.token}`;
    if (repository === undefined || (repository.private === true && !isKnown)) {
      fail(401, "RepoNotFound");
      return;
    }
    const commit = repository.commit ?? COMMIT;
    if (path.startsWith("/api/")) {
      const revision = path.slice(`/api/models/${name}/revision/`.length);
      if (revision !== "main" && revision !== commit) {
        fail(404, "RevisionNotFound");
        return;
      }
      const files = repository.listed ?? Object.keys(repository.files);
      response.setHeader("Content-Type", "application/json");
      response.end(
        JSON.stringify({ id: name, sha: commit, siblings: files.map((rfilename) => ({ rfilename })) }),
      );
      return;
    }
    if (repository.gated === true && !isKnown) {
      fail(403, "GatedRepo");
      return;
    }
    const file = path.slice(`/${name}/resolve/${commit}/`.length);
    const bytes = repository.files[file];
    if (bytes === undefined) {
      fail(404, "EntryNotFound");
      return;
    }
    response.setHeader("X-Repo-Commit", commit);
    if (bytes.length < LARGE) {
      response.setHeader(
        "ETag",
        `"${createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex")}"`,
      );
      send(request, response, bytes);
      return;
    }
    response.setHeader("X-Linked-Etag", `"${createHash("sha256").update(bytes).digest("hex")}"`);
    response.setHeader("X-Linked-Size", String(bytes.length));
    response
      .writeHead(302, { Location: this.redirect ?? `${origin(this.#cdn!)}/${name}/${file}?signature=x` })
      .end();
  }

  #answerFile(request: IncomingMessage, response: ServerResponse): void {
    this.cdnRequests.push(told(request));
    const [owner, name, ...rest] = decodeURIComponent(request.url!.slice(1).split("?")[0]!).split("/");
    const bytes = this.repositories.get(`${owner}/${name}`)!.files[rest.join("/")]!;
    const cut = this.cutAfter.shift();
    if (cut !== undefined) this.#held.push(response);
    send(request, response, this.damage?.(bytes) ?? bytes, cut);
  }
}

function told(request: IncomingMessage): HubRequest {
  const { authorization, range } = request.headers;
  return { method: request.method!, path: request.url!, authorization, range };
}

function origin(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function send(request: IncomingMessage, response: ServerResponse, bytes: Buffer, cut?: number): void {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const part = bytes.subarray(start);
  response.statusCode = start > 0 ? 206 : 200;
  if (start > 0) response.setHeader("Content-Range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
  response.setHeader("Content-Length", part.length);
  if (request.method === "HEAD") {
    response.end();
    return;
  }
  if (cut === undefined) {
    response.end(part);
    return;
  }
  response.write(part.subarray(0, cut));
}
