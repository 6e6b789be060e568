/** The functions of ONNX Runtime's C API that are used: slot in `OrtApi` (append-only, API 24) and signature. */

/** Argument kinds: what the C parameter is, and what JavaScript passes. */
export interface KindTypes {
  /** `int`, enums. */
  int: number;
  bool: boolean;
  /** `size_t`, below 2^53. */
  size: number;
  int64: bigint;
  /** UTF-8 text, copied for the call only. */
  text: string;
  /** `ORTCHAR_T*`: UTF-8 on POSIX, UTF-16 on Windows. */
  path: string;
  /** Any object or data pointer; out parameters take the address of an 8-byte slot. */
  pointer: bigint;
}

export type Kind = keyof KindTypes;

/** Result kinds. `status` is an `OrtStatus*`, null when the call succeeded. */
export interface ResultTypes {
  status: bigint | null;
  int: number;
  bool: boolean;
  text: string | null;
  none: undefined;
}

export interface FunctionRow {
  readonly slot: number;
  readonly returns: keyof ResultTypes;
  readonly takes: readonly Kind[];
}

// biome-ignore format: a table is read by columns
export const FUNCTIONS = {
  GetErrorCode:                  { slot: 1,   returns: "int",    takes: ["pointer"] },
  GetErrorMessage:               { slot: 2,   returns: "text",   takes: ["pointer"] },
  ReleaseStatus:                 { slot: 93,  returns: "none",   takes: ["pointer"] },

  CreateEnv:                     { slot: 3,   returns: "status", takes: ["int", "text", "pointer"] },
  DisableTelemetryEvents:        { slot: 6,   returns: "status", takes: ["pointer"] },
  GetAvailableProviders:         { slot: 125, returns: "status", takes: ["pointer", "pointer"] },
  ReleaseAvailableProviders:     { slot: 126, returns: "status", takes: ["pointer", "int"] },

  CreateSessionOptions:          { slot: 10,  returns: "status", takes: ["pointer"] },
  SetOptimizedModelFilePath:     { slot: 11,  returns: "status", takes: ["pointer", "path"] },
  EnableProfiling:               { slot: 14,  returns: "status", takes: ["pointer", "path"] },
  DisableMemPattern:             { slot: 17,  returns: "status", takes: ["pointer"] },
  DisableCpuMemArena:            { slot: 19,  returns: "status", takes: ["pointer"] },
  SetSessionLogSeverityLevel:    { slot: 22,  returns: "status", takes: ["pointer", "int"] },
  SetSessionGraphOptimizationLevel: { slot: 23, returns: "status", takes: ["pointer", "int"] },
  SetIntraOpNumThreads:          { slot: 24,  returns: "status", takes: ["pointer", "int"] },
  SetInterOpNumThreads:          { slot: 25,  returns: "status", takes: ["pointer", "int"] },
  AddFreeDimensionOverrideByName: { slot: 124, returns: "status", takes: ["pointer", "text", "int64"] },
  AddSessionConfigEntry:         { slot: 130, returns: "status", takes: ["pointer", "text", "text"] },
  SessionOptionsAppendExecutionProvider: { slot: 216, returns: "status", takes: ["pointer", "text", "pointer", "pointer", "size"] },
  ReleaseSessionOptions:         { slot: 100, returns: "none",   takes: ["pointer"] },

  RegisterExecutionProviderLibrary: { slot: 301, returns: "status", takes: ["pointer", "text", "path"] },
  GetEpDevices:                  { slot: 303, returns: "status", takes: ["pointer", "pointer", "pointer"] },
  SessionOptionsAppendExecutionProvider_V2: { slot: 304, returns: "status", takes: ["pointer", "pointer", "pointer", "size", "pointer", "pointer", "size"] },
  EpDevice_EpName:               { slot: 312, returns: "text",   takes: ["pointer"] },

  CreateSession:                 { slot: 7,   returns: "status", takes: ["pointer", "path", "pointer", "pointer"] },
  CreateSessionFromArray:        { slot: 8,   returns: "status", takes: ["pointer", "pointer", "size", "pointer", "pointer"] },
  ReleaseSession:                { slot: 95,  returns: "none",   takes: ["pointer"] },
  SessionEndProfiling:           { slot: 110, returns: "status", takes: ["pointer", "pointer", "pointer"] },

  SessionGetInputCount:          { slot: 30,  returns: "status", takes: ["pointer", "pointer"] },
  SessionGetOutputCount:         { slot: 31,  returns: "status", takes: ["pointer", "pointer"] },
  SessionGetInputTypeInfo:       { slot: 33,  returns: "status", takes: ["pointer", "size", "pointer"] },
  SessionGetOutputTypeInfo:      { slot: 34,  returns: "status", takes: ["pointer", "size", "pointer"] },
  SessionGetInputName:           { slot: 36,  returns: "status", takes: ["pointer", "size", "pointer", "pointer"] },
  SessionGetOutputName:          { slot: 37,  returns: "status", takes: ["pointer", "size", "pointer", "pointer"] },
  GetAllocatorWithDefaultOptions: { slot: 78, returns: "status", takes: ["pointer"] },
  AllocatorFree:                 { slot: 76,  returns: "status", takes: ["pointer", "pointer"] },
  GetOnnxTypeFromTypeInfo:       { slot: 56,  returns: "status", takes: ["pointer", "pointer"] },
  CastTypeInfoToTensorInfo:      { slot: 55,  returns: "status", takes: ["pointer", "pointer"] },
  GetTensorElementType:          { slot: 60,  returns: "status", takes: ["pointer", "pointer"] },
  GetDimensionsCount:            { slot: 61,  returns: "status", takes: ["pointer", "pointer"] },
  GetDimensions:                 { slot: 62,  returns: "status", takes: ["pointer", "pointer", "size"] },
  GetSymbolicDimensions:         { slot: 63,  returns: "status", takes: ["pointer", "pointer", "size"] },
  TensorTypeAndShape_HasShape:   { slot: 390, returns: "bool",   takes: ["pointer"] },
  ReleaseTypeInfo:               { slot: 98,  returns: "none",   takes: ["pointer"] },

  CreateCpuMemoryInfo:           { slot: 69,  returns: "status", takes: ["int", "int", "pointer"] },
  CreateTensorAsOrtValue:        { slot: 48,  returns: "status", takes: ["pointer", "pointer", "size", "int", "pointer"] },
  CreateTensorWithDataAsOrtValue: { slot: 49, returns: "status", takes: ["pointer", "pointer", "size", "pointer", "size", "int", "pointer"] },
  GetTensorMutableData:          { slot: 51,  returns: "status", takes: ["pointer", "pointer"] },
  GetTensorTypeAndShape:         { slot: 65,  returns: "status", takes: ["pointer", "pointer"] },
  GetTensorSizeInBytes:          { slot: 318, returns: "status", takes: ["pointer", "pointer"] },
  ReleaseTensorTypeAndShapeInfo: { slot: 99,  returns: "none",   takes: ["pointer"] },
  GetResizedStringTensorElementBuffer: { slot: 252, returns: "status", takes: ["pointer", "size", "size", "pointer"] },
  GetStringTensorDataLength:     { slot: 53,  returns: "status", takes: ["pointer", "pointer"] },
  GetStringTensorContent:        { slot: 54,  returns: "status", takes: ["pointer", "pointer", "size", "pointer", "size"] },
  ReleaseValue:                  { slot: 96,  returns: "none",   takes: ["pointer"] },

  Run:                           { slot: 9,   returns: "status", takes: ["pointer", "pointer", "pointer", "pointer", "size", "pointer", "size", "pointer"] },
  CreateAllocator:               { slot: 131, returns: "status", takes: ["pointer", "pointer", "pointer"] },
  ReleaseAllocator:              { slot: 132, returns: "none",   takes: ["pointer"] },
  AllocatorGetStats:             { slot: 319, returns: "status", takes: ["pointer", "pointer"] },
  GetKeyValue:                   { slot: 297, returns: "text",   takes: ["pointer", "text"] },
  ReleaseKeyValuePairs:          { slot: 300, returns: "none",   takes: ["pointer"] },

  CreateRunOptions:              { slot: 39,  returns: "status", takes: ["pointer"] },
  RunOptionsSetTerminate:        { slot: 46,  returns: "status", takes: ["pointer"] },
  RunOptionsUnsetTerminate:      { slot: 47,  returns: "status", takes: ["pointer"] },
  AddRunConfigEntry:             { slot: 165, returns: "status", takes: ["pointer", "text", "text"] },
  ReleaseRunOptions:             { slot: 97,  returns: "none",   takes: ["pointer"] },
} as const satisfies Record<string, FunctionRow>;

export type FunctionName = keyof typeof FUNCTIONS;

type Arguments<T extends readonly Kind[]> = { -readonly [K in keyof T]: KindTypes[T[K]] };

/** A bound function: synchronous when called, on the libuv pool through `async`. */
export interface Bound<N extends FunctionName> {
  (...values: Arguments<(typeof FUNCTIONS)[N]["takes"]>): ResultTypes[(typeof FUNCTIONS)[N]["returns"]];
  async(
    ...values: [
      ...Arguments<(typeof FUNCTIONS)[N]["takes"]>,
      (error: Error | null, result: ResultTypes[(typeof FUNCTIONS)[N]["returns"]]) => void,
    ]
  ): void;
}

export type OrtFunctions = { readonly [N in FunctionName]: Bound<N> };
