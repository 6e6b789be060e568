/** Session: a loaded model that can run, in this process or in one of its own, and the lanes that run on it. */
import type { TenonError } from "../base/index.js";
import { BoundRun } from "./bound-run.js";
import type { BufferPool } from "./buffers.js";
import { type Batch, type BatchOutputs, type Done, Lane, type Member } from "./lane.js";
import type { OrtSession } from "./ort/session.js";
import type { OutputShapes } from "./output-shapes.js";
import type { Signature } from "./signature.js";

/** One place for a run in flight. */
export interface RunLane {
  /** Indices of all outputs of the model. */
  readonly allOutputs: readonly number[];
  /** Runs on this thread; absent where the model is in another process. */
  runSync?(batch: Batch): BatchOutputs;
  /** `done` is called on the event loop, once. The lane is free again when it is. */
  run(batch: Batch, done: Done): void;
  /** Asks the run in flight to stop. */
  terminate(): void;
  /** Memory that runs of this lane read and write without a copy; absent where any memory is. */
  pin?(bytes: number): { readonly buffer: ArrayBuffer; readonly offset: number } | undefined;
  /** Gives the pinned input memory back to the garbage collector. */
  shrinkSlab(): void;
  dispose(): void;
}

export interface Session {
  readonly signature: Signature;
  /** Process of its own that runs it now. */
  readonly pid?: number | undefined;
  lane(shapes: OutputShapes, pool: BufferPool): RunLane;
  /** A run to repeat over a batch's own memory (see `canBind`); absent where the model is in another process. */
  bind?(batch: Batch): BoundRun;
  /** Why a request is refused before it is queued; undefined when it is not. */
  refuse?(member: Member): TenonError | undefined;
  /** Bytes that the session's arena holds in this process, used or not. */
  arenaBytes(): number;
  /** Frees the session. Its runs must have ended. */
  release(): Promise<void>;
}

/** A session of ONNX Runtime in this process; `released` is called when it is freed. */
export function inlineSession(session: OrtSession, signature: Signature, released: () => void): Session {
  return {
    signature,
    lane: (shapes, pool) => new Lane(session, shapes, pool),
    bind: (batch) => new BoundRun(session, batch),
    arenaBytes: () => session.arenaBytes(),
    release: () => session.release().then(released),
  };
}
