/** FrontServer: HTTP for clients; infer requests that it can read become frames, all others are handed on as they came. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { openSocket } from "../../runtime/runner/doorbell.js";
import { bodyLimit, isExpecting, readBody } from "../http/body.js";
import { BodyPool } from "../http/body-pool.js";
import { type KeyPair, tlsOptions, usePair } from "../http/certificate.js";
import { checkOrigin } from "../http/guard.js";
import { createHttpServer, type HttpServer } from "../http/http-server.js";
import { answerHeaders, type BodyPart, type HeaderList, lengthOf } from "../http/open-exchange.js";
import { pathOf } from "../http/path.js";
import { SILENT_MS } from "../http/silent-connections.js";
import { endWithParts } from "../http/write-parts.js";
import { type Answer, composeAnswer } from "../oip/answer.js";
import { headerLength } from "../oip/binary.js";
import { compressed } from "../oip/compression.js";
import type { ModelWire } from "../oip/model-wire.js";
import { requestTensors } from "../oip/request-tensors.js";
import { ScanPool } from "../oip/scan-pool.js";
import { SharedMemory } from "../shared-memory.js";
import { readAnswer, readFace, readOutputs, sendHeader } from "./answer-frame.js";
import { FLAG, FRAME, type FrameHeader, FrameReader, FrameWriter } from "./frames.js";
import { sendGone, sendRequest } from "./infer-frame.js";
import { isInferPath } from "./infer-path.js";
import type { FrontSettings } from "./messages.js";
import { InnerDoor } from "./pass-on.js";
import { Reply } from "./reply.js";

const LINK_FD = 4;
/** How often replies are looked at for their time limit, in milliseconds. */
const SWEEP_INTERVAL = 1000;
/** Bodies up to this size are read before the server has seen the key. */
const UNKNOWN_BYTES = 64 * 1024;
/** Keys that are remembered as known to the server; beyond that all are forgotten. */
const KNOWN_KEYS = 1024;
/** Most bytes that the server sends in one frame: it is trusted, this finds out of step. */
const MOST_FRAME = 2 ** 32 - 1;

export class FrontServer {
  readonly #settings: FrontSettings & { readonly hostSet: ReadonlySet<string> | undefined };
  readonly #http: HttpServer;
  readonly #writer: FrameWriter;
  readonly #inner: InnerDoor;
  readonly #scans: ScanPool;
  readonly #bodies = new BodyPool();
  /** Requests never name shared memory here. */
  readonly #memory = new SharedMemory(false);
  readonly #replies = new Set<Reply>();
  readonly #running = new Map<number, Reply>();
  readonly #faces: (ModelWire | undefined)[] = [];
  readonly #knownKeys = new Set<string>();
  #last = 0;
  #connections = 0;
  #draining = false;
  #quiet: (() => void)[] = [];
  #empty: (() => void) | undefined;

