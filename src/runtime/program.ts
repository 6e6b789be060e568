/** Program: one graph whose inputs and outputs are memory of the caller, bound once and run again and again. */
import { TenonError } from "../base/index.js";
import type { OnnxModel } from "../onnx/index.js";
import type { NumericArray, Tensor } from "../tensor/index.js";
import { RunCall } from "./ort/call.js";
import { ortLibrary } from "./ort/library.js";
import { createSession, type OrtSession } from "./ort/session.js";
import type { Signature } from "./signature.js";

export interface ProgramOptions {
  /** Threads of one run; default 1. */
  readonly threads?: number;
  /** Graph optimisation by ONNX Runtime; default `extended`. */
  readonly optimization?: "none" | "basic" | "extended" | "all";
  /** Keep the threads awake between runs: faster in a loop, and whole cores are busy meanwhile. Default false. */
  readonly spin?: boolean;
}

/** Dense tensors by name; each is read or written where it lies. */
export type Bindings = Readonly<Record<string, Tensor>>;

/**
 * A session for loops over the same memory, such as training steps: no queue, no batching, no copies. Memory must not be
 * touched while a run is in flight, and must stay where it is for as long as a call is bound to it.
 */
export class Program {
  readonly signature: Signature;
  readonly #session: OrtSession;
  #disposed = false;

  private constructor(session: OrtSession) {
    this.#session = session;
    this.signature = session.signature;
  }

  /** Throws MODEL_INVALID or MODEL_UNSUPPORTED for a graph that cannot run, ENGINE_LIBRARY without ONNX Runtime. */
  static async open(model: OnnxModel, options: ProgramOptions = {}): Promise<Program> {
    const { threads = 1, optimization = "extended", spin = false } = options;
    const { preflight, refusal, writeBeside } = await import("../onnx/index.js");
    const refused = refusal(preflight(model));
    if (refused !== undefined) throw refused;
    const { bytes, folder } = writeBeside(model);
    const session = await createSession(await ortLibrary(), bytes, {
      threads,
      optimization,
      memoryPattern: false,
      config: {
        ...(spin ? { "session.intra_op.allow_spinning": "1" } : {}),
        ...(folder === undefined ? {} : { "session.model_external_initializers_file_folder_path": folder }),
      },
    });
    return new Program(session);
  }

  /**
   * A run with all inputs and the outputs that are named bound; other outputs are not computed. Calls of one program
   * may be in flight at the same time. Throws USAGE for names that are missing or unknown and for other dtypes.
   */
  bind(inputs: Bindings, outputs: Bindings): ProgramCall {
    if (this.#disposed) throw new TenonError("ENGINE_CLOSED", { problem: "the program was disposed of" });
    const call = new RunCall(this.#session);
    try {
      this.signature.inputs.forEach(({ name, dtype }, index) => {
        call.bindInput(index, dtype, bound(name, dtype, inputs[name]));
      });
      const names = Object.keys(outputs);
      const indices = names.map((name) => this.signature.outputs.findIndex((each) => each.name === name));
      names.forEach((name, i) => {
        if (indices[i] === -1) throw new TenonError("OUTPUT_UNKNOWN", { given: name });
      });
      call.select(indices);
      indices.forEach((index, position) => {
        const { name, dtype } = this.signature.outputs[index]!;
        call.bindOutput(position, dtype, bound(name, dtype, outputs[name]));
      });
    } catch (error) {
      call.dispose();
      throw error;
    }
    return new ProgramCall(call);
  }

  /** Bytes that the session's arena holds. */
  arenaBytes(): number {
    return this.#session.arenaBytes();
  }

  /** Frees the session. Its calls must have been disposed of. Safe to call twice. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#session.release();
  }
}

function bound(
  name: string,
  dtype: string,
  tensor: Tensor | undefined,
): { readonly shape: readonly number[]; readonly data: NumericArray } {
  if (tensor === undefined) throw new TenonError("INPUT_MISSING", { given: name });
  if (tensor.dtype !== dtype || dtype === "string") {
    throw new TenonError("INPUT_DTYPE", { problem: `"${name}"`, given: tensor.dtype, expected: dtype });
  }
  // Tensors that hold no strings lie in typed arrays.
  const data = tensor.data as unknown as NumericArray;
  return { shape: tensor.shape, data };
}

/** One run with its memory. One at a time. */
export class ProgramCall {
  readonly #call: RunCall;

  constructor(call: RunCall) {
    this.#call = call;
  }

  /** Runs off the event loop. Rejects with ENGINE_FAILED. */
  run(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#call.run((error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** Runs on this thread: for graphs of less than a millisecond. Throws ENGINE_FAILED. */
  runSync(): void {
    this.#call.runSync();
  }

  /** Frees the native parts; no run may be in flight. */
  dispose(): void {
    this.#call.dispose();
  }
}
