/** One ONNX Runtime session: created off the event loop, its signature read, released explicitly. */
import { type ErrorCode, TenonError } from "../../base/index.js";
import { dtypeFromOrt } from "../../tensor/core.js";
import type { Signature, SignatureDim, ValueSignature } from "../signature.js";
import { type OrtLibrary, type OrtStatusError, statusError } from "./library.js";
import { CStrings, Words } from "./memory.js";

/** Graph optimisation levels of ONNX Runtime. */
export const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;

export interface SessionOptions {
  /** Threads of one run (intra-op). */
  readonly threads: number;
  readonly optimization: keyof typeof OPTIMIZATION;
  /** Plan the memory of a whole run ahead (default): less to allocate, more to hold. */
  readonly memoryPattern?: boolean;
  /** Where ONNX Runtime writes the optimised model. */
  readonly optimizedModelPath?: string;
  /** `AddSessionConfigEntry` pairs beside those that are always set. */
  readonly config?: Readonly<Record<string, string>>;
  /** Execution providers before the CPU, in order of preference, by ONNX Runtime's names. */
  readonly providers?: readonly {
    readonly name: string;
    readonly options?: Readonly<Record<string, string>>;
  }[];
  /** File prefix of ONNX Runtime's own profile. */
  readonly profilePath?: string;
}

/** Spinning burns whole cores between runs; format sniffing would accept another, unchecked file format. */
const ALWAYS = {
  "session.load_model_format": "ONNX",
  "session.intra_op.allow_spinning": "0",
  "session.inter_op.allow_spinning": "0",
} as const;

export interface OrtSession {
  readonly library: OrtLibrary;
  readonly pointer: bigint;
  readonly signature: Signature;
  readonly inputNames: CStrings;
  readonly outputNames: CStrings;
  /** Bytes that the session's CPU arena holds, used or not; it never gives any back by itself. */
  arenaBytes(): number;
  /** Frees the native session, off the event loop. Runs in flight must have ended. */
  release(): Promise<void>;
}

/** Throws MODEL_INVALID, MODEL_UNSUPPORTED or ENGINE_PROVIDER. */
export async function createSession(
  library: OrtLibrary,
  source: string | Uint8Array,
  options: SessionOptions,
): Promise<OrtSession> {
  const { functions } = library;
  const out = new Words(library, 1);
  const must = mustSucceed(library);
  must(functions.CreateSessionOptions(out.address));
  const settings = out.words[0]!;
  let pointer: bigint;
  try {
    applyOptions(library, settings, options);
    pointer = await create(library, source, settings);
  } finally {
    functions.ReleaseSessionOptions(settings);
  }
  try {
    const signature = readSignature(library, pointer);
    must(functions.CreateAllocator(pointer, library.cpuMemory, out.address));
    const arena = out.words[0]!;
    return {
      library,
      pointer,
      signature,
      inputNames: new CStrings(
        library,
        signature.inputs.map((value) => value.name),
      ),
      outputNames: new CStrings(
        library,
        signature.outputs.map((value) => value.name),
      ),
      arenaBytes: () => arenaBytes(library, arena),
      release: () => {
        functions.ReleaseAllocator(arena);
        return releaseSession(library, pointer);
      },
    };
  } catch (error) {
    await releaseSession(library, pointer);
    throw error;
  }
}

function arenaBytes(library: OrtLibrary, arena: bigint): number {
  const { functions } = library;
  const out = new Words(library, 1);
  mustSucceed(library)(functions.AllocatorGetStats(arena, out.address));
  const pairs = out.words[0]!;
  try {
    return Number(functions.GetKeyValue(pairs, "TotalAllocated") ?? 0);
  } finally {
    functions.ReleaseKeyValuePairs(pairs);
  }
}

function releaseSession(library: OrtLibrary, pointer: bigint): Promise<void> {
  return new Promise((resolve, reject) => {
    library.functions.ReleaseSession.async(pointer, (error) => (error ? reject(error) : resolve()));
  });
}

