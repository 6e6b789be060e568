/** Lane: one place for a run in flight. Gathers a batch's rows once, runs it, and splits the outputs as views. */
import { isTenonError, type TenonError, toTenonError } from "../base/index.js";
import {
  byteLengthOf,
  DTYPES,
  denseLayout,
  gatherInto,
  type NumericArray,
  type Storage,
  StringStorage,
  sizeOf,
  storageLengthOf,
  Tensor,
  viewStorage,
} from "../tensor/core.js";
import type { BufferPool } from "./buffers.js";
import { RunCall } from "./ort/call.js";
import type { OrtSession } from "./ort/session.js";
import { type OutputPlan, OutputShapes } from "./output-shapes.js";

/** One request's share of a batch. */
export interface Member {
  /** In the signature's order, checked against it. */
  readonly inputs: readonly Tensor[];
  /** Size of the batch axis; 1 for models without one. */
  readonly rows: number;
  /** Memory of the caller for some outputs, by output index. */
  readonly into: ReadonlyMap<number, Tensor> | undefined;
}

/** What runs together: members whose shapes agree but for the batch axis, and that want the same outputs. */
export interface Batch {
  readonly members: readonly Member[];
  readonly rows: number;
  /** Indices of the wanted outputs. */
  readonly outputs: readonly number[];
  /** Give unused arena memory back after this run. */
  readonly shrink?: boolean;
}

/** Whole outputs of a batch, and the buffers of theirs that may be used again once nobody reads them. */
export interface BatchOutputs {
  readonly tensors: readonly Tensor[];
  readonly buffers: readonly ArrayBuffer[];
  /** Bytes that were copied: rows gathered on the way in, outputs of unknown size on the way out. */
  readonly copiedBytes: number;
  /** Milliseconds that the run took where it ran, the least cost of the way there included. */
  readonly runMs?: number;
}

/** What one member of a batch got when the members had to be run one by one. */
export interface MemberOutcome {
  readonly error: TenonError | null;
  readonly outputs: BatchOutputs | null;
}

/** `outcomes`, one per member, stand in place of the others when the batch did not run as one. */
export type Done = (
  error: TenonError | null,
  outputs: BatchOutputs | null,
  outcomes?: readonly MemberOutcome[],
) => void;

