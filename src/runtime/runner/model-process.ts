/** ModelProcess: one child process with its shared memory and doorbell; loads models, runs calls, tells how it died. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { isTenonError, TenonError, toTenonError } from "../../base/index.js";
import { Few } from "../few.js";
import type { BatchOutputs } from "../lane.js";
import type { RemoteCall } from "./call.js";
import {
  type Death,
  describeDeath,
  type KillReason,
  LyingProcess,
  loadFailed,
  notStarted,
  overTime,
} from "./death.js";
import { Doorbell, takeOver } from "./doorbell.js";
import { errorFromJson } from "./error-wire.js";
import { decodeJson, encodeFrame, encodeJson, FRAME, type Frame, FrameReader } from "./frames.js";
import { libc, type Mapping } from "./libc.js";
import type { LoadMessage } from "./load-message.js";
import { REGION_UNIT, type Region, RegionPool } from "./region-pool.js";
import { NO_CPU } from "./step-aside.js";

/** One call on its way; `done` is called once, unless the process dies first: then the run is named to `onDeath`. */
export interface ProcessRun {
  readonly model: number;
  call(memory: ArrayBuffer): RemoteCall;
  done(error: TenonError | null, outputs: BatchOutputs | null): void;
}

/** A model that is loading. */
interface Load {
  /** Takes the process's reply. Throws when it is none. */
  readonly done: (reply: Readonly<Record<string, unknown>>) => void;
  readonly failed: (error: TenonError) => void;
}

export interface ProcessOptions {
  /** Threads of its pool: the lanes that run side by side. */
  readonly lanes: number;
  /** Bytes of shared memory, a power of two up to 1 GiB; only what is touched is used. */
  readonly memoryBytes: number;
  /** Milliseconds that it may take to start. */
  readonly startTimeoutMs: number;
}

interface InFlight {
  readonly run: ProcessRun;
  readonly sequence: number;
  readonly call: RemoteCall;
  readonly region: Region;
  streamed: Map<number, Uint8Array[]> | undefined;
  /** When it came to the head of the child's queue. */
  startedAt: number | undefined;
  cancelledAt: number | undefined;
}

const CHILD = fileURLToPath(new URL("./child.js", import.meta.url));
/** Longest payload that a child may send. */
const PAYLOAD_LIMIT = 16 << 20;
/** Most bytes of results that may come over the socket for one run. */
const STREAM_LIMIT = 2 ** 31;
const STDERR_KEPT = 4096;
/** How long a run may go on after it was told to stop. */
const GRACE_MS = 100;
/** Variables that a child needs; it gets no others. */
const PASSED_ON = ["TENON_ORT_LIB", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "SystemRoot"] as const;

export class ModelProcess {
  readonly pid: number;
  readonly mapping: Mapping;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #doorbell: Doorbell;
  readonly #regions: RegionPool;
  readonly #lanes: number;
  readonly #cpu: () => number;
  readonly #inFlight = new Few<InFlight>();
  readonly #loading = new Map<number, Load>();
  #hello: ((error: TenonError | null, version: string) => void) | undefined;
  #version = "";
  #sequence = 0;
  #reason: KillReason | undefined;
  #offender: ProcessRun | undefined;
  #exit: { code: number | null; signal: NodeJS.Signals | null } | undefined;
  #socketClosed = false;
  #stderr = "";
  #pins = 0;
  #failedRuns = 0;
  #reportedRss = 0;
  #death: Death | undefined;
  #holds = 0;
  /** Told once, with the runs that got no answer. */
  onDeath: (death: Death, runs: readonly ProcessRun[]) => void = () => undefined;
  /** Told when a run has ended and its place is free. */
  onFree: () => void = () => undefined;

