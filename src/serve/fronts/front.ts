/** Front: one process that speaks HTTP with clients, from its start to its end, as the server sees it. */
import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { TenonError } from "../../base/index.js";
import type { KeyPair } from "../http/certificate.js";
import type { ServerHandler } from "../http/handler.js";
import type { OipServer } from "../oip/server.js";
import { FrontLink } from "./front-link.js";
import type { FromFront, FrontSettings, ToFront } from "./messages.js";

const MAIN = fileURLToPath(new URL("./front-main.js", import.meta.url));
const START_MS = 30_000;
/** How long a front that is told to end may take. */
const END_MS = 1000;
/** Variables that a front needs; it gets no others. */
const PASSED_ON = ["LANG", "LC_ALL", "TZ", "SystemRoot"] as const;
/** Where the frames go, beside the three usual streams and the messages. */
const LINK_FD = 4;

interface FrontOptions {
  readonly settings: FrontSettings;
  readonly oip: OipServer;
  readonly handler: ServerHandler;
  readonly pair: KeyPair | undefined;
}

export interface Usage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

export class Front {
  /** Resolves when it takes connections. Rejects with SERVER_FAILED when it does not start. */
  readonly ready: Promise<void>;
  usage: Usage = { cpuSeconds: 0, residentBytes: 0 };
  /** Connections that it has. */
  connections = 0;
  isReady = false;
  /** Told once. */
  onEnd: (reason: string) => void = () => undefined;
  readonly #child: ChildProcess;
  readonly #link: FrontLink;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #quiet: (() => void)[] = [];
  #cut: ((count: number) => void) | undefined;

  constructor({ settings, oip, handler, pair }: FrontOptions) {
    const child = fork(MAIN, [], {
      stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
      execArgv: [],
      env: Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
    });
    this.#child = child;
    this.#link = new FrontLink(child.stdio[LINK_FD] as Socket, {
      oip,
      handler,
      frameBytes: settings.frameBytes,
      parted: (count) => {
        this.connections -= count;
      },
      broken: () => child.kill("SIGKILL"),
    });
    this.#ended = new Promise((resolve) => {
      const end = (reason: string): void => {
        if (this.#hasEnded) return;
        this.#hasEnded = true;
        this.isReady = false;
        this.#link.close();
        for (const quiet of this.#quiet.splice(0)) quiet();
        this.#cut?.(0);
        resolve();
        this.onEnd(reason);
      };
      child.once("exit", (code, signal) => end(signal ?? `exit code ${code}`));
      child.once("error", (error) => end(error.message));
    });
    this.ready = new Promise((resolve, reject) => {
      const fail = (problem: string): void => {
        clearTimeout(timer);
        child.kill("SIGKILL");
        reject(new TenonError("SERVER_FAILED", { problem: "a front does not start", given: problem }));
      };
      const timer = setTimeout(() => fail(`not ready after ${START_MS / 1000} s`), START_MS);
      child.on("message", (message: FromFront) => {
        if (message.kind === "ready") {
          clearTimeout(timer);
          this.isReady = true;
          resolve();
        } else if (message.kind === "failed") fail(message.problem);
        else this.#hear(message);
      });
      void this.#ended.then(() => fail("it ended"));
    });
    this.ready.catch(() => undefined); // told to who waits for it
    this.#tell({ kind: "settings", settings, pair: pair ?? null });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  #hear(message: FromFront): void {
    if (message.kind === "usage") this.usage = message;
    else if (message.kind === "quiet") for (const quiet of this.#quiet.splice(0)) quiet();
    else if (message.kind === "cut") this.#cut?.(message.count);
  }

  #tell(message: ToFront, socket?: Socket): void {
    if (!this.#child.connected) return;
    // A channel that breaks is seen by the end of the process.
    this.#child.send(message, socket, {}, () => undefined);
  }

  /** New connections are encrypted with this pair. */
  renew(pair: KeyPair): void {
    this.#tell({ kind: "pair", pair });
  }

  /** From now on the connection is the front's. */
  take(socket: Socket): void {
    this.connections++;
    this.#tell({ kind: "connection" }, socket);
  }

  /** Resolves when its clients have taken what they were answered, or it has ended. */
  quiet(): Promise<void> {
    if (!this.isReady) return Promise.resolve();
    return new Promise((resolve) => {
      this.#quiet.push(resolve);
      this.#tell({ kind: "quiet" });
    });
  }

  /** Lets its connections end; resolves when it has ended. */
  close(): Promise<void> {
    this.#tell({ kind: "close" });
    return this.#ended;
  }

  /** Ends it at once; how many requests were under way. */
  async cut(): Promise<number> {
    if (this.#hasEnded) return 0;
    const told = new Promise<number>((resolve) => {
      this.#cut = resolve;
    });
    const open = this.#link.open;
    this.#tell({ kind: "cut" });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<number>((resolve) => {
      timer = setTimeout(() => resolve(open), END_MS);
    });
    const count = await Promise.race([told, late]);
    clearTimeout(timer);
    this.#child.kill("SIGKILL");
    await this.#ended;
    return count;
  }
}
