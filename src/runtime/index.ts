/** tenon/runtime: models loaded and run through the C API of ONNX Runtime. */
export type { BatchAxis } from "./batch-axis.js";
export { BatchLog, type BatchReason, type BatchRecord } from "./batch-log.js";
export { defaultCacheFolder } from "./cache.js";
export type { CostPoint } from "./cost-model.js";
export { Engine } from "./engine.js";
export type { EngineOptions, Isolation, LoadOptions, ProcessOptions, Source } from "./engine-options.js";
export type { ExplicitBatching, QueuePolicy } from "./explicit-queue.js";
export type { FirstProcess } from "./first-process.js";
export type { Lease, LeaseRunOptions } from "./lease.js";
export { defaultLanes, poolThreads, usableCores } from "./machine.js";
export type { MadeSource } from "./made.js";
export type { MapOptions, Model, ModelProfile, RunOptions } from "./model.js";
export { isModelName, modelNameOf } from "./model-name.js";
export { type Outputs, outputRecord } from "./outputs.js";
export { type Bindings, Program, type ProgramCall, type ProgramOptions } from "./program.js";
export type { Spare } from "./runner/process-settings.js";
export type { Signature, SignatureDim, ValueSignature } from "./signature.js";
export { type Inputs, orderInputs, orderOutputs } from "./validate.js";
