/** Entry of a model process: loads models and runs them for its parent, from memory that both see. */
import { closeSync, readFileSync } from "node:fs";
import { TenonError, toTenonError } from "../../base/index.js";
import { ArenaWatch } from "../arena-watch.js";
import { BufferPool } from "../buffers.js";
import { ModelCache } from "../cache.js";
import { Few } from "../few.js";
import { isMisplanned } from "../lane.js";
import { type Loaded, loadModel, sourceKey } from "../load.js";
import { poolThreads } from "../machine.js";
import { ortLibrary } from "../ort/library.js";
import { OutputShapes } from "../output-shapes.js";
import { lowerPoolPriority } from "../pool-priority.js";
import type { ModelSource } from "../prepare.js";
import type { RunLane, Session } from "../session.js";
import { HEAD } from "./call.js";
import { ChildCall } from "./child-run.js";
import { Doorbell, openSocket } from "./doorbell.js";
import { errorToJson } from "./error-wire.js";
import { decodeJson, encodeFrame, encodeJson, FRAME, type Frame, FrameReader } from "./frames.js";
import { libc } from "./libc.js";
import type { LoadMessage } from "./load-message.js";
import { REGION_UNIT } from "./region-pool.js";
import { type Repeat, Repeats } from "./repeats.js";
import { signatureToJson } from "./signature-wire.js";
import { StepAside } from "./step-aside.js";

/** Descriptors that the parent hands over. */
const DOORBELL_FD = 3;
const MEMORY_FD = 4;
/** Runs shorter than this are done on this thread: another would cost more than it takes over. */
const INLINE_MS = 0.3;
/** One in so many runs shorter than TRY_MS is done on this thread to see how long it takes without the way to another. */
const TRY_EVERY = 8;
const TRY_MS = 1;
/** What is remembered of the fastest run grows by this factor with each slower one. */
const FADING = 1.002;
/** Longest LOAD message. */
const MESSAGE_LIMIT = 64 << 20;
/** Outputs that do not fit their region go in pieces of this size. */
const PIECE = 1 << 20;
const REPORT_MEMORY_MS = 250;

interface Served {
  readonly loaded: Loaded;
  readonly session: Session;
  readonly shapes: OutputShapes;
  readonly pool: BufferPool;
  readonly arena: ArenaWatch;
  readonly idle: RunLane[];
  /** Least milliseconds of the last runs by exponent of their input bytes: other programs only ever add time. */
  readonly leastMs: Map<number, number>;
  /** Runs that might have been done on this thread and were not. */
  sentAway: number;
}

interface UnderWay {
  readonly sequence: number;
  readonly run: Pick<RunLane, "terminate">;
}

const models = new Map<number, Served>();
/** What can be told to stop. */
const running = new Few<UnderWay>();
const repeats = new Repeats();
/** Runs side by side; more wait for a thread, and cannot tell how long they took themselves. */
const lanes = poolThreads();
let take: (chunk: Uint8Array) => void = () => undefined;
const socket = openSocket({ fd: DOORBELL_FD }, (chunk) => take(chunk));
const doorbell = new Doorbell(socket);

/** Without a parent nothing is left to do; an exit would wait for runs that may never end. */
function die(): void {
  process.kill(process.pid, "SIGKILL");
}

async function main(): Promise<void> {
  process.on("SIGINT", () => undefined).on("SIGTERM", () => undefined);
  socket.on("end", die).on("close", die).on("error", die);
  const c = await libc();
  c.tieToParent();
  const aside = new StepAside(c);
  const memoryBytes = Number(process.env.TENON_CHILD_MEMORY);
  const memory = c.map(MEMORY_FD, memoryBytes).buffer;
  closeSync(MEMORY_FD);
  const reader = new FrameReader(MESSAGE_LIMIT, (frame, payload) => handle(memory, aside, frame, payload));
  take = (chunk) => reader.push(chunk);
  socket.resume();
  if (process.platform !== "linux") reportMemory();
  try {
    const library = await ortLibrary();
    socket.write(encodeJson(FRAME.hello, 0, { version: library.version }));
    await lowerPoolPriority(library, poolThreads());
  } catch (error) {
    socket.write(encodeJson(FRAME.hello, 0, { error: errorToJson(toTenonError(error)) }));
  }
}

