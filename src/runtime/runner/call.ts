/** RemoteCall: one batch in a region of shared memory, written for a model process and read back, every field checked. */
import { TenonError } from "../../base/index.js";
import {
  byteLengthOf,
  denseLayout,
  dtypeInfo,
  gatherInto,
  type NumericArray,
  type Storage,
  StringStorage,
  sizeOf,
  storageLengthOf,
  Tensor,
  viewStorage,
} from "../../tensor/core.js";
import type { BufferPool } from "../buffers.js";
import { type Batch, type BatchOutputs, batchShapes, isBindable } from "../lane.js";
import { type OutputPlan, OutputShapes } from "../output-shapes.js";
import type { Signature } from "../signature.js";
import { LyingProcess } from "./death.js";
import type { Region } from "./region-pool.js";

/**
 * The head of a region, in 8-byte floats: HEAD fields, then a descriptor per input and per wanted output. `cpu` is for
 * StepAside. Only the child writes `runMs`, and `rank`, `offset`, `bytes` and dims of outputs.
 */
export const HEAD = {
  sequence: 0,
  model: 1,
  rows: 2,
  shrink: 3,
  inputs: 4,
  outputs: 5,
  spareOffset: 6,
  spareBytes: 7,
  runMs: 8,
  cpu: 9,
} as const;
export const HEAD_FLOATS = 12;
/** Fields of a descriptor; `which` is ONNX Runtime's dtype code of an input, the index of an output. */
export const DESCRIPTOR = { which: 0, rank: 1, offset: 2, bytes: 3, dims: 4 } as const;
export const DESCRIPTOR_FLOATS = 12;
export const MAX_RANK = 8;
/** Rank of an output whose shape only the run can tell. */
export const UNPLANNED = -1;
/** Offset of an output whose bytes came over the socket. */
export const STREAMED = -1;

const ALIGNMENT = 64;
const align = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Room for outputs of unknown size; what does not fit comes over the socket. */
const LEAST_SPARE = 16 << 10;
const MOST_SPARE = 4 << 20;

/**
 * What a batch costs beside its run, in processor time of both processes: without it batches of tiny models would be
 * chosen too small.
 */
const WAY_MS = 0.06;

/** Bytes of an output by its position, that came over the socket. */
export type Streamed = ReadonlyMap<number, Uint8Array>;

interface Place {
  readonly shape: readonly number[];
  readonly bytes: number;
  /** From the start of the mapping, when the tensor lies there already or may be written there. */
  readonly pinned: number | undefined;
}

export class RemoteCall {
  readonly batch: Batch;
  /** Bytes of the region it needs. */
  readonly bytes: number;
  readonly #signature: Signature;
  readonly #learned: OutputShapes;
  readonly #pool: BufferPool;
  readonly #shapes: readonly (readonly number[])[];
  readonly #key: string;
  readonly #plan: OutputPlan;
  readonly #memory: ArrayBuffer;
  readonly #inputs: readonly Place[];
  readonly #outputs: readonly (Place | undefined)[];
  /** The description as it was last written, and where. */
  readonly #head: Float64Array<ArrayBuffer>;
  #writtenAt = -1;
  #copied = 0;

