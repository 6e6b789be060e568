/** Lease: pinned memory of a lane of one's own; inputs are written and outputs read in place, nothing is copied. */
import { TenonError } from "../base/index.js";
import {
  byteLengthOf,
  denseLayout,
  type Storage,
  sizeOf,
  Tensor,
  viewStorage,
  zeros,
} from "../tensor/core.js";
import { BufferPool } from "./buffers.js";
import type { Member } from "./lane.js";
import { OutputShapes } from "./output-shapes.js";
import type { Outputs } from "./outputs.js";
import type { RunLane, Session } from "./session.js";
import type { Signature, ValueSignature } from "./signature.js";

export interface LeaseRunOptions {
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
  readonly priority?: number;
}

export interface LeaseRequest {
  readonly session: Session;
  readonly signature: Signature;
  readonly rows: number;
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  submit(member: Member, lane: RunLane, options: LeaseRunOptions): Promise<Outputs>;
  register(lease: Lease): void;
  released(lease: Lease): void;
}

const ALIGNMENT = 64;

export class Lease {
  /** Views of the pinned memory to write into; zero at first. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Views of the pinned memory to read from after `run`; valid until `release`. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly #request: LeaseRequest;
  readonly #lane: RunLane;
  readonly #member: Member;
  #running: Promise<Outputs> | undefined;
  #released = false;

  private constructor(
    request: LeaseRequest,
    lane: RunLane,
    inputs: readonly Tensor[],
    outputs: readonly Tensor[],
  ) {
    this.#request = request;
    this.#lane = lane;
    this.inputs = Object.fromEntries(request.signature.inputs.map((spec, i) => [spec.name, inputs[i]!]));
    this.outputs = Object.fromEntries(request.signature.outputs.map((spec, i) => [spec.name, outputs[i]!]));
    this.#member = { inputs, rows: request.rows, into: new Map(outputs.map((tensor, i) => [i, tensor])) };
    request.register(this);
  }

  /** Runs once on zeros, which shows the outputs' true shapes, then pins memory for them. */
  static async open(request: LeaseRequest): Promise<Lease> {
    const { session, signature, rows } = request;
    if (!Number.isInteger(rows) || rows < 1) {
      throw new TenonError("INPUT_BATCH", {
        given: String(rows),
        expected: "a positive number of rows to lease",
      });
    }
    const inputShapes = signature.inputs.map((spec) => leasedShape(spec, rows, request.shapes?.[spec.name]));
    const lane = session.lane(new OutputShapes(session.signature), new BufferPool(0));
    try {
      const inputs = pinned(lane, signature.inputs, inputShapes);
      const first = await request.submit({ inputs, rows, into: undefined }, lane, {});
      const shapes = signature.outputs.map((spec) => first[spec.name]!.shape);
      return new Lease(request, lane, inputs, pinned(lane, signature.outputs, shapes));
    } catch (error) {
      lane.dispose();
      throw error;
    }
  }

  /** Runs on what `inputs` holds and fills `outputs`. One run at a time. Rejects like `model.run`. */
  async run(options: LeaseRunOptions = {}): Promise<void> {
    if (this.#released) throw new TenonError("ENGINE_CLOSED", { problem: "the lease was released" });
    if (this.#running !== undefined) {
      throw new TenonError("USAGE", {
        problem: "the lease is already running",
        do: "await the run before the next one, or take a second lease",
      });
    }
    this.#running = this.#request.submit(this.#member, this.#lane, options);
    try {
      await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  /** Gives the lane back, after a run in flight has ended. The views must not be used any more. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#request.released(this);
    const dispose = (): void => this.#lane.dispose();
    if (this.#running === undefined) dispose();
    else this.#running.then(dispose, dispose);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function leasedShape(
  spec: ValueSignature,
  rows: number,
  given: readonly number[] | undefined,
): readonly number[] {
  const shape = given ?? spec.dims?.map((dim, axis) => (axis === 0 && typeof dim !== "number" ? rows : dim));
  if (spec.dtype === "string" || shape === undefined || shape.some((dim) => typeof dim !== "number")) {
    throw new TenonError("INPUT_SHAPE", {
      problem: `the size of input "${spec.name}" is not known`,
      given:
        spec.dims === undefined
          ? "no declared rank"
          : `${spec.dtype} [${spec.dims.map((dim) => dim ?? "?").join(", ")}]`,
      expected: "a numeric tensor whose dimensions, but for the leading one, are fixed",
      do: `pass { shapes: { "${spec.name}": [...] } } to lease`,
    });
  }
  return shape as readonly number[];
}

/** Dense tensors side by side in one zeroed block of memory, 64-byte aligned to each other. */
function pinned(
  lane: RunLane,
  specs: readonly ValueSignature[],
  shapes: readonly (readonly number[])[],
): Tensor[] {
  const offsets: number[] = [];
  let total = 0;
  specs.forEach(({ dtype }, i) => {
    offsets.push(total);
    total += Math.ceil(byteLengthOf(dtype, sizeOf(shapes[i]!)) / ALIGNMENT) * ALIGNMENT;
  });
  const { buffer, offset } = lane.pin?.(total) ?? { buffer: new ArrayBuffer(total), offset: 0 };
  return specs.map(({ dtype }, i) => {
    const shape = shapes[i]!;
    if (dtype === "string") return zeros(dtype, shape);
    return new Tensor(
      dtype,
      viewStorage(dtype, buffer, offset + offsets[i]!, sizeOf(shape)) as unknown as Storage,
      denseLayout(shape),
    );
  });
}
