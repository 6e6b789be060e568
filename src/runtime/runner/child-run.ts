/** What a model process does with one call in shared memory: tensors over the region in, outputs into the region out. */
import { TenonError } from "../../base/index.js";
import {
  denseLayout,
  dtypeFromOrt,
  type NumericArray,
  type Storage,
  StringStorage,
  sizeOf,
  Tensor,
  viewStorage,
} from "../../tensor/core.js";
import type { Batch, BatchOutputs } from "../lane.js";
import type { Signature } from "../signature.js";
import { DESCRIPTOR, DESCRIPTOR_FLOATS, HEAD, HEAD_FLOATS, MAX_RANK, STREAMED, UNPLANNED } from "./call.js";

/** Sends output `position` over the socket, since it does not fit the region. */
export type Stream = (position: number, bytes: Uint8Array) => void;

/** A call as it stands in a region. */
export class ChildCall {
  readonly sequence: number;
  readonly model: number;
  readonly batch: Batch;
  /** Bytes of all inputs. */
  readonly inputBytes: number;
  readonly #memory: ArrayBuffer;
  /** The call's description in the region; the parent writes the next one there. */
  readonly head: Float64Array;
  readonly #firstOutput: number;

  constructor(memory: ArrayBuffer, offset: number, signatureOf: (model: number) => Signature) {
    this.#memory = memory;
    const start = new Float64Array(memory, offset, HEAD_FLOATS);
    const [inputs, outputs] = [start[HEAD.inputs]!, start[HEAD.outputs]!];
    const head = new Float64Array(memory, offset, HEAD_FLOATS + DESCRIPTOR_FLOATS * (inputs + outputs));
    this.head = head;
    this.#firstOutput = HEAD_FLOATS + DESCRIPTOR_FLOATS * inputs;
    this.sequence = head[HEAD.sequence]!;
    this.model = head[HEAD.model]!;
    const signature = signatureOf(this.model);
    let inputBytes = 0;
    const tensors = signature.inputs.map((_, i) => {
      const at = HEAD_FLOATS + DESCRIPTOR_FLOATS * i;
      inputBytes += head[at + DESCRIPTOR.bytes]!;
      return this.#input(at);
    });
    const wanted: number[] = [];
    const into = new Map<number, Tensor>();
    for (let position = 0; position < outputs; position++) {
      const at = this.#firstOutput + DESCRIPTOR_FLOATS * position;
      const output = head[at + DESCRIPTOR.which]!;
      wanted.push(output);
      if (head[at + DESCRIPTOR.rank] === UNPLANNED) continue;
      const { dtype } = signature.outputs[output]!;
      const shape = this.#shape(at);
      const data = viewStorage(dtype, memory, head[at + DESCRIPTOR.offset]!, sizeOf(shape));
      into.set(output, new Tensor(dtype, data as unknown as Storage, denseLayout(shape)));
    }
    this.inputBytes = inputBytes;
    const rows = head[HEAD.rows]!;
    const members = [{ inputs: tensors, rows, into }];
    this.batch = { members, rows, outputs: wanted, shrink: head[HEAD.shrink] === 1 };
  }

  #shape(at: number): number[] {
    const dims = at + DESCRIPTOR.dims;
    return Array.from(this.head.subarray(dims, dims + this.head[at + DESCRIPTOR.rank]!));
  }

  #input(at: number): Tensor {
    const dtype = dtypeFromOrt(this.head[at + DESCRIPTOR.which]!)!;
    const shape = this.#shape(at);
    const offset = this.head[at + DESCRIPTOR.offset]!;
    if (dtype !== "string") {
      const data = viewStorage(dtype, this.#memory, offset, sizeOf(shape));
      return new Tensor(dtype, data as unknown as Storage, denseLayout(shape));
    }
    const offsets = new Uint32Array(this.#memory, offset, sizeOf(shape) + 1);
    const length = this.head[at + DESCRIPTOR.bytes]! - offsets.byteLength;
    const bytes = new Uint8Array(this.#memory, offset + offsets.byteLength, length);
    const storage = StringStorage.fromBytes(bytes, offsets);
    return new Tensor("string", storage as unknown as Storage, denseLayout(shape)) as unknown as Tensor;
  }

  /** Writes the outputs into the region, or streams those that do not fit. */
  answer(outputs: BatchOutputs, runMs: number, stream: Stream): void {
    const head = this.head;
    head[HEAD.runMs] = runMs;
    let free = head[HEAD.spareOffset]!;
    const end = free + head[HEAD.spareBytes]!;
    outputs.tensors.forEach((tensor, position) => {
      const at = this.#firstOutput + DESCRIPTOR_FLOATS * position;
      const planned = head[at + DESCRIPTOR.rank] !== UNPLANNED;
      const { shape } = tensor;
      if (shape.length > MAX_RANK) throw tooManyAxes(position, shape.length);
      head[at + DESCRIPTOR.rank] = shape.length;
      for (let axis = 0; axis < shape.length; axis++) head[at + DESCRIPTOR.dims + axis] = shape[axis]!;
      const parts = blocksOf(tensor);
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      const place = head[at + DESCRIPTOR.offset]!;
      const isThere = planned && parts[0]!.buffer === this.#memory && parts[0]!.byteOffset === place;
      if (isThere) return;
      const fitsPlace = planned && bytes <= head[at + DESCRIPTOR.bytes]!;
      head[at + DESCRIPTOR.bytes] = bytes;
      if (!fitsPlace && free + bytes > end) {
        head[at + DESCRIPTOR.offset] = STREAMED;
        for (const part of parts) stream(position, part);
        return;
      }
      const target = fitsPlace ? place : free;
      head[at + DESCRIPTOR.offset] = target;
      let to = target;
      for (const part of parts) {
        new Uint8Array(this.#memory, to, part.length).set(part);
        to += part.length;
      }
      if (!fitsPlace) free = Math.ceil(to / 64) * 64;
    });
  }
}

/** A dense tensor's bytes; of strings, their offsets and then their bytes. */
function blocksOf(tensor: Tensor): readonly Uint8Array[] {
  if (tensor.storage instanceof StringStorage) {
    const { bytes, offsets } = tensor.storage.encoded();
    return [new Uint8Array(offsets.buffer, offsets.byteOffset, offsets.byteLength), bytes];
  }
  const data = tensor.data as unknown as NumericArray;
  return [new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)];
}

function tooManyAxes(position: number, rank: number): TenonError {
  return new TenonError("MODEL_UNSUPPORTED", {
    problem: `output ${position} has too many dimensions for a model in its own process`,
    given: String(rank),
    expected: `at most ${MAX_RANK}`,
  });
}