  private constructor(child: ChildProcess, mapping: Mapping, cpu: () => number, options: ProcessOptions) {
    this.#child = child;
    this.#cpu = cpu;
    this.pid = child.pid!;
    this.mapping = mapping;
    this.#lanes = options.lanes;
    this.#regions = new RegionPool(mapping, options.memoryBytes);
    const reader = new FrameReader(PAYLOAD_LIMIT, (frame, payload) => this.#handle(frame, payload));
    this.#socket = takeOver(child.stdio[3] as Socket, (chunk) => {
      try {
        reader.push(chunk);
      } catch {
        this.kill("lied");
      }
    });
    this.#doorbell = new Doorbell(this.#socket);
    this.#socket.on("error", () => undefined); // its end follows
    this.#socket.on("close", () => {
      this.#socketClosed = true;
      this.#child.kill("SIGKILL");
      this.#finish();
    });
    child.on("exit", (code, signal) => {
      this.#exit = { code, signal };
      this.#finish();
    });
    child.stderr?.on("data", (text: Uint8Array) => {
      this.#stderr = `${this.#stderr}${Buffer.from(text).toString("latin1")}`.slice(-STDERR_KEPT);
    });
    (child.stderr as Socket | null)?.unref();
    child.unref();
    this.#socket.unref();
  }

  /** Resolves when the process has loaded ONNX Runtime. Throws ENGINE_LIBRARY, or MODEL_UNAVAILABLE when it does not start. */
  static async start(options: ProcessOptions): Promise<ModelProcess> {
    const c = await libc();
    const fd = c.createMemory(options.memoryBytes);
    let child: ChildProcess;
    let mapping: Mapping;
    try {
      mapping = c.map(fd, options.memoryBytes);
      child = spawn(process.execPath, [CHILD], {
        stdio: ["ignore", "ignore", "pipe", "pipe", fd],
        env: childEnvironment(options),
        cwd: tmpdir(),
      });
    } finally {
      closeSync(fd);
    }
    if (child.pid === undefined) {
      const cause = await new Promise<Error>((resolve) => child.once("error", resolve));
      mapping.unmap();
      throw notStarted(cause.message);
    }
    const started = new ModelProcess(child, mapping, c.cpu, options);
    await started.#greeting(options.startTimeoutMs);
    return started;
  }

  #greeting(milliseconds: number): Promise<void> {
    this.#hold();
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => this.kill("timeout"), milliseconds);
      this.#hello = (error, version) => {
        clearTimeout(timer);
        this.#hello = undefined;
        this.#release();
        this.#version = version;
        if (error === null) resolve();
        else reject(error);
      };
    });
  }

  /** Version of ONNX Runtime in it. */
  get version(): string {
    return this.#version;
  }

  get alive(): boolean {
    return this.#death === undefined && this.#reason === undefined && !this.#socketClosed;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Runs that ended with an error; each leaks a little inside ONNX Runtime. */
  get failedRuns(): number {
    return this.#failedRuns;
  }

  /** Resident bytes; 0 when they are not known. */
  rssBytes(): number {
    if (process.platform !== "linux") return this.#reportedRss;
    try {
      return Number(readFileSync(`/proc/${this.pid}/statm`, "latin1").split(" ")[1]) * 4096;
    } catch {
      return 0;
    }
  }

  // While something is awaited, the process keeps its parent alive; otherwise it does not.

  #hold(): void {
    if (this.#holds++ > 0) return;
    this.#socket.ref();
    this.#child.ref();
  }

  #release(): void {
    if (--this.#holds > 0) return;
    this.#socket.unref();
    this.#child.unref();
  }

  // ── loading ────────────────────────────────────────────────────────────────────────────────

  /**
   * What `read` makes of the reply; when it throws the process has lied. Throws what the load threw in the process,
   * MODEL_CRASHED when it died of it, MODEL_UNAVAILABLE when it took too long.
   */
  async load<R>(
    message: Omit<LoadMessage, "source">,
    from: string | Uint8Array,
    timeoutMs: number,
    read: (reply: Readonly<Record<string, unknown>>) => R,
  ): Promise<R> {
    const region = typeof from === "string" ? undefined : this.#regions.take(from.length);
    if (typeof from !== "string") {
      if (region === undefined) throw tooLarge(from.length);
      new Uint8Array(this.mapping.buffer, region.offset, from.length).set(from);
    }
    const source = typeof from === "string" ? { path: from } : { offset: region!.offset, bytes: from.length };
    this.#hold();
    const timer = setTimeout(() => this.kill("timeout"), timeoutMs);
    try {
      return await new Promise<R>((resolve, reject) => {
        this.#loading.set(message.model, { done: (reply) => resolve(read(reply)), failed: reject });
        if (this.#death !== undefined) this.#failLoads(this.#death);
        else this.#socket.write(encodeJson(FRAME.load, 0, { ...message, source } satisfies LoadMessage));
      });
    } finally {
      clearTimeout(timer);
      this.#release();
      if (region !== undefined) this.#regions.give(region);
    }
  }

  unload(model: number): void {
    if (this.alive) this.#socket.write(encodeJson(FRAME.unload, 0, { model }));
  }

  // ── running ────────────────────────────────────────────────────────────────────────────────

  /** Hands a run over; undefined when the shared memory has no room for it before others have ended. Throws what its call throws. */
  submit(run: ProcessRun): number | undefined {
    const call = run.call(this.mapping.buffer);
    const region = this.#regions.take(call.bytes);
    if (region === undefined) {
      if (this.#inFlight.size === 0) throw tooLarge(call.bytes);
      return undefined;
    }
    const sequence = (this.#sequence = (this.#sequence + 1) >>> 0);
    try {
      call.write(region, run.model, sequence, this.#inFlight.size > 0 ? this.#cpu() : NO_CPU);
    } catch (error) {
      this.#regions.give(region);
      throw error;
    }
    const startedAt = this.#inFlight.size < this.#lanes ? performance.now() : undefined;
    this.#inFlight.add({
      sequence,
      run,
      call,
      region,
      streamed: undefined,
      startedAt,
      cancelledAt: undefined,
    });
    if (this.#inFlight.size === 1) this.#hold();
    this.#doorbell.ring(encodeFrame(FRAME.submit, region.offset / REGION_UNIT, sequence));
    return sequence;
  }

  /** Asks a run to stop; it does so between two nodes. */
  cancel(sequence: number): void {
    if (this.#flight(sequence) !== undefined) this.#doorbell.ring(encodeFrame(FRAME.cancel, 0, sequence));
  }

  /** Stops runs that are over their time, and kills the process when one does not stop. `limitOf` gives milliseconds. */
  enforce(limitOf: (run: ProcessRun) => number): void {
    const now = performance.now();
    let place = 0;
    for (const flight of this.#inFlight) {
      if (place++ >= this.#lanes) return;
      if (flight.startedAt === undefined || now - flight.startedAt < limitOf(flight.run)) continue;
      if (flight.cancelledAt === undefined) {
        flight.cancelledAt = now;
        this.cancel(flight.sequence);
      } else if (now - flight.cancelledAt >= GRACE_MS) {
        this.#offender ??= flight.run;
        this.kill("deadline");
        return;
      }
    }
  }

  /** Memory of its own for a lease, in the mapping; keep it until `unpin`. */
  pin(bytes: number): Region | undefined {
    const region = this.#regions.take(bytes);
    if (region !== undefined) {
      new Uint8Array(this.mapping.buffer, region.offset, region.bytes).fill(0);
      this.#pins++;
    }
    return region;
  }

  unpin(region: Region): void {
    this.#regions.give(region);
    if (--this.#pins === 0 && this.#death !== undefined) this.mapping.unmap();
  }

  /** Gives memory of past runs back. */
  trim(): void {
    if (this.alive) this.#regions.trim();
  }

  // ── ending ─────────────────────────────────────────────────────────────────────────────────

  kill(reason: KillReason): void {
    this.#reason ??= reason;
    this.#child.kill("SIGKILL");
  }

  /** Kills it; resolves when it is gone. */
  stop(): Promise<void> {
    if (this.#death !== undefined) return Promise.resolve();
    const told = this.onDeath;
    this.#hold();
    return new Promise((resolve) => {
      this.onDeath = (death, runs) => {
        told(death, runs);
        resolve();
      };
      this.kill("stopped");
    });
  }

  /** Frames that were sent before the end still count: both ends are awaited. */
  #finish(): void {
    if (this.#death !== undefined || this.#exit === undefined || !this.#socketClosed) return;
    const { signal, code } = this.#exit;
    const death: Death = {
      pid: this.pid,
      signal,
      code,
      reason: this.#reason,
      offender: this.#offender,
      stderr: this.#stderr,
    };
    this.#death = death;
    const runs = this.#inFlight.drain().map((flight) => flight.run);
    if (this.#pins === 0) this.mapping.unmap();
    this.#hello?.(notStarted(describeDeath(death)), "");
    this.#failLoads(death);
    this.onDeath(death, runs);
  }

  #failLoads(death: Death): void {
    const waiting = [...this.#loading.values()];
    this.#loading.clear();
    for (const load of waiting) load.failed(loadFailed(death));
  }

  // ── what the child says ────────────────────────────────────────────────────────────────────

  #handle(frame: Frame, payload: Uint8Array): void {
    switch (frame.kind) {
      case FRAME.done:
        this.#done(frame.sequence);
        return;
      case FRAME.failed:
        this.#failed(decodeJson(payload));
        return;
      case FRAME.bigResult:
        this.#piece(payload);
        return;
      case FRAME.loaded:
        this.#loaded(decodeJson(payload));
        return;
      case FRAME.memory:
        this.#reportedRss = frame.sequence * 1024;
        return;
      case FRAME.hello: {
        const { version, error } = recordOf(decodeJson(payload));
        if (typeof version === "string") this.#hello?.(null, version.slice(0, 64));
        else {
          this.#hello?.(errorFromJson(error), "");
          this.kill("stopped");
        }
        return;
      }
      default:
        this.kill("lied");
    }
  }

  #loaded(json: unknown): void {
    const reply = recordOf(json);
    const load = this.#loading.get(reply.model as number);
    if (load === undefined) return;
    this.#loading.delete(reply.model as number);
    try {
      load.done(reply);
    } catch {
      this.kill("lied");
      load.failed(new TenonError("MODEL_UNAVAILABLE", { problem: "the model's process gave no signature" }));
    }
  }

  #failed(json: unknown): void {
    const { model, sequence, error } = recordOf(json);
    if (typeof model === "number") {
      const load = this.#loading.get(model);
      this.#loading.delete(model);
      load?.failed(errorFromJson(error));
      return;
    }
    const flight = this.#take(sequence as number);
    if (flight === undefined) return;
    this.#failedRuns++;
    const failure = errorFromJson(error);
    const late = flight.cancelledAt !== undefined && isTenonError(failure, "CANCELLED");
    this.#free(flight, late ? overTime() : failure, null);
  }

  #done(sequence: number): void {
    const flight = this.#take(sequence);
    if (flight === undefined) return;
    let outputs: BatchOutputs | null = null;
    let failure: TenonError | null = null;
    try {
      outputs = flight.call.read(flight.region, joined(flight.streamed));
    } catch (error) {
      failure = toTenonError(error);
      if (error instanceof LyingProcess) this.kill("lied");
    }
    this.#free(flight, failure, outputs);
  }

  #piece(payload: Uint8Array): void {
    if (payload.length < 8) {
      this.kill("lied");
      return;
    }
    const [sequence, position] = new Uint32Array(payload.buffer, payload.byteOffset, 2);
    const flight = this.#flight(sequence!);
    if (flight === undefined) return;
    flight.streamed ??= new Map();
    const pieces = flight.streamed.get(position!) ?? [];
    pieces.push(payload.subarray(8));
    flight.streamed.set(position!, pieces);
    let total = 0;
    for (const list of flight.streamed.values()) for (const piece of list) total += piece.length;
    if (total > STREAM_LIMIT) this.kill("lied");
  }

  #flight(sequence: number): InFlight | undefined {
    return this.#inFlight.find((flight) => flight.sequence === sequence);
  }

  /** A stale sequence number is no run's: ignored. */
  #take(sequence: number): InFlight | undefined {
    const flight = this.#flight(sequence);
    if (flight === undefined) return undefined;
    this.#inFlight.delete(flight);
    let place = 0;
    for (const next of this.#inFlight) {
      if (place++ >= this.#lanes) break;
      next.startedAt ??= performance.now();
    }
    return flight;
  }

  #free(flight: InFlight, error: TenonError | null, outputs: BatchOutputs | null): void {
    this.#regions.give(flight.region);
    if (this.#inFlight.size === 0) this.#release();
    flight.run.done(error, outputs);
    this.onFree();
  }
}

function joined(streamed: Map<number, Uint8Array[]> | undefined): ReadonlyMap<number, Uint8Array> {
  const whole = new Map<number, Uint8Array>();
  for (const [position, pieces] of streamed ?? []) whole.set(position, Buffer.concat(pieces));
  return whole;
}

function recordOf(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
}

function childEnvironment(options: ProcessOptions): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    TENON_CHILD: "1",
    TENON_CHILD_MEMORY: String(options.memoryBytes),
    UV_THREADPOOL_SIZE: String(options.lanes),
  };
  for (const name of PASSED_ON) if (process.env[name] !== undefined) env[name] = process.env[name];
  return env;
}

function tooLarge(bytes: number): TenonError {
  return new TenonError("INPUT_SIZE", {
    problem: "a request needs more shared memory than a model process has",
    given: `${bytes} bytes`,
    do: 'send fewer rows at once, or open the engine with { isolation: "inline" }',
  });
}
