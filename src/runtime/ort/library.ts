/** Finds, loads and proves the ONNX Runtime shared library, once per process. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { TenonError } from "../../base/index.js";
import {
  FUNCTIONS,
  type FunctionName,
  type FunctionRow,
  type Kind,
  type OrtFunctions,
  type ResultTypes,
} from "./functions.js";
import { type Koffi, loadKoffi } from "./koffi.js";

/** API version asked for: the slots of `functions.ts` exist from it on. */
const API_VERSION = 24;
const OLDEST_LIBRARY = "1.24";

/** Log level FATAL: at lower levels failing runs print native source lines to stderr. */
const LOG_LEVEL_FATAL = 4;

/** What one loaded library offers. Lives until the process ends: unloading it would crash. */
export interface OrtLibrary {
  /** Version that the library reports, such as 1.30.0. */
  readonly version: string;
  readonly file: string;
  readonly functions: OrtFunctions;
  readonly env: bigint;
  readonly cpuMemory: bigint;
  readonly allocator: bigint;
  readonly koffi: Koffi;
}

let loading: Promise<OrtLibrary> | undefined;

/** The process's library: `TENON_ORT_LIB`, else the one inside onnxruntime-node. Throws ENGINE_LIBRARY. */
export function ortLibrary(): Promise<OrtLibrary> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<OrtLibrary> {
  const file = findLibrary();
  const koffi = await loadKoffi();
  await loadBeside(koffi, file);
  const handle = openLibrary(koffi, file);
  keep.push(handle);

  let table: readonly bigint[];
  try {
    table = koffi.decode(handle.func("void *OrtGetApiBase()")(), koffi.array("void *", 2)) as bigint[];
  } catch (cause) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: `${file} is not ONNX Runtime`,
      expected: "a library that exports OrtGetApiBase",
      cause,
    });
  }
  const version = koffi.call(table[1], koffi.proto("str TenonOrtVersion()")) as string;
  if (!isAtLeast(version, OLDEST_LIBRARY)) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "ONNX Runtime is too old",
      given: `version ${version}`,
      expected: `${OLDEST_LIBRARY} or newer`,
      do: "install onnxruntime-node 1.30.0, or point TENON_ORT_LIB to a newer library",
    });
  }
  const api = koffi.call(table[0], koffi.proto("void *TenonOrtGetApi(uint32 version)"), API_VERSION) as
    | bigint
    | null;
  if (api === null)
    throw new TenonError("ENGINE_LIBRARY", {
      given: `version ${version}`,
      expected: `a library that offers API ${API_VERSION}`,
    });

  const functions = bindLazily(koffi, api);
  const out = koffi.alloc("void *", 1) as bigint;
  const slot = new BigUint64Array(koffi.view(out, 8));
  const must = (status: bigint | null): bigint => {
    if (status !== null) throw statusError(functions, status, "ENGINE_LIBRARY");
    return slot[0]!;
  };
  const env = must(functions.CreateEnv(LOG_LEVEL_FATAL, "tenon", out));
  must(functions.DisableTelemetryEvents(env));
  const cpuMemory = must(functions.CreateCpuMemoryInfo(1, 0, out));
  const allocator = must(functions.GetAllocatorWithDefaultOptions(out));
  return { version, file, functions, env, cpuMemory, allocator, koffi };
}

/** Handles that must never be collected: a collected handle unloads the library under running code. */
const keep: unknown[] = [];

const RTLD_NOW = 2;

/**
 * The loader's work, tens of milliseconds, off the event loop: what is loaded already is opened at once. Where this
 * cannot be done, or fails, `openLibrary` does it all.
 */
async function loadBeside(koffi: Koffi, file: string): Promise<void> {
  if (process.platform !== "linux") return;
  try {
    const dlopen = koffi.load("libc.so.6").func("void *dlopen(str file, int flags)");
    await new Promise<void>((resolve) => dlopen.async(file, RTLD_NOW, () => resolve()));
  } catch {
    return; // another C library
  }
}

function openLibrary(koffi: Koffi, file: string): ReturnType<Koffi["load"]> {
  try {
    return koffi.load(file);
  } catch (cause) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "the ONNX Runtime library could not be loaded",
      given: file,
      do: "check that it was built for this platform (glibc on Linux) and that the libraries it needs are on the loader's path",
      cause,
    });
  }
}