  /** `memory` is the mapping of the process that will run it. Throws MODEL_UNSUPPORTED for ranks above 8. */
  constructor(
    signature: Signature,
    batch: Batch,
    learned: OutputShapes,
    pool: BufferPool,
    memory: ArrayBuffer,
  ) {
    this.#signature = signature;
    this.batch = batch;
    this.#learned = learned;
    this.#pool = pool;
    this.#memory = memory;
    this.#shapes = batchShapes(batch);
    this.#key = `${OutputShapes.key(this.#shapes)}|${batch.outputs.join(",")}`;
    const only = batch.members.length === 1 ? batch.members[0]! : undefined;
    this.#inputs = signature.inputs.map((spec, i): Place => {
      const shape = this.#shapes[i]!;
      if (shape.length > MAX_RANK) throw tooManyAxes(spec.name, shape.length);
      if (spec.dtype === "string") return { shape, bytes: stringBytes(batch, i), pinned: undefined };
      const tensor = only?.inputs[i];
      const pinned = tensor === undefined ? undefined : pinnedAt(tensor, memory);
      return { shape, bytes: byteLengthOf(spec.dtype, sizeOf(shape)), pinned };
    });
    const plan = learned.plan(this.#key);
    this.#plan = plan;
    this.#outputs = batch.outputs.map((output): Place | undefined => {
      const shape = plan[output];
      if (shape === undefined || shape.length > MAX_RANK) return undefined;
      const { dtype } = signature.outputs[output]!;
      const target = only?.into?.get(output);
      const fits = target !== undefined && target.dtype === dtype && target.size === sizeOf(shape);
      return {
        shape,
        bytes: byteLengthOf(dtype, sizeOf(shape)),
        pinned: fits ? pinnedAt(target, memory) : undefined,
      };
    });
    this.#head = new Float64Array(
      HEAD_FLOATS + DESCRIPTOR_FLOATS * (this.#inputs.length + this.#outputs.length),
    );
    let bytes = align(this.#head.byteLength);
    for (const place of [...this.#inputs, ...this.#outputs])
      if (place !== undefined && place.pinned === undefined) bytes += align(place.bytes);
    if (this.#outputs.includes(undefined)) {
      const inputs = this.#inputs.reduce((sum, place) => sum + place.bytes, 0);
      bytes += Math.min(MOST_SPARE, Math.max(LEAST_SPARE, 2 * inputs));
    }
    this.bytes = bytes;
  }

  /** Whether it is also the call for this batch: the same member, whose inputs lie in the mapping and stay there. */
  serves(batch: Batch, memory: ArrayBuffer): boolean {
    return (
      this.#memory === memory &&
      batch.members.length === 1 &&
      batch.members[0] === this.batch.members[0] &&
      batch.outputs === this.batch.outputs &&
      batch.shrink === this.batch.shrink &&
      this.#inputs.every((place) => place.pinned !== undefined) &&
      this.#learned.plan(this.#key) === this.#plan
    );
  }

  /** Gathers the members' rows into the region, and describes them there; `cpu` is the core of this thread or NO_CPU. */
  write(region: Region, model: number, sequence: number, cpu: number): void {
    const head = this.#head;
    head[HEAD.sequence] = sequence;
    head[HEAD.cpu] = cpu;
    if (this.#writtenAt !== region.offset) this.#compose(region, model);
    this.#writtenAt = region.offset;
    new Float64Array(this.#memory, region.offset, head.length).set(head);
  }

  #compose(region: Region, model: number): void {
    const { batch } = this;
    const memory = this.#memory;
    const head = this.#head;
    head[HEAD.model] = model;
    head[HEAD.rows] = batch.rows;
    head[HEAD.shrink] = batch.shrink === true ? 1 : 0;
    head[HEAD.inputs] = this.#inputs.length;
    head[HEAD.outputs] = this.#outputs.length;
    let free = region.offset + align(head.byteLength);
    let at = HEAD_FLOATS;
    this.#copied = 0;
    this.#inputs.forEach((place, i) => {
      const { dtype } = this.#signature.inputs[i]!;
      const offset = place.pinned ?? free;
      describe(head, at, dtypeInfo(dtype).ort!, place.shape, offset, place.bytes);
      at += DESCRIPTOR_FLOATS;
      if (place.pinned !== undefined) return;
      free += align(place.bytes);
      this.#copied += place.bytes;
      if (dtype === "string") writeStrings(memory, offset, batch, i);
      else {
        const target = viewStorage(dtype, memory, offset, sizeOf(place.shape));
        let start = 0;
        for (const member of batch.members) {
          const tensor = member.inputs[i]!;
          const length = storageLengthOf(dtype, tensor.size);
          gatherInto(tensor, target.subarray(start, start + length) as NumericArray);
          start += length;
        }
      }
    });
    this.#outputs.forEach((place, position) => {
      const output = batch.outputs[position]!;
      if (place === undefined) {
        head[at + DESCRIPTOR.which] = output;
        head[at + DESCRIPTOR.rank] = UNPLANNED;
      } else {
        describe(head, at, output, place.shape, place.pinned ?? free, place.bytes);
        if (place.pinned === undefined) free += align(place.bytes);
      }
      at += DESCRIPTOR_FLOATS;
    });
    head[HEAD.spareOffset] = free;
    head[HEAD.spareBytes] = region.offset + region.bytes - free;
  }

  /** The outputs, in memory of their own but for pinned ones. Throws ENGINE_FAILED for a header that lies. */
  read(region: Region, streamed: Streamed): BatchOutputs {
    const shared = new Float64Array(this.#memory, region.offset, this.#head.length);
    const runMs = shared[HEAD.runMs]!;
    // Copied once: the child could change it between a check and a use.
    const head = this.#answersAsPlanned(shared) ? this.#head : shared.slice();
    const buffers: ArrayBuffer[] = [];
    const actual = this.#learned.has(this.#key) ? undefined : new Map<number, readonly number[]>();
    let copiedBytes = this.#copied;
    const first = HEAD_FLOATS + DESCRIPTOR_FLOATS * this.#inputs.length;
    const tensors = this.batch.outputs.map((output, position): Tensor => {
      const { dtype, name } = this.#signature.outputs[output]!;
      const at = first + DESCRIPTOR_FLOATS * position;
      const place = this.#outputs[position];
      const shape = head === this.#head ? place!.shape : shapeAt(head, at, name);
      const bytes = head[at + DESCRIPTOR.bytes]!;
      const offset = head[at + DESCRIPTOR.offset]!;
      actual?.set(output, shape);
      if (place?.pinned !== undefined && offset === place.pinned && sameShape(shape, place.shape)) {
        const target = this.batch.members[0]!.into!.get(output)!;
        return sameShape(target.shape, shape) ? target : target.reshape(shape);
      }
      const source = this.#bytesAt(region, offset, bytes, streamed.get(position), name);
      copiedBytes += bytes;
      if (dtype === "string") return stringsFrom(source, shape, name);
      if (bytes !== byteLengthOf(dtype, sizeOf(shape))) throw lie(name);
      const own = this.#pool.take(bytes);
      buffers.push(own);
      new Uint8Array(own).set(source);
      const data = viewStorage(dtype, own, 0, sizeOf(shape));
      return new Tensor(dtype, data as unknown as Storage, denseLayout(shape));
    });
    if (actual !== undefined) this.#learned.confirm(this.#key, this.#shapes, actual);
    return { tensors, buffers, copiedBytes, ...(runMs > 0 && runMs < 1e9 ? { runMs: runMs + WAY_MS } : {}) };
  }

  /** Whether every output was planned and the description of the outputs is still what was written. */
  #answersAsPlanned(shared: Float64Array): boolean {
    if (this.#outputs.includes(undefined)) return false;
    for (let i = HEAD_FLOATS + DESCRIPTOR_FLOATS * this.#inputs.length; i < shared.length; i++)
      if (shared[i] !== this.#head[i]) return false;
    return true;
  }

  #bytesAt(
    region: Region,
    offset: number,
    bytes: number,
    streamed: Uint8Array | undefined,
    name: string,
  ): Uint8Array {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw lie(name);
    if (offset === STREAMED) {
      if (streamed?.length !== bytes) throw lie(name);
      return streamed;
    }
    const inside =
      Number.isSafeInteger(offset) &&
      offset >= region.offset + this.#head.byteLength &&
      offset + bytes <= region.offset + region.bytes;
    if (!inside) throw lie(name);
    return new Uint8Array(this.#memory, offset, bytes);
  }
}

function describe(
  head: Float64Array,
  at: number,
  which: number,
  shape: readonly number[],
  offset: number,
  bytes: number,
): void {
  head[at + DESCRIPTOR.which] = which;
  head[at + DESCRIPTOR.rank] = shape.length;
  head[at + DESCRIPTOR.offset] = offset;
  head[at + DESCRIPTOR.bytes] = bytes;
  for (let axis = 0; axis < shape.length; axis++) head[at + DESCRIPTOR.dims + axis] = shape[axis]!;
}

function shapeAt(head: Float64Array, at: number, name: string): number[] {
  const rank = head[at + DESCRIPTOR.rank]!;
  if (!Number.isInteger(rank) || rank < 0 || rank > MAX_RANK) throw lie(name);
  const shape = Array.from(head.subarray(at + DESCRIPTOR.dims, at + DESCRIPTOR.dims + rank));
  if (!shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) throw lie(name);
  if (!Number.isSafeInteger(sizeOf(shape))) throw lie(name);
  return shape;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Where in the mapping a tensor lies; undefined when it is not a dense tensor there. */
function pinnedAt(tensor: Tensor, memory: ArrayBuffer): number | undefined {
  if (tensor.storage instanceof StringStorage || tensor.storage.buffer !== memory) return undefined;
  return isBindable(tensor) ? (tensor.data as unknown as NumericArray).byteOffset : undefined;
}

// ── strings: offsets (uint32, one more than elements), then UTF-8 bytes ─────────────────────────

function* stringParts(batch: Batch, input: number): Generator<Uint8Array> {
  for (const member of batch.members) {
    const dense = member.inputs[input]!.contiguous() as Tensor<"string">;
    for (let i = 0; i < dense.size; i++) yield dense.storage.bytesAt(dense.offset + i);
  }
}

function stringBytes(batch: Batch, input: number): number {
  let bytes = 4;
  for (const part of stringParts(batch, input)) bytes += 4 + part.length;
  return bytes;
}

function writeStrings(memory: ArrayBuffer, offset: number, batch: Batch, input: number): void {
  let count = 0;
  for (const member of batch.members) count += member.inputs[input]!.size;
  const offsets = new Uint32Array(memory, offset, count + 1);
  const bytes = new Uint8Array(memory, offset + offsets.byteLength);
  let at = 0;
  let i = 0;
  for (const part of stringParts(batch, input)) {
    bytes.set(part, at);
    at += part.length;
    offsets[++i] = at;
  }
  offsets[0] = 0;
}

function stringsFrom(source: Uint8Array, shape: readonly number[], name: string): Tensor {
  const count = sizeOf(shape);
  if (source.length < 4 * (count + 1)) throw lie(name);
  const own = new Uint8Array(source); // a copy, also of a Buffer, whose own `slice` makes none
  const offsets = new Uint32Array(own.buffer, 0, count + 1);
  const bytes = own.subarray(offsets.byteLength);
  let before = 0;
  for (const offset of offsets) {
    if (offset < before || offset > bytes.length) throw lie(name);
    before = offset;
  }
  const storage = StringStorage.fromBytes(bytes, offsets);
  return new Tensor("string", storage as unknown as Storage, denseLayout(shape)) as unknown as Tensor;
}

function tooManyAxes(name: string, rank: number): TenonError {
  return new TenonError("MODEL_UNSUPPORTED", {
    problem: `input "${name}" has too many dimensions for a model in its own process`,
    given: String(rank),
    expected: `at most ${MAX_RANK}`,
    do: 'open the engine with { isolation: "inline" }',
  });
}

function lie(name: string): TenonError {
  return new LyingProcess("ENGINE_FAILED", {
    problem: `the model's process described output "${name}" in a way that cannot be`,
  });
}
