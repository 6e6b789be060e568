/** tenon/train: models, losses, optimisers and loops; gradients as ONNX graphs. */
export { type FinetuneOptions, finetune } from "./finetune/finetune.js";
export type { LoraOptions } from "./finetune/lora.js";
export { evaluate } from "./fit/evaluation.js";
export type {
  CheckpointEvent,
  EndEvent,
  EpochEvent,
  EvaluationEvent,
  FitEvent,
  StepEvent,
} from "./fit/events.js";
export { fit } from "./fit/fit.js";
export {
  type Accumulator,
  accuracy,
  auroc,
  f1,
  type Metric,
  mae,
  perplexity,
  precision,
  r2,
  recall,
  rmse,
  topK,
} from "./fit/metrics.js";
export type { CheckpointOptions, EvaluateOptions, FitOptions, Mismatch } from "./fit/options.js";
export { ndcg, recallAt, reciprocalRank } from "./fit/ranking.js";
export { type ReporterOptions, reporter } from "./fit/report.js";
export type { Arrays, BatchFunction, TrainData } from "./fit/source.js";
export { type GradientOptions, gradients } from "./gradients/gradients.js";
export {
  type AttentionOptions,
  attention,
  type TransformerOptions,
  transformerBlock,
} from "./layers/attention.js";
export { dropout, type EmbeddingOptions, embedding, type LinearOptions } from "./layers/dense.js";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  layerNorm,
  type NormOptions,
  rmsNorm,
} from "./layers/norm.js";
export { gru, lstm, type RecurrentOptions, type RecurrentResult } from "./layers/recurrent.js";
export {
  averagePool,
  type ConvOptions,
  conv,
  globalAveragePool,
  maxPool,
  type PerAxis,
  type PoolOptions,
} from "./layers/window.js";
export { linear } from "./linear.js";
export {
  bceWithLogits,
  type CrossEntropyOptions,
  cosineEmbedding,
  cosineSimilarity,
  crossEntropy,
  distillation,
  huber,
  infoNCE,
  klDivergence,
  type LossOptions,
  l1,
  mse,
  nll,
  triplet,
} from "./losses.js";
export {
  FlatMemory,
  type FlatOptions,
  type Group,
  type Parameter,
  type UpdateOptions,
  type UpdateResult,
} from "./memory.js";
export {
  bool,
  type Defined,
  type DefineOptions,
  define,
  float32,
  type InputType,
  int32,
  int64,
  sequential,
} from "./model/definition.js";
export {
  constantInit,
  type Fans,
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  normalInit,
  onesInit,
  uniformInit,
  xavierNormal,
  xavierUniform,
  zerosInit,
} from "./model/initializers.js";
export {
  abs,
  add,
  cast,
  clip,
  concat,
  div,
  equal,
  exp,
  flatten,
  gather,
  gatherElements,
  gelu,
  greater,
  leakyRelu,
  less,
  log,
  logSoftmax,
  matmul,
  max,
  maximum,
  mean,
  min,
  minimum,
  mul,
  neg,
  type Operand,
  pow,
  type ReduceOptions,
  relu,
  reshape,
  sigmoid,
  silu,
  slice,
  softmax,
  softplus,
  sqrt,
  squeeze,
  stopGradient,
  sub,
  sum,
  tanh,
  transpose,
  unsqueeze,
  where,
} from "./model/ops.js";
export type { Label, LoraChange, ModelParts, WeightStore } from "./model/parts.js";
export type { Attrs, OpOptions, ParameterOptions, Tape, TapeMarks, Var } from "./model/tape.js";
export { TrainableModel } from "./model/trainable.js";
export { type MuonOptions, muon } from "./optimizers/muon.js";
export { updateNodes } from "./optimizers/nodes.js";
export type { MatrixUpdate, NewtonSchulz, Optimizer, Ratio, StepRates } from "./optimizers/optimizer.js";
export {
  type AdagradOptions,
  type AdamOptions,
  adagrad,
  adam,
  adamw,
  type CommonOptions,
  type LionOptions,
  lamb,
  lion,
  type RmspropOptions,
  rmsprop,
  type SgdOptions,
  sgd,
} from "./optimizers/rows.js";
export type { NodeWriter } from "./optimizers/writer.js";
export { keyOf, permutation } from "./random.js";
export {
  constant,
  cosine,
  exponential,
  oneCycle,
  polynomial,
  type Schedule,
  sequence,
  step,
  type Warmup,
} from "./schedules.js";
export type { Batch, BatchValue } from "./step/batch.js";
export { type OneGraph, type OneGraphOptions, oneGraph } from "./step/one-graph.js";
export type { BatchVars, CompileOptions, LossFunction, ParameterGroup } from "./step/options.js";
export type { Evaluated, Parallel, RunOptions, StepCounters, StepResult } from "./step/results.js";
export { TrainStep } from "./step/step.js";
export {
  between,
  drawTrial,
  logBetween,
  oneOf,
  type Parameters,
  type Range,
  type Space,
  trialSeed,
  type Value,
  wholeBetween,
} from "./sweep/space.js";
export { defineSweep, type Sweep, type Trial } from "./sweep/sweep.js";