function applyOptions(library: OrtLibrary, settings: bigint, options: SessionOptions): void {
  const { functions } = library;
  const must = mustSucceed(library);
  must(functions.SetIntraOpNumThreads(settings, options.threads));
  must(functions.SetInterOpNumThreads(settings, 1));
  must(functions.SetSessionLogSeverityLevel(settings, 4));
  must(functions.SetSessionGraphOptimizationLevel(settings, OPTIMIZATION[options.optimization]));
  if (options.memoryPattern === false) must(functions.DisableMemPattern(settings));
  for (const [key, value] of Object.entries({ ...ALWAYS, ...options.config })) {
    must(functions.AddSessionConfigEntry(settings, key, value));
  }
  if (options.optimizedModelPath !== undefined) {
    must(functions.SetOptimizedModelFilePath(settings, options.optimizedModelPath));
  }
  if (options.profilePath !== undefined) must(functions.EnableProfiling(settings, options.profilePath));
  for (const provider of options.providers ?? []) {
    const entries = Object.entries(provider.options ?? {});
    const keys = new CStrings(
      library,
      entries.map(([key]) => key),
    );
    const values = new CStrings(
      library,
      entries.map(([, value]) => value),
    );
    const status = functions.SessionOptionsAppendExecutionProvider(
      settings,
      provider.name,
      keys.pointers.address,
      values.pointers.address,
      entries.length,
    );
    if (status !== null) {
      throw statusError(functions, status, "ENGINE_PROVIDER", {
        problem: `the execution provider ${provider.name} is not available`,
        do: `add "cpu" to the list of providers to fall back to the CPU`,
      });
    }
  }
}

function create(library: OrtLibrary, source: string | Uint8Array, settings: bigint): Promise<bigint> {
  const { functions, env, koffi } = library;
  const out = new Words(library, 1);
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, status: bigint | null): void => {
      if (error) reject(new TenonError("INTERNAL", { cause: error }));
      else if (status !== null) reject(loadError(library, status));
      // `source` is named here so that its bytes stay alive until now.
      else resolve(source === undefined ? 0n : out.words[0]!);
    };
    if (typeof source === "string") functions.CreateSession.async(env, source, settings, out.address, done);
    else
      functions.CreateSessionFromArray.async(
        env,
        koffi.address(source),
        source.byteLength,
        settings,
        out.address,
        done,
      );
  });
}

/** What a refused load means, by ONNX Runtime's status. */
const LOAD_ERRORS: Readonly<Record<string, { code: ErrorCode; problem: string; do: string }>> = {
  INVALID_PROTOBUF: {
    code: "MODEL_INVALID",
    problem: "the model file is not valid ONNX",
    do: "check that the file is complete and was written as ONNX",
  },
  INVALID_GRAPH: {
    code: "MODEL_INVALID",
    problem: "the model's graph breaks the ONNX specification",
    do: "run tenon inspect on the file",
  },
  NO_SUCHFILE: {
    code: "FILE_NOT_FOUND",
    problem: "the model file or its external data does not exist",
    do: "check the path, and that external data files lie beside the model",
  },
  NOT_IMPLEMENTED: {
    code: "MODEL_UNSUPPORTED",
    problem: "the model uses an operator or type that this ONNX Runtime has no kernel for",
    do: "run tenon inspect on the file to see its operators and opset",
  },
  INVALID_ARGUMENT: {
    code: "MODEL_INVALID",
    problem: "ONNX Runtime refused the model",
    do: "run tenon inspect on the file",
  },
};

function loadError(library: OrtLibrary, status: bigint): TenonError {
  const error = statusError(library.functions, status, "MODEL_INVALID");
  const cause = error.cause as OrtStatusError;
  const unknownOp = /(?:is not a registered function\/op|No Op registered for (\S+))/.exec(cause.message);
  if (unknownOp !== null) {
    const op = unknownOp[1] ?? /:\s*(?:[\w.]*:)?(\w+)\(-?\d+\) is not a registered/.exec(cause.message)?.[1];
    return new TenonError("MODEL_UNSUPPORTED", {
      problem: "the model uses an operator that this ONNX Runtime does not know",
      ...(op === undefined ? {} : { given: `operator ${op}` }),
      expected: "operators of ai.onnx, ai.onnx.ml or com.microsoft in versions that this runtime has",
      do: "run tenon inspect on the file to see its operators and opset",
      cause,
    });
  }
  const row = LOAD_ERRORS[cause.status];
  if (row === undefined)
    return new TenonError("MODEL_INVALID", { problem: "ONNX Runtime could not load the model", cause });
  return new TenonError(row.code, { problem: row.problem, do: row.do, cause });
}

