/** RunCall: everything one run in flight needs natively (values, names, run options), reusable run after run. */
import { TenonError } from "../../base/index.js";
import {
  byteLengthOf,
  type DType,
  dtypeFromOrt,
  dtypeInfo,
  type NumericArray,
  StringStorage,
  type Tensor,
} from "../../tensor/core.js";
import { type OrtLibrary, type OrtStatusError, statusError } from "./library.js";
import { Words } from "./memory.js";
import { mustSucceed, type OrtSession } from "./session.js";

/** Memory that holds a dense tensor, and its shape. */
export interface Bound {
  readonly shape: readonly number[];
  readonly data: NumericArray;
}

/** An output that ONNX Runtime allocated, copied out. */
export interface Taken {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayBuffer | StringStorage;
}

/** Not thread-safe: one run at a time. `reset` before the next run, `dispose` at the end. */
export class RunCall {
  readonly #library: OrtLibrary;
  readonly #session: OrtSession;
  readonly #inputCount: number;
  readonly #outputCount: number;
  /** Pointers of input values, then of output values. */
  readonly #values: Words;
  readonly #outputNames: Words;
  readonly #out: Words;
  #dims: Words;
  readonly #runOptions: bigint;
  #shrinkOptions = 0n;
  #wanted: readonly number[];
  /** JavaScript memory that the values point to; held until `reset`. */
  readonly #held: unknown[] = [];
  #terminated = false;

  constructor(session: OrtSession) {
    this.#library = session.library;
    this.#session = session;
    this.#inputCount = session.signature.inputs.length;
    this.#outputCount = session.signature.outputs.length;
    this.#values = new Words(this.#library, this.#inputCount + this.#outputCount);
    this.#outputNames = new Words(this.#library, this.#outputCount);
    this.#out = new Words(this.#library, 1);
    this.#dims = new Words(this.#library, 8);
    this.#runOptions = this.#createRunOptions();
    this.#wanted = session.signature.outputs.map((_, i) => i);
    this.#selectNames();
  }

  #createRunOptions(): bigint {
    mustSucceed(this.#library)(this.#library.functions.CreateRunOptions(this.#out.address));
    return this.#out.words[0]!;
  }

