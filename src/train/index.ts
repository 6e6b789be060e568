/** tenon/train: optimisers with their flat memory and learning-rate schedules; loads no native code. */
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
