/** EnsemblePlan: the steps of an ensemble as a graph of tensors, from its configuration alone; what is wrong in it is told by field. */
import type { Signature, ValueSignature } from "../../runtime/index.js";
import { dtypeFromOip } from "../../tensor/index.js";
import type { Config, ConfigFile } from "../config/config-file.js";

type StepConfig = NonNullable<Config["ensemble_scheduling"]>["step"][number];

/** One model's run. */
export interface EnsembleStep {
  readonly config: StepConfig;
  readonly model: string;
  /** undefined: the newest. */
  readonly version: string | undefined;
  /** Names of the model's inputs, and of the ensemble's tensors that go there. */
  readonly inputs: readonly (readonly [string, string])[];
  /** Names of the model's outputs, and of the ensemble's tensors that come from there. */
  readonly outputs: readonly (readonly [string, string])[];
  /** Indices of the steps whose outputs it takes. */
  readonly after: readonly number[];
}

export interface EnsemblePlan {
  readonly file: ConfigFile;
  readonly signature: Signature;
  readonly maxBatch: number;
  readonly steps: readonly EnsembleStep[];
  /** Indices of the steps, each behind those that it takes tensors of. */
  readonly order: readonly number[];
  /** Index of the step that makes a tensor; undefined for an input of the ensemble. */
  readonly maker: ReadonlyMap<string, number>;
}

/** True for configurations of ensembles. */
export function isEnsemble({ config }: ConfigFile): boolean {
  return config.ensemble_scheduling !== undefined || config.platform === "ensemble";
}

const MOST_STEPS = 1000;

/** The plan of a configuration. Throws CONFIG_INVALID with the place of what is wrong. */
export function ensemblePlan(file: ConfigFile): EnsemblePlan {
  const { config, model } = file;
  if (config.name !== "" && config.name !== model) {
    throw file.invalid(`names the model "${config.name}"`, "name", config, `name: "${model}", as its folder`);
  }
  if (config.platform !== "" && config.platform !== "ensemble") {
    const problem = `platform is "${config.platform}" beside ensemble_scheduling`;
    throw file.invalid(problem, "platform", config, 'platform: "ensemble"');
  }
  const scheduling = config.ensemble_scheduling;
  if (scheduling === undefined || scheduling.step.length === 0) {
    const field = scheduling === undefined ? "platform" : "ensemble_scheduling";
    throw file.invalid("the ensemble has no step", field, config, "ensemble_scheduling { step { … } }");
  }
  if (scheduling.step.length > MOST_STEPS)
    throw file.invalid(`has ${scheduling.step.length} steps`, "step", scheduling, `at most ${MOST_STEPS}`);
  if (config.instance_group.length > 0) {
    throw file.invalid("an ensemble has no instances", "instance_group", config, "instances of its models");
  }
  if (config.max_batch_size < 0)
    throw file.invalid(`max_batch_size is ${config.max_batch_size}`, "max_batch_size", config, "0 or more");
  const signature: Signature = {
    inputs: valuesOf(file, "input", config.input),
    outputs: valuesOf(file, "output", config.output),
  };
  const maker = makers(file, signature, scheduling.step);
  const steps = scheduling.step.map((step) => stepOf(file, step, signature, maker));
  for (const output of config.output) {
    if (maker.has(output.name) || signature.inputs.some(({ name }) => name === output.name)) continue;
    const problem = `no step makes the output "${output.name}"`;
    throw file.invalid(problem, "name", output, `an output_map with the value "${output.name}"`);
  }
  for (const input of config.input) {
    if (steps.some(({ inputs }) => inputs.some(([, tensor]) => tensor === input.name))) continue;
    if (config.output.some(({ name }) => name === input.name)) continue;
    throw file.invalid(
      `no step takes the input "${input.name}"`,
      "name",
      input,
      "an input_map that names it",
    );
  }
  return {
    file,
    signature,
    maxBatch: config.max_batch_size,
    steps,
    order: orderOf(file, steps),
    maker,
  };
}