const ALIGNMENT = 64;
const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export class Lane {
  readonly #call: RunCall;
  readonly #session: OrtSession;
  readonly #shapes: OutputShapes;
  readonly #pool: BufferPool;
  #slab = new ArrayBuffer(0);
  #running = false;
  #disposed = false;

  constructor(session: OrtSession, shapes: OutputShapes, pool: BufferPool) {
    this.#session = session;
    this.#shapes = shapes;
    this.#pool = pool;
    this.#call = new RunCall(session);
  }

  /** Indices of all outputs of the model. */
  get allOutputs(): readonly number[] {
    return this.#session.signature.outputs.map((_, i) => i);
  }

  /** Bytes of pinned input memory. */
  get slabBytes(): number {
    return this.#slab.byteLength;
  }

  /** Runs on this thread: for tiny models, where going to another thread costs more than the run. */
  runSync(batch: Batch): BatchOutputs {
    const prepared = this.#prepare(batch, true);
    try {
      this.#call.runSync();
      return this.#collect(batch, prepared);
    } catch (error) {
      if (!this.#maybeMisplanned(error, prepared)) throw error;
      this.#call.reset();
      const unplanned = this.#prepare(batch, false);
      this.#call.runSync();
      this.#shapes.refute();
      return this.#collect(batch, unplanned);
    } finally {
      this.#call.reset();
    }
  }

  /** Runs on the libuv pool; `done` is called on the event loop, once. The lane is free again when it is. */
  run(batch: Batch, done: Done): void {
    let prepared: Prepared;
    try {
      prepared = this.#prepare(batch, true);
    } catch (error) {
      this.#call.reset();
      done(toTenonError(error), null);
      return;
    }
    this.#running = true;
    this.#call.run((error) => {
      if (error !== null && this.#maybeMisplanned(error, prepared)) this.#runUnplanned(batch, done);
      else this.#finish(batch, prepared, error, done);
    }, batch.shrink);
  }

  #runUnplanned(batch: Batch, done: Done): void {
    this.#call.reset();
    const prepared = this.#prepare(batch, false);
    this.#call.run((error) => {
      if (error === null) this.#shapes.refute();
      this.#finish(batch, prepared, error, done);
    });
  }

  #finish(batch: Batch, prepared: Prepared, error: TenonError | null, done: Done): void {
    let outputs: BatchOutputs | null = null;
    if (error === null) {
      try {
        outputs = this.#collect(batch, prepared);
      } catch (cause) {
        error = toTenonError(cause);
      }
    }
    this.#call.reset();
    this.#running = false;
    if (this.#disposed) this.#free();
    done(error, outputs);
  }

  /** Asks the run in flight to stop. */
  terminate(): void {
    this.#call.terminate();
  }

  /** Gives the pinned input memory back to the garbage collector. */
  shrinkSlab(): void {
    this.#slab = new ArrayBuffer(0);
  }

  /** Frees the lane, after the run in flight if there is one: nobody may wait for it any more, but it goes on. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#running) this.#free();
  }

  #free(): void {
    this.#call.dispose();
    this.#slab = new ArrayBuffer(0);
  }

  #prepare(batch: Batch, planned: boolean): Prepared {
    const { inputs: specs, outputs: outputSpecs } = this.#session.signature;
    const shapes = batchShapes(batch);
    this.#reserve(batch, shapes);
    let offset = 0;
    let copiedBytes = 0;
    for (let i = 0; i < specs.length; i++) {
      const { dtype } = specs[i]!;
      const shape = shapes[i]!;
      if (dtype === "string") {
        this.#call.bindStrings(
          i,
          shape,
          batch.members.map((member) => member.inputs[i]!),
        );
        continue;
      }
      const only = batch.members.length === 1 ? batch.members[0]!.inputs[i]! : undefined;
      if (only !== undefined && isBindable(only)) {
        this.#call.bindInput(i, dtype, { shape, data: only.data as unknown as NumericArray });
        continue;
      }
      const size = sizeOf(shape);
      const region = viewStorage(dtype, this.#slab, offset, size);
      offset += align(region.byteLength);
      copiedBytes += region.byteLength;
      let at = 0;
      for (const member of batch.members) {
        const tensor = member.inputs[i]!;
        const length = storageLengthOf(dtype, tensor.size);
        gatherInto(tensor, region.subarray(at, at + length) as NumericArray);
        at += length;
      }
      this.#call.bindInput(i, dtype, { shape, data: region });
    }

    this.#call.select(batch.outputs);
    const key = `${OutputShapes.key(shapes)}|${batch.outputs.join(",")}`;
    const plan = planned ? this.#shapes.plan(key) : [];
    const into = batch.members.length === 1 ? batch.members[0]!.into : undefined;
    const data: (NumericArray | undefined)[] = [];
    const targets: (Tensor | undefined)[] = [];
    const buffers: ArrayBuffer[] = [];
    batch.outputs.forEach((output, position) => {
      const shape = plan[output];
      if (shape === undefined) {
        data.push(undefined);
        targets.push(undefined);
        return;
      }
      const { dtype } = outputSpecs[output]!;
      const given = into?.get(output);
      const fits =
        given !== undefined && given.dtype === dtype && given.size === sizeOf(shape) && isBindable(given);
      let target: NumericArray;
      if (fits) {
        target = given.data as unknown as NumericArray;
      } else {
        const buffer = this.#pool.take(byteLengthOf(dtype, sizeOf(shape)));
        buffers.push(buffer);
        target = viewStorage(dtype, buffer, 0, sizeOf(shape));
      }
      data.push(target);
      targets.push(fits ? given : undefined);
      this.#call.bindOutput(position, dtype, { shape, data: target });
    });
    return { key, shapes, plan, data, targets, buffers, copiedBytes };
  }

  #reserve(batch: Batch, shapes: readonly (readonly number[])[]): void {
    let bytes = 0;
    this.#session.signature.inputs.forEach(({ dtype }, i) => {
      const bound =
        batch.members.length === 1 && dtype !== "string" && isBindable(batch.members[0]!.inputs[i]!);
      if (!bound) bytes += align(byteLengthOf(dtype, sizeOf(shapes[i]!)));
    });
    if (bytes > this.#slab.byteLength)
      this.#slab = new ArrayBuffer(Math.max(bytes, 2 * this.#slab.byteLength));
  }

  #collect(batch: Batch, prepared: Prepared): BatchOutputs {
    const { outputs: specs } = this.#session.signature;
    const actual = this.#shapes.has(prepared.key) ? undefined : new Map<number, readonly number[]>();
    let { copiedBytes } = prepared;
    const tensors = batch.outputs.map((output, position) => {
      const { dtype } = specs[output]!;
      const data = prepared.data[position];
      if (data !== undefined) {
        const shape = prepared.plan[output]!;
        return (
          prepared.targets[position]?.reshape(shape) ??
          new Tensor(dtype, data as unknown as Storage, denseLayout(shape))
        );
      }
      const taken = this.#call.takeOutput(position);
      actual?.set(output, taken.shape);
      copiedBytes +=
        taken.data instanceof StringStorage ? taken.data.encoded().bytes.length : taken.data.byteLength;
      const storage =
        taken.data instanceof StringStorage
          ? taken.data
          : viewStorage(taken.dtype, taken.data, 0, sizeOf(taken.shape));
      return new Tensor(taken.dtype, storage as unknown as Storage, denseLayout(taken.shape));
    });
    if (actual !== undefined) this.#shapes.confirm(prepared.key, prepared.shapes, actual);
    return { tensors, buffers: prepared.buffers, copiedBytes };
  }

  #maybeMisplanned(error: unknown, prepared: Prepared): boolean {
    return prepared.data.some((data) => data !== undefined) && isMisplanned(error);
  }
}

/** Whether an error may be ONNX Runtime's refusal of an output's memory, which has another shape than it computes. */
export function isMisplanned(error: unknown): boolean {
  return isTenonError(error, "ENGINE_FAILED") && error.details.ort === "INVALID_ARGUMENT";
}