  /** `lost` is called when the server is gone. */
  constructor(settings: FrontSettings, pair: KeyPair | undefined, lost: () => void) {
    const { hosts } = settings;
    this.#settings = { ...settings, hostSet: hosts === null ? undefined : new Set(hosts) };
    this.#scans = new ScanPool(settings);
    this.#inner = new InnerDoor(settings.inner);
    const tls = pair === undefined ? undefined : tlsOptions(pair, settings.headersTimeout);
    this.#http = createHttpServer(settings, tls, (req, res) => this.#handle(req, res));
    const { server } = this.#http;
    server.on("connection", (socket: Socket) => this.#count(socket));
    // It gets its connections from the server: this starts what looks at their time limits.
    server.emit("listening");
    const reader = new FrameReader(MOST_FRAME, this.#bodies, (header, frame) => this.#take(header, frame));
    const socket = openSocket({ fd: LINK_FD }, (chunk) => reader.push(chunk));
    socket.on("error", () => undefined); // its end follows
    socket.on("close", lost);
    this.#writer = new FrameWriter(socket);
    socket.resume();
    setInterval(() => this.#sweep(), SWEEP_INTERVAL).unref();
  }

  /** Requests whose clients wait. */
  get open(): number {
    return this.#replies.size;
  }

  renew(pair: KeyPair): void {
    usePair(this.#http.server, pair);
  }

  take(socket: Socket): void {
    this.#http.server.emit("connection", socket);
  }

  #count(socket: Socket): void {
    this.#connections++;
    socket.once("close", () => {
      this.#connections--;
      sendHeader(this.#writer, { kind: FRAME.parted, flags: 0, extra: 0, number: 0, value: 1 });
      if (this.#connections === 0) this.#empty?.();
    });
  }

  /** What begins from now on is late. Resolves when no client waits for anything. */
  async quiet(): Promise<void> {
    // What came before the server said so is read first.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.#draining = true;
    if (this.#replies.size > 0) await new Promise<void>((resolve) => void this.#quiet.push(resolve));
  }

  /** Lets connections end on which nothing is under way; resolves when there are none. */
  async close(): Promise<void> {
    const { server, silent } = this.#http;
    server.closeIdleConnections();
    setTimeout(() => silent.close(), SILENT_MS);
    if (this.#connections > 0) await new Promise<void>((resolve) => (this.#empty = resolve));
    // What there is to tell of the last of them leaves first.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  }

  #handle(req: IncomingMessage, res: ServerResponse): void {
    const reply = new Reply(req, res, this.#draining, () => {
      this.#replies.delete(reply);
      if (this.#replies.size === 0) for (const quiet of this.#quiet.splice(0)) quiet();
    });
    this.#replies.add(reply);
    const path = pathOf(req.url ?? "/");
    if (this.#isPlain(req, path)) this.#infer(reply, path).catch(() => void res.destroy());
    else this.#passOn(reply, undefined);
  }

  #passOn(reply: Reply, body: Buffer | undefined): void {
    try {
      this.#inner.passOn(reply, body, (status) => this.#sawStatus(reply.req, status));
    } catch {
      reply.res.destroy();
    }
  }

  #sawStatus({ headers: { authorization } }: IncomingMessage, status: number): void {
    if (!this.#settings.keyed || authorization === undefined) return;
    if (status === 401) this.#knownKeys.delete(authorization);
    else {
      if (this.#knownKeys.size >= KNOWN_KEYS) this.#knownKeys.clear();
      this.#knownKeys.add(authorization);
    }
  }

  /** True for an infer request of which nothing but its body is left to be read and refused. */
  #isPlain(req: IncomingMessage, path: string): boolean {
    const { headers } = req;
    if (req.method !== "POST" || headers.origin !== undefined || isExpecting(req)) return false;
    const { "content-encoding": encoding = "identity", "inference-header-content-length": given } = headers;
    if (encoding !== "identity" || headers["transfer-encoding"] !== undefined || given === "0") return false;
    const length = Number(headers["content-length"] ?? 0);
    const { keyed, hostSet: hosts, headerCount, corsOrigin } = this.#settings;
    if (length === 0 || length > bodyLimit(this.#settings, given !== undefined)) return false;
    if (keyed && length > UNKNOWN_BYTES && !this.#knownKeys.has(headers.authorization ?? "")) return false;
    if (!isInferPath(path)) return false;
    try {
      checkOrigin(req, { headerCount, corsOrigin, hosts });
      return true;
    } catch {
      return false;
    }
  }

  async #infer(reply: Reply, path: string): Promise<void> {
    const { req } = reply;
    const { headers } = req;
    const settings = this.#settings;
    const given = headers["inference-header-content-length"];
    const lengthHeader = typeof given === "string" ? given : undefined;
    if (this.#writer.crowded) await new Promise<void>((resolve) => this.#writer.whenDrained(resolve));
    let known: number | undefined;
    try {
      known = headerLength(lengthHeader, undefined);
    } catch {
      this.#passOn(reply, undefined);
      return;
    }
    const body = await readBody(req, {
      maxBytes: bodyLimit(settings, lengthHeader !== undefined),
      maxChunks: settings.bodyChunks,
      headerLength: known,
      pool: this.#bodies,
    }).catch(() => undefined);
    if (body === undefined || reply.closed) this.#tellGone(reply, path, 0);
    else if (!(await this.#send(reply, path, body, lengthHeader))) this.#passOn(reply, body);
  }

  /** The client went away before its request was whole. */
  #tellGone(reply: Reply, path: string, bytesIn: number): void {
    const { req, id } = reply;
    const address = req.socket.remoteAddress ?? "";
    sendGone(this.#writer, { path, id, address, headers: this.#telling(req), bytesIn });
  }

  /** Reads a body and sends it as a frame; false when the server has to see it as it is. */
  async #send(reply: Reply, path: string, body: Buffer, lengthHeader: string | undefined): Promise<boolean> {
    const { req } = reply;
    const { jsonBodyMax, stringBytes, frameBytes } = this.#settings;
    const number = this.#number();
    try {
      const end = headerLength(lengthHeader, body.length) ?? body.length;
      if (end > jsonBodyMax) return false;
      const section = body.subarray(end);
      const scanned = this.#scans.read(body, end, true);
      const request = scanned instanceof Promise ? await scanned : scanned;
      if (request.inputs.some(({ shared }) => shared) || request.outputs.some(({ shared }) => shared))
        return false;
      const inputs = requestTensors(request, { section, memory: this.#memory, model: "", stringBytes });
      if (reply.closed) {
        this.#tellGone(reply, path, body.length);
        return true;
      }
      const framed = {
        path,
        id: reply.id,
        address: req.socket.remoteAddress ?? "",
        headers: this.#telling(req),
        bodyId: request.id,
        bytesIn: body.length,
        late: reply.late,
        parameters: request.parameters,
        outputs: request.outputs,
        inputs,
      };
      if (!sendRequest(this.#writer, number, framed, frameBytes, () => this.#bodies.give(body))) return false;
      reply.bodyId = request.id;
    } catch {
      return false;
    }
    this.#running.set(number, reply);
    reply.onClose = (taken) => {
      this.#running.delete(number);
      const flags = taken ? FLAG.taken : 0;
      sendHeader(this.#writer, { kind: FRAME.closed, flags, extra: 0, number, value: reply.bytesOut });
    };
    return true;
  }

  #number(): number {
    do this.#last = (this.#last + 1) >>> 0;
    while (this.#running.has(this.#last));
    return this.#last;
  }

  /** The headers that the server may want to see: all but those whose work is done. */
  #telling({ headers }: IncomingMessage): IncomingMessage["headers"] {
    const telling: IncomingMessage["headers"] = {};
    const { keyed, responseCompression } = this.#settings;
    for (const name in headers) {
      if (DONE.has(name)) continue;
      if (name === "authorization" ? keyed : name === "accept-encoding" ? responseCompression : true)
        telling[name] = headers[name];
    }
    return telling;
  }

  #take(header: FrameHeader, frame: Buffer): void {
    if (header.kind === FRAME.face) {
      this.#faces[header.extra] = readFace(header, frame);
      return;
    }
    const reply = this.#running.get(header.number);
    if (reply === undefined || reply.closed) return;
    const last = (header.flags & FLAG.last) !== 0;
    if (header.kind === FRAME.answer) {
      const { status, headers, body } = readAnswer(header, frame);
      this.#sawStatus(reply.req, status);
      this.#answer(reply, status, headers, [body], last);
      return;
    }
    this.#sawStatus(reply.req, 200);
    const wire = this.#faces[header.extra];
    if (wire === undefined) throw new RangeError("outputs of a model that was not told");
    const { outputs, traced } = readOutputs(header, frame, wire);
    const send = ({ headers, parts }: Answer): void => {
      const all = answerHeaders(200, headers, lengthOf(parts), { id: reply.id, traced });
      this.#answer(reply, 200, all, parts, last);
    };
    const composed = composeAnswer(wire, reply.bodyId, outputs, this.#settings.json);
    if (!this.#settings.responseCompression && !(composed instanceof Promise)) send(composed);
    else {
      this.#compressed(reply, composed).then(send, () => void reply.res.destroy());
    }
  }

  async #compressed({ req }: Reply, composed: Answer | Promise<Answer>): Promise<Answer> {
    const answer = await composed;
    return this.#settings.responseCompression ? compressed(answer, req.headers["accept-encoding"]) : answer;
  }

  #answer(
    reply: Reply,
    status: number,
    headers: HeaderList,
    parts: readonly BodyPart[],
    last: boolean,
  ): void {
    const { res } = reply;
    if (reply.closed || res.headersSent) return;
    if (last) res.shouldKeepAlive = false;
    res.writeHead(status, headers.slice());
    endWithParts(res, parts);
    reply.answeredAt = performance.now();
    reply.bytesOut = lengthOf(parts);
  }

  /** Gives up connections whose client does not take its answer. */
  #sweep(): void {
    const now = performance.now();
    for (const { answeredAt, res } of this.#replies) {
      if (answeredAt > 0 && now - answeredAt > this.#settings.replyTimeout) res.destroy();
    }
  }
}

/** Headers of infer requests that have done their work in the front. */
const DONE: ReadonlySet<string> = new Set([
  ...["host", "connection", "keep-alive", "content-type", "content-length", "content-encoding"],
  ...["accept", "accept-language", "user-agent", "x-request-id", "inference-header-content-length"],
  ...["cache-control", "pragma", "te", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-dest"],
]);
