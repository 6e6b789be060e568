/** What is remembered of a served model's configuration: the file, class names, whether it has rules for batches. */
import type { ValueSignature } from "../../runtime/index.js";
import type { ServedModel } from "../served-model.js";
import type { Config } from "./config-file.js";

/** Class names of outputs, by output. */
export type Labels = ReadonlyMap<string, readonly string[]>;

interface Remembered {
  readonly config: Config;
  readonly labels: Labels;
}

const remembered = new WeakMap<ServedModel, Remembered>();

export function rememberConfig(model: ServedModel, config: Config, labels: Labels): void {
  remembered.set(model, { config, labels });
}

/** Triton's name of what runs a model. */
export function platformOf(model: ServedModel): string {
  return configOfFile(model)?.ensemble_scheduling === undefined ? "onnxruntime_onnx" : "ensemble";
}

/** The configuration that a model was loaded with; undefined for none. */
export function configOfFile(model: ServedModel): Config | undefined {
  return remembered.get(model)?.config;
}

/** Class names of an output: those of its configuration, else those of the model itself. */
export function labelsOf(model: ServedModel, output: string): ValueSignature["labels"] {
  return (
    remembered.get(model)?.labels.get(output) ??
    model.signature.outputs.find(({ name }) => name === output)?.labels
  );
}
