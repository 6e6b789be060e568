/** BoundRun: a run whose inputs and outputs lie at places that do not change, bound once and run any number of times. */
import type { TenonError } from "../base/index.js";
import type { NumericArray } from "../tensor/index.js";
import { type Batch, isBindable } from "./lane.js";
import { RunCall } from "./ort/call.js";
import type { OrtSession } from "./ort/session.js";

/** One run at a time. ONNX Runtime checks at each that the outputs have the shapes that they were bound with. */
export class BoundRun {
  readonly #call: RunCall;

  /** `batch` has one member, whose memory for every wanted output is given: see `canBind`. Throws ENGINE_FAILED. */
  constructor(session: OrtSession, batch: Batch) {
    const { inputs, into } = batch.members[0]!;
    this.#call = new RunCall(session);
    try {
      inputs.forEach((tensor, i) => {
        const data = tensor.data as unknown as NumericArray;
        this.#call.bindInput(i, tensor.dtype, { shape: tensor.shape, data });
      });
      this.#call.select(batch.outputs);
      batch.outputs.forEach((output, position) => {
        const tensor = into!.get(output)!;
        const data = tensor.data as unknown as NumericArray;
        this.#call.bindOutput(position, tensor.dtype, { shape: tensor.shape, data });
      });
    } catch (error) {
      this.#call.dispose();
      throw error;
    }
  }

  /** Runs on this thread. Throws ENGINE_FAILED, or CANCELLED after `terminate`. */
  runSync(): void {
    this.#call.runSync();
  }

  /** Runs on the libuv pool; `done` is called on the event loop, once. */
  run(done: (error: TenonError | null) => void): void {
    this.#call.run((error) => {
      this.#call.rearm();
      done(error);
    });
  }

  /** Asks the run in flight to stop; the next one is not concerned. */
  terminate(): void {
    this.#call.terminate();
  }

  /** Frees the native parts. No run may be in flight. */
  dispose(): void {
    this.#call.dispose();
  }
}

/** Whether a batch reads and writes nothing but dense numeric memory of its one member. */
export function canBind({ members, outputs }: Batch): boolean {
  const only = members.length === 1 ? members[0]! : undefined;
  if (only?.into === undefined) return false;
  const { inputs, into } = only;
  return (
    inputs.every(isNumeric) && outputs.every((output) => into.has(output) && isNumeric(into.get(output)!))
  );
}

function isNumeric(tensor: Parameters<typeof isBindable>[0]): boolean {
  return tensor.dtype !== "string" && isBindable(tensor);
}