/** Where the parent cannot read it itself: resident memory in KiB. */
function reportMemory(): void {
  setInterval(() => {
    socket.write(encodeFrame(FRAME.memory, 0, Math.round(process.memoryUsage.rss() / 1024)));
  }, REPORT_MEMORY_MS).unref();
}

function handle(memory: ArrayBuffer, aside: StepAside, frame: Frame, payload: Uint8Array): void {
  if (frame.kind === FRAME.submit) submit(memory, aside, frame);
  else if (frame.kind === FRAME.cancel)
    running.find(({ sequence }) => sequence === frame.sequence)?.run.terminate();
  else if (frame.kind === FRAME.load) void load(memory, decodeJson(payload) as LoadMessage);
  else if (frame.kind === FRAME.unload) void unload((decodeJson(payload) as { model: number }).model);
}

// ── loading ──────────────────────────────────────────────────────────────────────────────────

async function load(memory: ArrayBuffer, message: LoadMessage): Promise<void> {
  const { model } = message;
  try {
    if (message.growth !== null) (await libc()).limitAddressSpace(addressSpace() + message.growth);
    if (message.folder !== null) process.chdir(message.folder);
    const served = message.wideOf === null ? await open(memory, message) : await widen(message);
    models.set(model, served);
    const { cacheHit, milliseconds, findings } = served.loaded;
    const signature = signatureToJson(served.loaded.signature);
    socket.write(encodeJson(FRAME.loaded, 0, { model, signature, cacheHit, milliseconds, findings }));
  } catch (error) {
    socket.write(encodeJson(FRAME.failed, 0, { model, error: errorToJson(toTenonError(error)) }));
  }
}

/** Bytes of address space in use. */
function addressSpace(): number {
  try {
    return Number(readFileSync("/proc/self/statm", "latin1").split(" ")[0]) * 4096;
  } catch {
    return 1 << 30;
  }
}

async function open(memory: ArrayBuffer, message: LoadMessage): Promise<Served> {
  const { source, identity, build } = message;
  const from = "path" in source ? source.path : new Uint8Array(memory, source.offset, source.bytes).slice();
  const given = { from, baseDir: message.baseDir ?? undefined, trust: message.trust };
  const { cache: at } = message;
  const cache = at === null ? undefined : await ModelCache.open(at.folder, at.maxBytes);
  if (cache === undefined) await assertSame(given, message);
  const loaded = await loadModel(given, identity, build, cache);
  return serve(loaded, loaded.session);
}

/** Without a cache a process that takes over reads the file again, which may have changed. */
async function assertSame(given: ModelSource, { identity, build }: LoadMessage): Promise<void> {
  if (!identity.hashed) return;
  const now = await sourceKey(given, build, undefined, (await ortLibrary()).version);
  if (now.key !== identity.key)
    throw new TenonError("FILE_INVALID", { problem: "the model file has changed since it was loaded" });
}

async function widen({ wideOf, threads }: LoadMessage): Promise<Served> {
  const loaded = models.get(wideOf!)?.loaded;
  const session = await loaded?.widen(threads);
  if (loaded === undefined || session === undefined)
    throw new TenonError("MODEL_UNSUPPORTED", { problem: "the model has no shared weights" });
  return serve(loaded, session);
}

function serve(loaded: Loaded, session: Session): Served {
  return {
    loaded,
    session,
    shapes: new OutputShapes(session.signature),
    pool: new BufferPool(),
    arena: new ArenaWatch(session),
    idle: [],
    leastMs: new Map(),
    sentAway: 0,
  };
}

async function unload(model: number): Promise<void> {
  const served = models.get(model);
  models.delete(model);
  if (served === undefined) return;
  for (const lane of served.idle) lane.dispose();
  repeats.forget(served.session);
  await served.session.release();
}

// ── running ──────────────────────────────────────────────────────────────────────────────────

function submit(memory: ArrayBuffer, aside: StepAside, frame: Frame): void {
  let served: Served;
  let call: ChildCall;
  try {
    const repeat = repeats.take(frame.slot);
    if (repeat !== undefined) {
      aside.called(repeat.call.head[HEAD.cpu]!);
      runAgain(models.get(repeat.call.model)!, repeat, frame);
      return;
    }
    call = new ChildCall(memory, frame.slot * REGION_UNIT, (model) => {
      served = models.get(model)!;
      return served.session.signature;
    });
  } catch (error) {
    fail(frame.sequence, toTenonError(error));
    return;
  }
  aside.called(call.head[HEAD.cpu]!);
  repeats.note(frame.slot, call, served!.session);
  run(served!, call, frame);
}