/** Where the library of each platform lies inside onnxruntime-node. */
const SHIPPED: Readonly<Record<string, string>> = {
  "linux-x64": "linux/x64/libonnxruntime.so.1",
  "linux-arm64": "linux/arm64/libonnxruntime.so.1",
  "darwin-arm64": "darwin/arm64/libonnxruntime.1.dylib",
  "win32-x64": "win32/x64/onnxruntime.dll",
  "win32-arm64": "win32/arm64/onnxruntime.dll",
};

function findLibrary(): string {
  const named = process.env.TENON_ORT_LIB;
  if (named !== undefined && named !== "" && named !== "auto") {
    if (existsSync(named)) return named;
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "TENON_ORT_LIB names no file",
      given: named,
      expected: "the path of a libonnxruntime",
    });
  }
  const platform = `${process.platform}-${process.arch}`;
  const shipped = SHIPPED[platform];
  if (shipped === undefined) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "onnxruntime-node ships no library for this platform",
      given: platform,
      expected: `one of ${Object.keys(SHIPPED).join(", ")}`,
      do: "set TENON_ORT_LIB to a libonnxruntime built for it",
    });
  }
  let folder: string;
  try {
    folder = dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  } catch (cause) {
    throw new TenonError("ENGINE_LIBRARY", {
      problem: "onnxruntime-node is not installed",
      do: "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@1.30.0",
      cause,
    });
  }
  const file = join(folder, "bin/napi-v6", shipped);
  if (existsSync(file)) return file;
  throw new TenonError("ENGINE_LIBRARY", {
    problem: "onnxruntime-node lacks its library",
    expected: `bin/napi-v6/${shipped}`,
    do: "reinstall onnxruntime-node@1.30.0",
  });
}

function isAtLeast(version: string, oldest: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0] = oldest.split(".").map(Number);
  return major > oldMajor || (major === oldMajor && minor >= oldMinor);
}

const C_TYPES: { readonly [K in Kind]: string } = {
  int: "int",
  bool: "bool",
  size: "size_t",
  int64: "int64_t",
  text: "str",
  path: process.platform === "win32" ? "str16" : "str",
  pointer: "void *",
};

const C_RESULTS: { readonly [K in keyof ResultTypes]: string } = {
  status: "void *",
  int: "int",
  bool: "bool",
  text: "str",
  none: "void",
};

function bindLazily(koffi: Koffi, api: bigint): OrtFunctions {
  const functions: Partial<Record<FunctionName, unknown>> = {};
  for (const name of Object.keys(FUNCTIONS) as FunctionName[]) {
    const row: FunctionRow = FUNCTIONS[name];
    const bind = (): unknown => {
      const entry = koffi.decode(api, row.slot * 8, "void *") as bigint | null;
      if (entry === null)
        throw new TenonError("ENGINE_LIBRARY", { problem: `the library lacks the function ${name}` });
      const prototype = koffi.proto(
        `Tenon${name}`,
        C_RESULTS[row.returns],
        row.takes.map((kind) => C_TYPES[kind]),
      );
      const bound: unknown = koffi.decode(entry, prototype);
      Object.defineProperty(functions, name, { value: bound });
      return bound;
    };
    Object.defineProperty(functions, name, { get: bind, configurable: true, enumerable: true });
  }
  return functions as OrtFunctions;
}

/** What an `OrtErrorCode` becomes when its text does not say more. */
const STATUS_NAMES: readonly string[] = [
  "OK",
  "FAIL",
  "INVALID_ARGUMENT",
  "NO_SUCHFILE",
  "NO_MODEL",
  "ENGINE_ERROR",
  "RUNTIME_EXCEPTION",
  "INVALID_PROTOBUF",
  "MODEL_LOADED",
  "NOT_IMPLEMENTED",
  "INVALID_GRAPH",
  "EP_FAIL",
  "MODEL_LOAD_CANCELED",
];

/** An error that ONNX Runtime reported; its text holds paths and native source lines: for logs only. */
export class OrtStatusError extends Error {
  readonly status: string;
  constructor(status: string, message: string) {
    super(message);
    this.name = "OrtStatusError";
    this.status = status;
  }
}

/** Takes a non-null status over (releases it) and makes the error it stands for. */
export function statusError(
  functions: OrtFunctions,
  status: bigint,
  code: ConstructorParameters<typeof TenonError>[0],
  parts: ConstructorParameters<typeof TenonError>[1] = {},
): TenonError {
  const number = functions.GetErrorCode(status);
  const message = functions.GetErrorMessage(status) ?? "";
  functions.ReleaseStatus(status);
  const cause = new OrtStatusError(STATUS_NAMES[number] ?? String(number), message);
  return new TenonError(code, { ...parts, details: { ...parts.details, ort: cause.status }, cause });
}