function valuesOf(
  file: ConfigFile,
  field: "input" | "output",
  values: Config["input"] | Config["output"],
): readonly ValueSignature[] {
  if (values.length === 0)
    throw file.invalid(`the ensemble has no ${field}`, "ensemble_scheduling", file.config, `${field} { … }`);
  const names = new Set<string>();
  return values.map((value): ValueSignature => {
    const { name, data_type: type, dims } = value;
    if (name === "" || names.has(name))
      throw file.invalid(`${field} "${name}" is named twice, or not at all`, "name", value);
    names.add(name);
    const typeName = String(type).replace(/^TYPE_/, "");
    const dtype = dtypeFromOip(typeName === "STRING" ? "BYTES" : typeName);
    if (dtype === undefined)
      throw file.invalid(`${field} "${name}" has no data_type`, "data_type", value, "data_type: TYPE_…");
    if (dims.some((dim) => Number(dim) < 1 && Number(dim) !== -1))
      throw file.invalid(
        `${field} "${name}" has dims [${dims.join(", ")}]`,
        "dims",
        value,
        "-1, or 1 and more",
      );
    if (value.reshape !== undefined)
      throw file.error("MODEL_UNSUPPORTED", "an ensemble does not reshape", "reshape", value);
    const own = dims.map((dim) => (Number(dim) === -1 ? null : Number(dim)));
    return { name, dtype, dims: file.config.max_batch_size > 0 ? [null, ...own] : own };
  });
}

/** Which step makes each tensor. */
function makers(
  file: ConfigFile,
  { inputs }: Signature,
  steps: readonly StepConfig[],
): ReadonlyMap<string, number> {
  const maker = new Map<string, number>();
  steps.forEach((step, index) => {
    for (const [, tensor] of step.output_map) {
      const other = maker.get(tensor);
      const isInput = inputs.some(({ name }) => name === tensor);
      if (other === undefined && !isInput) {
        maker.set(tensor, index);
        continue;
      }
      const first = isInput ? "an input of the ensemble" : `made by step ${other! + 1} already`;
      throw file.invalid(
        `step ${index + 1} makes the tensor "${tensor}", which is ${first}`,
        "output_map",
        step,
        "another name for it",
      );
    }
  });
  return maker;
}

function stepOf(
  file: ConfigFile,
  step: StepConfig,
  { inputs }: Signature,
  maker: ReadonlyMap<string, number>,
): EnsembleStep {
  const { model_name: model, model_version: version } = step;
  if (model === "") throw file.invalid("a step names no model", "model_name", step, 'model_name: "…"');
  if (model === file.model)
    throw file.invalid("a step runs the ensemble itself", "model_name", step, "another model");
  if (Number(version) < -1)
    throw file.invalid(
      `model_version is ${version}`,
      "model_version",
      step,
      "-1 for the newest, or a version",
    );
  for (const field of ["input_map", "output_map"] as const)
    if (step[field].size === 0) throw file.invalid(`the step of "${model}" has no ${field}`, field, step);
  if (step.model_namespace !== "") file.warn("model_namespace", "model_namespace is not followed", step);
  const after = new Set<number>();
  for (const [, tensor] of step.input_map) {
    const index = maker.get(tensor);
    if (index !== undefined) after.add(index);
    else if (!inputs.some(({ name }) => name === tensor)) {
      const known = [...inputs.map(({ name }) => name), ...maker.keys()].join(", ");
      throw file.invalid(
        `the step of "${model}" takes the tensor "${tensor}", which nothing makes`,
        "input_map",
        step,
        `one of ${known}`,
      );
    }
  }
  return {
    config: step,
    model,
    version: Number(version) > 0 ? String(version) : undefined,
    inputs: [...step.input_map],
    outputs: [...step.output_map],
    after: [...after],
  };
}

/** Steps whose tensors are there first, until none is left; what is left then goes round in a circle. */
function orderOf(file: ConfigFile, steps: readonly EnsembleStep[]): readonly number[] {
  const order: number[] = [];
  const done = new Set<number>();
  for (let before = -1; before !== order.length; ) {
    before = order.length;
    steps.forEach(({ after }, index) => {
      if (done.has(index) || !after.every((other) => done.has(other))) return;
      done.add(index);
      order.push(index);
    });
  }
  if (order.length === steps.length) return order;
  const circle = circleIn(steps, done);
  const names = circle.map((index) => `"${steps[index]!.model}" (step ${index + 1})`);
  throw file.invalid(
    `the steps wait for each other: ${[...names, names[0]].join(" → ")}`,
    "input_map",
    steps[circle[0]!]!.config,
    "steps whose inputs are made before them",
  );
}

/** One circle among the steps that are not done. */
function circleIn(steps: readonly EnsembleStep[], done: ReadonlySet<number>): readonly number[] {
  const path: number[] = [];
  let at = steps.findIndex((_, index) => !done.has(index));
  while (!path.includes(at)) {
    path.unshift(at);
    at = steps[at]!.after.find((other) => !done.has(other))!;
  }
  return path.slice(0, path.indexOf(at) + 1);
}
