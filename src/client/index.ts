/** tenon/client: models of an inference server from a browser or Node.js; imports nothing. */
export {
  Client,
  type ClientOptions,
  connect,
  type IndexEntry,
  type InferOptions,
  type Input,
  type ModelMetadata,
  type ModelTypes,
  type TensorMetadata,
} from "./client.js";
export { DATATYPES, type Datatype, type ElementsOf, type GivenElements } from "./datatypes.js";
export { declareModels } from "./declaration.js";
export { InferenceError } from "./errors.js";
export type { Answer, ResultTensor } from "./wire.js";