  /** Which outputs the next run computes, by index. */
  select(outputs: readonly number[]): void {
    if (outputs === this.#wanted) return;
    this.#wanted = outputs;
    this.#selectNames();
  }

  #selectNames(): void {
    const names = this.#session.outputNames.pointers.words;
    this.#wanted.forEach((output, i) => {
      this.#outputNames.words[i] = names[output]!;
    });
  }

  /** Input `index` reads this memory during the run. */
  bindInput(index: number, dtype: DType, bound: Bound): void {
    this.#values.words[index] = this.#valueOver(dtype, bound);
  }

  /** Input `index` is a string tensor: the elements of `parts`, one after the other. */
  bindStrings(index: number, shape: readonly number[], parts: readonly Tensor[]): void {
    const { functions, allocator, koffi } = this.#library;
    const must = mustSucceed(this.#library);
    const dims = this.#writeDims(shape);
    must(
      functions.CreateTensorAsOrtValue(
        allocator,
        dims,
        shape.length,
        dtypeInfo("string").ort!,
        this.#out.address,
      ),
    );
    const value = this.#out.words[0]!;
    this.#values.words[index] = value;
    let at = 0;
    for (const part of parts) {
      const dense = part.contiguous() as Tensor<"string">;
      for (let i = 0; i < dense.size; i++) {
        const bytes = dense.storage.bytesAt(dense.offset + i);
        must(functions.GetResizedStringTensorElementBuffer(value, at++, bytes.length, this.#out.address));
        if (bytes.length > 0) new Uint8Array(koffi.view(this.#out.words[0]!, bytes.length)).set(bytes);
      }
    }
  }

  /** The `position`-th selected output is written into this memory, which must have exactly the computed shape. */
  bindOutput(position: number, dtype: DType, bound: Bound): void {
    this.#values.words[this.#inputCount + position] = this.#valueOver(dtype, bound);
  }

  #valueOver(dtype: DType, bound: Bound): bigint {
    const { functions, cpuMemory, koffi } = this.#library;
    const dims = this.#writeDims(bound.shape);
    const status = functions.CreateTensorWithDataAsOrtValue(
      cpuMemory,
      bound.data.byteLength === 0 ? this.#out.address : koffi.address(bound.data),
      bound.data.byteLength,
      dims,
      bound.shape.length,
      dtypeInfo(dtype).ort!,
      this.#out.address,
    );
    if (status !== null) throw statusError(functions, status, "ENGINE_FAILED");
    this.#held.push(bound.data);
    return this.#out.words[0]!;
  }

  #writeDims(shape: readonly number[]): bigint {
    if (shape.length > this.#dims.words.length) this.#dims = new Words(this.#library, shape.length);
    for (let axis = 0; axis < shape.length; axis++) this.#dims.words[axis] = BigInt(shape[axis]!);
    return this.#dims.address;
  }

  /** Runs on this thread. Throws ENGINE_FAILED, or CANCELLED after `terminate`. */
  runSync(): void {
    const session = this.#session;
    const status = this.#library.functions.Run(
      session.pointer,
      this.#runOptions,
      session.inputNames.pointers.address,
      this.#values.address,
      this.#inputCount,
      this.#outputNames.address,
      this.#wanted.length,
      this.#values.address + BigInt(this.#inputCount * 8),
    );
    if (status !== null) throw this.#runError(status);
  }

  /** Runs on the libuv pool; `done` is called on the event loop, once. `shrink` gives unused arena memory back. */
  run(done: (error: TenonError | null) => void, shrink = false): void {
    const session = this.#session;
    this.#library.functions.Run.async(
      session.pointer,
      shrink ? this.#withShrink() : this.#runOptions,
      session.inputNames.pointers.address,
      this.#values.address,
      this.#inputCount,
      this.#outputNames.address,
      this.#wanted.length,
      this.#values.address + BigInt(this.#inputCount * 8),
      (error, status) => {
        if (error !== null) done(new TenonError("INTERNAL", { cause: error }));
        else done(status === null ? null : this.#runError(status));
      },
    );
  }

  #withShrink(): bigint {
    if (this.#shrinkOptions === 0n) {
      this.#shrinkOptions = this.#createRunOptions();
      mustSucceed(this.#library)(
        this.#library.functions.AddRunConfigEntry(
          this.#shrinkOptions,
          "memory.enable_memory_arena_shrinkage",
          "cpu:0",
        ),
      );
    }
    return this.#shrinkOptions;
  }

  #runError(status: bigint): TenonError {
    if (!this.#terminated) return runError(this.#library, status);
    this.#library.functions.ReleaseStatus(status);
    return new TenonError("CANCELLED", { problem: "the run was terminated" });
  }

  /** Asks the run in flight to stop; it does so between two nodes. */
  terminate(): void {
    this.#terminated = true;
    const must = mustSucceed(this.#library);
    must(this.#library.functions.RunOptionsSetTerminate(this.#runOptions));
    if (this.#shrinkOptions !== 0n) must(this.#library.functions.RunOptionsSetTerminate(this.#shrinkOptions));
  }

  /** The `position`-th selected output of the finished run, which ONNX Runtime allocated. Copies. */
  takeOutput(position: number): Taken {
    const { functions, koffi } = this.#library;
    const must = mustSucceed(this.#library);
    const value = this.#values.words[this.#inputCount + position]!;
    must(functions.GetTensorTypeAndShape(value, this.#out.address));
    const info = this.#out.words[0]!;
    let shape: number[];
    let dtype: DType;
    try {
      must(functions.GetTensorElementType(info, this.#out.address));
      dtype = dtypeFromOrt(new Int32Array(this.#out.words.buffer)[0]!)!;
      must(functions.GetDimensionsCount(info, this.#out.address));
      const rank = Number(this.#out.words[0]);
      const sizes = new Words(this.#library, rank);
      must(functions.GetDimensions(info, sizes.address, rank));
      shape = Array.from({ length: rank }, (_, axis) => Number(sizes.words[axis]));
    } finally {
      functions.ReleaseTensorTypeAndShapeInfo(info);
    }
    const elements = shape.reduce((product, dim) => product * dim, 1);
    if (dtype === "string") return { dtype, shape, data: this.#takeStrings(value, elements) };
    const bytes = byteLengthOf(dtype, elements);
    if (bytes === 0) return { dtype, shape, data: new ArrayBuffer(0) };
    must(functions.GetTensorMutableData(value, this.#out.address));
    return { dtype, shape, data: koffi.view(this.#out.words[0]!, bytes).slice(0) };
  }

  #takeStrings(value: bigint, elements: number): StringStorage {
    const { functions, koffi } = this.#library;
    const must = mustSucceed(this.#library);
    must(functions.GetStringTensorDataLength(value, this.#out.address));
    const length = Number(this.#out.words[0]);
    const bytes = new Uint8Array(new ArrayBuffer(Math.max(length, 1)));
    const starts = new Words(this.#library, elements);
    must(functions.GetStringTensorContent(value, koffi.address(bytes), length, starts.address, elements));
    const offsets = new Uint32Array(elements + 1);
    for (let i = 0; i < elements; i++) offsets[i] = Number(starts.words[i]);
    offsets[elements] = length;
    return StringStorage.fromBytes(bytes.subarray(0, length), offsets);
  }

  /** Releases all values of the last run, and the terminate flag. */
  reset(): void {
    const { functions } = this.#library;
    const { words } = this.#values;
    for (let i = 0; i < words.length; i++) {
      if (words[i] === 0n) continue;
      functions.ReleaseValue(words[i]!);
      words[i] = 0n;
    }
    this.#held.length = 0;
    this.rearm();
  }

  /** Releases the terminate flag, which may have come too late for the run that it was meant for. */
  rearm(): void {
    if (!this.#terminated) return;
    this.#terminated = false;
    const { functions } = this.#library;
    const must = mustSucceed(this.#library);
    must(functions.RunOptionsUnsetTerminate(this.#runOptions));
    if (this.#shrinkOptions !== 0n) must(functions.RunOptionsUnsetTerminate(this.#shrinkOptions));
  }

  /** Frees the native parts. No run may be in flight. */
  dispose(): void {
    this.reset();
    this.#library.functions.ReleaseRunOptions(this.#runOptions);
    if (this.#shrinkOptions !== 0n) this.#library.functions.ReleaseRunOptions(this.#shrinkOptions);
  }
}

function runError(library: OrtLibrary, status: bigint): TenonError {
  const error = statusError(library.functions, status, "ENGINE_FAILED");
  const cause = error.cause as OrtStatusError;
  const node = /running (\w+) node\. Name:'([^']*)'/.exec(cause.message);
  return new TenonError("ENGINE_FAILED", {
    problem:
      node === null ? "the model could not run on this input" : `the model failed in a ${node[1]} node`,
    do: "check that the input's values and sizes fit the model (its free dimensions included)",
    details: { ort: cause.status },
    cause,
  });
}