interface Prepared {
  readonly key: string;
  readonly shapes: readonly (readonly number[])[];
  readonly plan: OutputPlan;
  /** Memory of each wanted output; undefined where ONNX Runtime allocates. */
  readonly data: readonly (NumericArray | undefined)[];
  /** The caller's tensor, where that memory is the caller's. */
  readonly targets: readonly (Tensor | undefined)[];
  readonly buffers: readonly ArrayBuffer[];
  readonly copiedBytes: number;
}

/** True when a tensor's own memory can be handed to ONNX Runtime. */
export function isBindable(tensor: Tensor): boolean {
  return tensor.isDense && (tensor.offset * DTYPES[tensor.dtype].bits) % 8 === 0;
}

/** Shapes of a batch's inputs, its members' rows together. */
export function batchShapes(batch: Batch): readonly (readonly number[])[] {
  const first = batch.members[0]!.inputs;
  if (batch.members.length === 1) return first.map((tensor) => tensor.shape);
  return first.map((tensor) => [batch.rows, ...tensor.shape.slice(1)]);
}

/** One member's rows of a batch's outputs, as views. */
export function rowsOf(outputs: readonly Tensor[], start: number, count: number): Tensor[] {
  return outputs.map((tensor) => {
    const row = tensor.shape.length === 0 ? 0 : tensor.strides[0]!;
    return new Tensor(tensor.dtype, tensor.storage, {
      shape: [count, ...tensor.shape.slice(1)],
      strides: tensor.strides,
      offset: tensor.offset + start * row,
    });
  });
}
