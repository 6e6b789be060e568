/** Fronts: processes that speak HTTP with clients for one server, started, watched and replaced by it. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import type { KeyPair } from "../http/certificate.js";
import type { Door, DoorOptions } from "../http/door.js";
import type { FrontsUsage } from "../metrics/processes.js";
import { Front } from "./front.js";
import { createInnerServer } from "./inner-server.js";
import type { FrontSettings } from "./messages.js";

/** How long the first try to replace a front waits, and the longest that any does. */
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 5000;
/** A front that lived so long is replaced as fast as the first. */
const STABLE_MS = 10_000;

export interface FrontsOptions extends DoorOptions {
  readonly count: number;
}

export class Fronts implements Door {
  /** Listens for clients, whose connections go to the fronts. */
  readonly server: NetServer;
  readonly ready: Promise<void>;
  readonly #options: FrontsOptions;
  readonly #settings: FrontSettings;
  /** What connections are encrypted with. */
  #pair: KeyPair | undefined;
  readonly #inner: Server;
  readonly #folder: string | undefined;
  readonly #fronts: (Front | undefined)[] = [];
  readonly #retries = new Set<NodeJS.Timeout>();
  /** How long the next try of each place waits. */
  readonly #delays: number[] = [];
  /** Connections that wait for a front. */
  readonly #waiting = new Set<Socket>();
  #closing = false;
  #restarts = 0;
  /** Used by fronts that have ended. */
  #spentSeconds = 0;

  /** `ready` rejects with SERVER_FAILED when one does not start. Throws CONFIG_INVALID where their socket has no place. */
  constructor(options: FrontsOptions) {
    const { handler, limits, count, certificate } = options;
    this.#options = options;
    const secret = randomBytes(24).toString("hex");
    const { path, folder } = innerPlace(secret);
    this.#folder = folder;
    this.#pair = certificate?.read();
    this.#settings = frontSettings(options, { path, secret });
    this.#inner = createInnerServer(handler, limits, secret);
    this.server = createNetServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#give(socket));
    certificate?.renew((pair) => {
      this.#pair = pair;
      for (const front of this.#living) front.renew(pair);
    });
    this.ready = listen(this.#inner, path).then(async () => {
      await Promise.all(Array.from({ length: count }, (_, place) => this.#start(place)));
    });
    this.ready.catch(() => undefined); // told to who waits for it
  }

  async #start(place: number): Promise<void> {
    const front = new Front({ ...this.#options, settings: this.#settings, pair: this.#pair });
    this.#fronts[place] = front;
    const startedAt = performance.now();
    let ready = false;
    front.onEnd = (reason) => {
      this.#spentSeconds += front.usage.cpuSeconds;
      this.#fronts[place] = undefined;
      if (this.#closing || !ready) return;
      const { log } = this.#options.handler.exchanges.settings;
      log?.error(
        { pid: front.pid, reason },
        "a front ended; its connections are lost, another takes its place",
      );
      if (performance.now() - startedAt > STABLE_MS) this.#delays[place] = FIRST_RETRY_MS;
      this.#replace(place);
    };
    await front.ready;
    ready = true;
    for (const socket of this.#waiting) {
      this.#waiting.delete(socket);
      this.#give(socket);
    }
  }

  /** Each try waits twice as long as the one before. */
  #replace(place: number): void {
    const delay = this.#delays[place] ?? FIRST_RETRY_MS;
    this.#delays[place] = Math.min(2 * delay, LONGEST_RETRY_MS);
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.#restarts++;
      this.#start(place).catch((error: unknown) => {
        if (this.#closing) return;
        const { log } = this.#options.handler.exchanges.settings;
        log?.error({ err: error }, "a front does not start");
        this.#replace(place);
      });
    }, delay).unref();
    this.#retries.add(timer);
  }

  /** To the front with the fewest connections; beyond the limit a connection is closed at once. */
  #give(socket: Socket): void {
    let least: Front | undefined;
    let open = this.#waiting.size;
    for (const front of this.#fronts) {
      if (front === undefined) continue;
      open += front.connections;
      if (front.isReady && (least === undefined || front.connections < least.connections)) least = front;
    }
    if (open >= this.#options.connections || this.#closing) socket.destroy();
    else if (least !== undefined) least.take(socket);
    else {
      this.#waiting.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#waiting.delete(socket));
    }
  }

  get usage(): FrontsUsage {
    const usages = this.#living.map(({ usage }) => usage);
    return {
      running: usages.length,
      restarts: this.#restarts,
      cpuSeconds: usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, this.#spentSeconds),
      residentBytes: usages.reduce((sum, { residentBytes }) => sum + residentBytes, 0),
    };
  }

  get #living(): readonly Front[] {
    return this.#fronts.filter((front) => front !== undefined);
  }

  /** Resolves when every client has taken what it was answered. */
  async quiet(): Promise<void> {
    await Promise.all(this.#living.map((front) => front.quiet()));
  }

  /** Takes no more connections, and lets those end on which nothing is under way. */
  async end(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#retries) clearTimeout(timer);
    const closed = new Promise<void>((resolve) => void this.server.close(() => resolve()));
    for (const socket of this.#waiting) socket.destroy();
    await Promise.all([closed, ...this.#living.map((front) => front.close())]);
  }

  /** Cuts all connections; how many requests were under way on them. */
  async cut(): Promise<number> {
    this.#closing = true;
    const counts = await Promise.all(this.#living.map((front) => front.cut()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** Ends what is left. */
  async close(): Promise<void> {
    await this.cut();
    if (this.server.listening) this.server.close();
    await new Promise<void>((resolve) => {
      this.#inner.close(() => resolve());
      this.#inner.closeAllConnections();
    });
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function frontSettings(options: FrontsOptions, inner: FrontSettings["inner"]): FrontSettings {
  const { limits, keyed, handler } = options;
  const { settings } = handler.exchanges;
  const { bodyMax, jsonBodyMax, hosts } = settings;
  return {
    ...limits,
    corsOrigin: settings.corsOrigin,
    responseCompression: settings.responseCompression,
    bodyMax,
    jsonBodyMax,
    jsonDepth: settings.jsonDepth,
    bodyChunks: settings.bodyChunks,
    tensorElements: settings.tensorElements,
    tensorRank: settings.tensorRank,
    stringBytes: settings.stringBytes,
    replyTimeout: settings.replyTimeout,
    json: settings.json,
    hosts: hosts === undefined ? null : [...hosts],
    keyed,
    inner,
    // An element of a JSON tensor takes two bytes there at least, and eight at most in a frame.
    frameBytes: Math.max(bodyMax, 8 * jsonBodyMax) + 2 ** 20,
  };
}

/** A socket that nobody else can reach: in a folder of the user's own, on Windows under a name that nobody can guess. */
function innerPlace(secret: string): { readonly path: string; readonly folder: string | undefined } {
  if (process.platform === "win32")
    return { path: `\\\\.\\pipe\\tenon-${secret.slice(0, 24)}`, folder: undefined };
  try {
    const folder = mkdtempSync(join(tmpdir(), "tenon-fronts-")); // mode 0700
    return { path: join(folder, "inner.sock"), folder };
  } catch (cause) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "fronts need a folder for temporary files",
      given: tmpdir(),
      do: "name one that can be written with TMPDIR, or serve without --fronts",
      cause,
    });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: Error) =>
      reject(
        new TenonError("CONFIG_INVALID", {
          problem: "the socket of the fronts cannot be made",
          given: path,
          do: "name a folder with a shorter path with TMPDIR",
          cause,
        }),
      ),
    );
    server.listen({ path }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}