export function mustSucceed(library: OrtLibrary): (status: bigint | null) => void {
  return (status) => {
    if (status !== null) throw statusError(library.functions, status, "ENGINE_FAILED");
  };
}

function readSignature(library: OrtLibrary, session: bigint): Signature {
  const { functions } = library;
  const out = new Words(library, 1);
  const must = mustSucceed(library);
  must(functions.SessionGetInputCount(session, out.address));
  const inputs = Number(out.words[0]);
  must(functions.SessionGetOutputCount(session, out.address));
  const outputs = Number(out.words[0]);
  return {
    inputs: Array.from({ length: inputs }, (_, i) => readValue(library, session, "Input", i)),
    outputs: Array.from({ length: outputs }, (_, i) => readValue(library, session, "Output", i)),
  };
}

/** `ONNXType` of the C API: 1 is a tensor. */
const ONNX_TYPES = ["unknown", "tensor", "sequence", "map", "opaque", "sparse tensor", "optional"] as const;

function readValue(
  library: OrtLibrary,
  session: bigint,
  side: "Input" | "Output",
  index: number,
): ValueSignature {
  const { functions, allocator, koffi } = library;
  const out = new Words(library, 1);
  const must = mustSucceed(library);
  must(functions[`SessionGet${side}Name`](session, index, allocator, out.address));
  const namePointer = out.words[0]!;
  const name = koffi.decode.string(namePointer);
  must(functions.AllocatorFree(allocator, namePointer));

  must(functions[`SessionGet${side}TypeInfo`](session, index, out.address));
  const typeInfo = out.words[0]!;
  try {
    const kind = new Int32Array(out.words.buffer);
    must(functions.GetOnnxTypeFromTypeInfo(typeInfo, out.address));
    if (kind[0] !== 1) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `${side.toLowerCase()} "${name}" is no tensor`,
        given: `a ${ONNX_TYPES[kind[0]!] ?? "value of an unknown kind"}`,
        expected: "tensors only",
        details: { value: name },
      });
    }
    must(functions.CastTypeInfoToTensorInfo(typeInfo, out.address));
    return { name, ...readTensorType(library, out.words[0]!, name) };
  } finally {
    functions.ReleaseTypeInfo(typeInfo);
  }
}

function readTensorType(library: OrtLibrary, info: bigint, name: string): Omit<ValueSignature, "name"> {
  const { functions, koffi } = library;
  const out = new Words(library, 1);
  const must = mustSucceed(library);
  must(functions.GetTensorElementType(info, out.address));
  const code = new Int32Array(out.words.buffer)[0]!;
  const dtype = dtypeFromOrt(code);
  if (dtype === undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `"${name}" has an element type that is unknown here`,
      given: `code ${code}`,
      details: { value: name },
    });
  }
  if (!functions.TensorTypeAndShape_HasShape(info)) return { dtype, dims: undefined };
  must(functions.GetDimensionsCount(info, out.address));
  const rank = Number(out.words[0]);
  const sizes = new Words(library, rank);
  const symbols = new Words(library, rank);
  must(functions.GetDimensions(info, sizes.address, rank));
  must(functions.GetSymbolicDimensions(info, symbols.address, rank));
  const dims = Array.from({ length: rank }, (_, axis): SignatureDim => {
    const size = BigInt.asIntN(64, sizes.words[axis]!);
    if (size >= 0n) return Number(size);
    const symbol = koffi.decode.string(symbols.words[axis]!);
    return symbol === "" ? null : symbol;
  });
  return { dtype, dims };
}
