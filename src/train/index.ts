/** tenon/train: gradients as ONNX graphs, optimisers with their flat memory, learning-rate schedules. */
export { type GradientOptions, gradients } from "./gradients/gradients.js";
export {
  FlatMemory,
  type FlatOptions,
  type Group,
  type Parameter,
  type UpdateOptions,
  type UpdateResult,
} from "./memory.js";
export { updateNodes } from "./optimizers/nodes.js";
export {
  type AdagradOptions,
  type AdamOptions,
  adagrad,
  adam,
  adamw,
  type CommonOptions,
  type LionOptions,
  lion,
  type Optimizer,
  type RmspropOptions,
  rmsprop,
  type SgdOptions,
  type StepRates,
  sgd,
} from "./optimizers/rows.js";
export {
  constant,
  cosine,
  exponential,
  linear,
  oneCycle,
  polynomial,
  type Schedule,
  sequence,
  step,
  type Warmup,
} from "./schedules.js";
