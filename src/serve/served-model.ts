/** ServedModel: what the protocols need of a model, whether it is one of the engine or made of several. */
import type { Inputs, Model, ModelProfile, Outputs, RunOptions } from "../runtime/index.js";
import type { SequenceMark } from "./sequence/mark.js";

export interface ServedRunOptions extends RunOptions {
  /** The sequence that the request belongs to. */
  readonly sequence?: SequenceMark;
}

export interface ServedModel extends Pick<Model, "name" | "version" | "signature" | "explain" | "waiting"> {
  /** Most rows of one request; 0 when the first dimension is not a batch. */
  readonly maxBatch: number;
  readonly profile: Pick<ModelProfile, "lanes" | "loadMs">;
  run(inputs: Inputs, options?: ServedRunOptions): Promise<Outputs>;
}

/** Gives the model that answers one request. */
export interface Finder {
  (): ServedModel;
  /** Loads it again when it was unloaded to make room; undefined when it was not. */
  readonly wake?: () => Promise<unknown> | undefined;
}

const faces = new WeakMap<Model, ServedModel>();

/** From now on `model` is served as `face`. */
export function serveAs(model: Model, face: ServedModel): void {
  faces.set(model, face);
}

/** What a model of the engine is served as: itself, unless its configuration makes something else of it. */
export function servedOf(model: Model): ServedModel {
  return faces.get(model) ?? model;
}
