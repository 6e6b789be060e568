/** Holds an ensemble against the models that it is made of: names, dtypes, shapes, batch sizes. */
import type { TenonError } from "../../base/index.js";
import type { ValueSignature } from "../../runtime/index.js";
import { typeOf } from "../config/complete.js";
import { configOfFile } from "../config/served-config.js";
import type { ServedModel } from "../served-model.js";
import type { EnsemblePlan, EnsembleStep } from "./plan.js";

/** A tensor of the ensemble, as whoever makes it declares it. */
interface Made {
  readonly value: ValueSignature;
  readonly by: string;
}

/** Throws CONFIG_INVALID with the place of the step or value that does not fit. `models` are those of the steps. */
export function checkEnsemble(plan: EnsemblePlan, models: readonly ServedModel[]): void {
  const { file, steps, order, signature } = plan;
  const made = new Map<string, Made>();
  for (const value of signature.inputs) made.set(value.name, { value, by: "the ensemble's input" });
  for (const index of order) checkStep(plan, steps[index]!, models[index]!, made);
  for (const output of file.config.output) {
    const declared = signature.outputs.find(({ name }) => name === output.name)!;
    const { value, by } = made.get(output.name)!;
    const wrong = difference(value, declared);
    if (wrong !== undefined) {
      const problem = `output "${output.name}" is ${describe(declared)}, but ${by} is ${describe(value)}`;
      throw file.invalid(problem, wrong, output, `what ${by} is`);
    }
  }
}

function checkStep(
  plan: EnsemblePlan,
  step: EnsembleStep,
  model: ServedModel,
  made: Map<string, Made>,
): void {
  const { file, maxBatch } = plan;
  const fail = (field: string, problem: string, expected?: string): TenonError =>
    file.invalid(`the step of "${step.model}" ${problem}`, field, step.config, expected);
  const { inputs, outputs } = model.signature;
  for (const [name, tensor] of step.inputs) {
    const taken = inputs.find((input) => input.name === name);
    if (taken === undefined)
      throw fail("input_map", `gives it the input "${name}", which it does not have`, namesOf(inputs));
    const { value, by } = made.get(tensor)!;
    if (difference(value, taken) !== undefined) {
      const problem = `gives its input "${name}", ${describe(taken)}, the tensor "${tensor}": ${by} is ${describe(value)}`;
      throw fail("input_map", problem, describe(taken));
    }
  }
  const missing = inputs.find(({ name }) => !step.inputs.some(([given]) => given === name));
  if (missing !== undefined)
    throw fail("input_map", `gives it no input "${missing.name}"`, `key: "${missing.name}"`);
  for (const [name, tensor] of step.outputs) {
    const value = outputs.find((output) => output.name === name);
    if (value === undefined)
      throw fail("output_map", `takes its output "${name}", which it does not have`, namesOf(outputs));
    made.set(tensor, { value, by: `output "${name}" of "${step.model}"` });
  }
  if (configOfFile(model) !== undefined && model.maxBatch < maxBatch) {
    throw file.invalid(
      `the ensemble takes ${maxBatch} rows, but its model "${step.model}" only ${model.maxBatch}`,
      "max_batch_size",
      file.config,
      `max_batch_size: ${model.maxBatch}`,
    );
  }
}

/** The field in which two declarations cannot mean the same tensor. */
function difference(a: ValueSignature, b: ValueSignature): "data_type" | "dims" | undefined {
  if (a.dtype !== b.dtype) return "data_type";
  if (a.dims === undefined || b.dims === undefined) return undefined;
  const fits =
    a.dims.length === b.dims.length &&
    a.dims.every((dim, axis) => {
      const other = b.dims![axis];
      return typeof dim !== "number" || typeof other !== "number" || dim === other;
    });
  return fits ? undefined : "dims";
}

function describe(value: ValueSignature): string {
  const dims = value.dims?.map((dim) => (typeof dim === "number" ? dim : -1)).join(", ");
  return `${typeOf(value)} ${dims === undefined ? "of any shape" : `[${dims}]`}`;
}

function namesOf(values: readonly ValueSignature[]): string {
  return `one of ${values.map(({ name }) => name).join(", ")}`;
}