/** Exponent of a call's input bytes: calls of about the same size take about the same time. */
function sizeOf(call: ChildCall): number {
  return Math.round(Math.log2(call.inputBytes + 1));
}

/** Whether a run is done on this thread: because it is short, or to see whether it is. */
function isShort(served: Served, size: number): boolean {
  const ms = served.leastMs.get(size) ?? TRY_MS;
  return ms < INLINE_MS || (ms < TRY_MS && ++served.sentAway % TRY_EVERY === 0);
}

/** A run took this long. */
function learn(served: Served, size: number, ms: number): void {
  served.leastMs.set(size, Math.min(ms, FADING * (served.leastMs.get(size) ?? ms)));
}

function run(served: Served, call: ChildCall, { sequence }: Frame): void {
  const lane = served.idle.pop() ?? served.session.lane(served.shapes, served.pool);
  const startedAt = performance.now();
  const size = sizeOf(call);
  const shrink = served.arena.shrinkDue(startedAt);
  const batch = shrink ? { ...call.batch, shrink } : call.batch;
  const waits = running.size >= lanes;
  const underWay = { sequence, run: lane };
  running.add(underWay);
  const finish = (error: TenonError | null, outputs: Parameters<ChildCall["answer"]>[0] | null): void => {
    const endedAt = performance.now();
    running.delete(underWay);
    served.idle.push(lane);
    served.arena.ran(`${size} ${call.batch.rows}`, endedAt, shrink);
    const ms = endedAt - startedAt;
    learn(served, size, ms);
    if (error !== null || outputs === null) {
      fail(sequence, error ?? new TenonError("INTERNAL"));
      return;
    }
    try {
      call.answer(outputs, waits ? 0 : ms, (position, bytes) => stream(sequence, position, bytes));
    } catch (cause) {
      fail(sequence, toTenonError(cause));
      return;
    }
    for (const buffer of outputs.buffers) served.pool.give(buffer);
    doorbell.ring(encodeFrame(FRAME.done, 0, sequence));
  };
  if (lane.runSync === undefined || !isShort(served, size) || shrink) {
    lane.run(batch, finish);
    return;
  }
  try {
    finish(null, lane.runSync(batch));
  } catch (error) {
    finish(toTenonError(error), null);
  }
}

/** The last call at this place once more: everything is bound, and the description holds already what will be answered. */
function runAgain(served: Served, repeat: Repeat, frame: Frame): void {
  const { slot, sequence } = frame;
  const { bound, call } = repeat;
  const startedAt = performance.now();
  if (served.arena.shrinkDue(startedAt)) {
    repeats.keep(slot, repeat);
    run(served, call, frame);
    return;
  }
  const size = sizeOf(call);
  const finish = (error: TenonError | null): void => {
    running.delete(underWay);
    if (error !== null) {
      bound.dispose();
      if (isMisplanned(error)) run(served, call, frame);
      else fail(sequence, error);
      return;
    }
    const endedAt = performance.now();
    const ms = endedAt - startedAt;
    served.arena.again(endedAt);
    learn(served, size, ms);
    call.head[HEAD.runMs] = waits ? 0 : ms;
    repeats.keep(slot, repeat);
    doorbell.ring(encodeFrame(FRAME.done, 0, sequence));
  };
  const waits = running.size >= lanes;
  const underWay = { sequence, run: bound };
  running.add(underWay);
  if (!isShort(served, size)) {
    bound.run(finish);
    return;
  }
  try {
    bound.runSync();
  } catch (error) {
    finish(toTenonError(error));
    return;
  }
  finish(null);
}

function fail(sequence: number, error: TenonError): void {
  socket.write(encodeJson(FRAME.failed, 0, { sequence, error: errorToJson(error) }));
}

function stream(sequence: number, position: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    const payload = new Uint8Array(8 + piece.length);
    new Uint32Array(payload.buffer, 0, 2).set([sequence, position]);
    payload.set(piece, 8);
    socket.write(encodeFrame(FRAME.bigResult, 0, payload.length));
    socket.write(payload);
  }
}

await main();
