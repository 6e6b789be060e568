/** tenon/onnx: ONNX files read, built, printed and written; loads no native code. */
export type { AttrInput, SubgraphBuilder } from "./attr-input.js";
export {
  type AddOptions,
  type GraphBuilder,
  type GraphOptions,
  graph,
} from "./builder.js";
export { check } from "./check.js";
export {
  type Description,
  describe,
  formatDescription,
  type Note,
  type ValueDescription,
} from "./describe.js";
export { type ExternalOptions, externalFiles } from "./external.js";
export {
  type Attr,
  type AttrKind,
  type AttrOf,
  type AttrReference,
  type Dim,
  type FunctionDef,
  functionKey,
  type Graph,
  type Int,
  type Model as OnnxModel,
  makeGraph,
  makeNode,
  type Node,
  type Notes,
  type Payload,
  type SparseTensor,
  subgraphsOf,
  type TensorData,
  type TensorType,
  type Value,
  type ValueType,
} from "./graph.js";
export { type InferOptions, type Inferred, infer, inferTypes } from "./infer/infer.js";
export type { Small } from "./infer/small.js";
export { type Pass, run, withGraph } from "./pass.js";
export { type AppendOptions, appendGraph } from "./passes/append-graph.js";
export { dropZipMap, type LabelsByOutput } from "./passes/drop-zipmap.js";
export { extractSubgraph } from "./passes/extract-subgraph.js";
export { foldConstants } from "./passes/fold-constants.js";
export { type InlineOptions, inlineFunctions } from "./passes/inline-functions.js";
export { removeDead } from "./passes/remove-dead.js";
export { removeIdentity } from "./passes/remove-identity.js";
export { renameIo } from "./passes/rename-io.js";
export { specialiseDims } from "./passes/specialise-dims.js";
export { stripEmpties } from "./passes/strip-empties.js";
export { takeTransposed } from "./passes/take-transposed.js";
export { untie } from "./passes/untie.js";
export { inputsToWeights, weightsToInputs } from "./passes/weights-to-inputs.js";
export { withWeights } from "./passes/with-weights.js";
export { type AddNodeOptions, Patch } from "./patch.js";
export { type Examined, preflightFile } from "./preflight/file.js";
export {
  FINDINGS,
  type Finding,
  type FindingCode,
  PREFLIGHT_VERSION,
  refusal,
  type Severity,
  type Trust,
  underTrust,
} from "./preflight/finding.js";
export { type PreflightOptions, preflight } from "./preflight/preflight.js";
export { print } from "./print.js";
export { type ReadOptions, readModel } from "./read.js";
export { type Rewrite, type RewriteRule, type RewriteView, rewriter } from "./rewrite.js";
export { type SaveOptions, saveModel } from "./save.js";
export {
  BytesSource,
  type Chunk,
  chunkLength,
  type FileRange,
  type FileRef,
  FileSource,
  piecesOf,
  readRange,
  resolvePath,
  type Source,
} from "./source.js";
export { opsOf } from "./spec.js";
export { readTensor, tensorData } from "./tensor-data.js";
export { formatType } from "./types.js";
export { upgrade } from "./upgrade/upgrade.js";
export { allNamesOf, usesOf } from "./uses.js";
export { weightFiles } from "./weight-files.js";
export { writeModel } from "./write.js";
export { type WrittenBeside, writeBeside } from "./write-beside.js";
