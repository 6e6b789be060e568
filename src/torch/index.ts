/** tenon/torch: files that PyTorch and its ecosystem wrote, read without Python; nothing in them is executed. */

export {
  type AdapterInputs,
  adapterAsInputs,
  mergeAdapter,
} from "./adapter/apply.js";
export { type Adapter, type LowRank, openAdapter } from "./adapter/open.js";
export type { Head } from "./architectures/architecture.js";
export type { ComputeDType } from "./architectures/dtype.js";
export {
  type ArchitectureOptions,
  architectureFromFolder,
  knownArchitectures,
} from "./architectures/folder.js";
export type { Arguments, Scalar, Size, TensorValue } from "./aten/arguments.js";
export {
  type ConvertProgramOptions,
  convertProgram,
  type ProgramOptions,
  programToModel,
} from "./aten/convert.js";
export type { Emitter } from "./aten/emitter.js";
export type { OpHandler, OutputMeta } from "./aten/handler.js";
export { knownOps, registerOp } from "./aten/table.js";
export type { UnknownCalls } from "./checkpoint.js";
export {
  describeProgram,
  describeWeights,
  formatProgram,
  formatWeights,
  type ProgramDescription,
  printProgram,
  type WeightSummary,
  type WeightsDescription,
} from "./describe.js";
export type { TorchDType } from "./dtypes.js";
export { type OpenOptions, openWeights } from "./open.js";
export { decodeProgram } from "./pt2/decode.js";
export type {
  Argument,
  ArgumentKind,
  ArgumentOf,
  Device,
  ExportedProgram,
  InputSpec,
  Layout,
  MemoryFormat,
  ModuleCall,
  NamedArgument,
  OutputSpec,
  ProgramGraph,
  ProgramInt,
  ProgramNode,
  SymExpr,
  SymName,
  SymSize,
  TensorMeta,
  TensorMetas,
} from "./pt2/program.js";
export { type ReadProgramOptions, readProgram } from "./pt2/read.js";
export { readSafetensors } from "./safetensors.js";
export { type SafetensorsOptions, saveSafetensors } from "./safetensors-write.js";
export type { ShardOptions } from "./sharded.js";
export { type SwapOptions, swapWeights } from "./swap.js";
export {
  byteLength,
  denseBytes,
  elementCount,
  isContiguous,
  type MaterializeOptions,
  materialize,
  type TensorRef,
} from "./tensor-ref.js";
export type { Weights, WeightsFormat } from "./weights.js";
