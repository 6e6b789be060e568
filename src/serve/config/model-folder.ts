/** What a `config.pbtxt` says of its model: read, held against the model, and turned into how it is loaded. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { emit, TenonError } from "../../base/index.js";
import type { LoadOptions, Model, Signature, ValueSignature } from "../../runtime/index.js";
import { dtypeInfo } from "../../tensor/index.js";
import type { DecodedOf } from "../protobuf/table.js";
import { ModelConfig } from "./messages.js";
import { parsePbtxt } from "./pbtxt.js";

type Config = DecodedOf<typeof ModelConfig>;

/** Class names of outputs, by output. */
export type Labels = ReadonlyMap<string, readonly string[]>;

/** A configuration in use. */
export interface FolderConfig {
  readonly batch: NonNullable<LoadOptions["batch"]> | undefined;
  readonly labels: Labels;
  /** Throws MODEL_INVALID when the model is not what the configuration says. */
  readonly check: (signature: Signature) => void;
}

/** Fields that change what a model computes, and are not done here: such a model is refused. */
const REFUSED: readonly (readonly [string, (config: Config) => boolean])[] = [
  ["sequence_batching", (config) => config.sequence_batching !== undefined],
  ["ensemble_scheduling", (config) => config.ensemble_scheduling !== undefined],
  ["batch_input", (config) => config.batch_input.length > 0],
  ["batch_output", (config) => config.batch_output.length > 0],
  ["model_operations", (config) => (config.model_operations?.op_library_filename.length ?? 0) > 0],
  ["model_repository_agents", (config) => (config.model_repository_agents?.agents.length ?? 0) > 0],
  ["model_transaction_policy.decoupled", (config) => config.model_transaction_policy?.decoupled === true],
  ["input.reshape", (config) => config.input.some(({ reshape }) => reshape !== undefined)],
  ["output.reshape", (config) => config.output.some(({ reshape }) => reshape !== undefined)],
  ["input.optional", (config) => config.input.some(({ optional }) => optional)],
  ["input.allow_ragged_batch", (config) => config.input.some((input) => input.allow_ragged_batch)],
  ["default_model_filename", ({ default_model_filename: file }) => file !== "" && file !== "model.onnx"],
];

/** Fields that change how fast a model answers only, and are not followed: they are named in a warning. */
const IGNORED: readonly (readonly [string, (config: Config) => boolean])[] = [
  ["instance_group", (config) => config.instance_group.length > 0],
  ["optimization", (config) => config.optimization !== undefined],
  ["parameters", (config) => config.parameters.size > 0],
  ["model_warmup", (config) => config.model_warmup.length > 0],
  ["response_cache", (config) => config.response_cache?.enable === true],
  [
    "dynamic_batching.preferred_batch_size",
    (config) => (config.dynamic_batching?.preferred_batch_size.length ?? 0) > 0,
  ],
  ["dynamic_batching.preserve_ordering", (config) => config.dynamic_batching?.preserve_ordering === true],
  ["dynamic_batching.priority_levels", (config) => Number(config.dynamic_batching?.priority_levels ?? 0) > 0],
  [
    "dynamic_batching.default_queue_policy",
    (config) => config.dynamic_batching?.default_queue_policy !== undefined,
  ],
  [
    "dynamic_batching.priority_queue_policy",
    (config) => (config.dynamic_batching?.priority_queue_policy.size ?? 0) > 0,
  ],
];

/** Reads the file at `path` for the model `name`. Throws CONFIG_INVALID, MODEL_UNSUPPORTED or FILE_NOT_FOUND. */
export async function readFolderConfig(path: string, name: string, version: string): Promise<FolderConfig> {
  const file = `${name}/config.pbtxt`;
  if ((await stat(path)).size > MOST_BYTES) throw invalid(file, `is larger than ${MOST_BYTES} bytes`);
  const config = parsePbtxt(ModelConfig, await readFile(path, "utf8"), file);
  if (config.name !== "" && config.name !== name) {
    throw invalid(file, `names the model "${config.name}"`, `name: "${name}", as its folder, or no name`);
  }
  if (!["", "onnxruntime"].includes(config.backend) || !["", "onnxruntime_onnx"].includes(config.platform)) {
    throw unsupported(file, `backend ${config.backend || config.platform}`);
  }
  for (const [field, isSet] of REFUSED) if (isSet(config)) throw unsupported(file, field);
  for (const [field, isSet] of IGNORED) {
    if (isSet(config))
      warn(name, `${file}: "${field}" is not followed; the model runs as measured on this machine`);
  }
  checkVersion(config, file, name, version);
  if (config.max_batch_size < 0)
    throw invalid(file, `max_batch_size is ${config.max_batch_size}`, "0 or more");
  const delay = Number(config.dynamic_batching?.max_queue_delay_microseconds ?? 0) / 1000;
  // Without inputs a file says nothing of batches unless it names their size.
  const says = config.max_batch_size > 0 || config.input.length > 0 || config.output.length > 0;
  return {
    batch: says ? { max: Math.max(1, config.max_batch_size), maxDelayMs: delay } : undefined,
    labels: await readLabels(config, dirname(path), file),
    check: (signature) => checkSignature(config, signature, file),
  };
}

const MOST_BYTES = 1 << 20;

function invalid(file: string, problem: string, expected?: string): TenonError {
  return new TenonError("CONFIG_INVALID", {
    problem: `${file} ${problem}`,
    ...(expected === undefined ? {} : { expected }),
  });
}

function unsupported(file: string, field: string): TenonError {
  return new TenonError("MODEL_UNSUPPORTED", {
    problem: `${file} asks for ${field}, which is not done here`,
  });
}

function warn(model: string, message: string): void {
  emit("model:warning", { model, code: "CONFIG_FIELD", message });
}

function checkVersion({ version_policy: policy }: Config, file: string, name: string, version: string): void {
  if (policy?.specific !== undefined && !policy.specific.versions.map(String).includes(version)) {
    throw unsupported(
      file,
      `version_policy.specific without version ${version}, the newest; only the newest is served`,
    );
  }
  const several =
    policy?.all !== undefined ||
    (policy?.latest?.num_versions ?? 1) > 1 ||
    (policy?.specific?.versions.length ?? 1) > 1;
  if (several)
    warn(name, `${file}: of the versions in version_policy only the newest, ${version}, is served`);
}

async function readLabels(config: Config, folder: string, file: string): Promise<Labels> {
  const labels = new Map<string, readonly string[]>();
  for (const { name, label_filename: labelFile } of config.output) {
    if (labelFile === "") continue;
    if (!/^[A-Za-z0-9_-][A-Za-z0-9._ -]*$/.test(labelFile)) {
      throw invalid(
        file,
        `label_filename "${labelFile}" is no file beside it`,
        "a file name without folders",
      );
    }
    const path = join(folder, labelFile);
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() !== true || found.size > 16 * MOST_BYTES) {
      throw invalid(file, `label_filename "${labelFile}" is not there, or too large`);
    }
    labels.set(name, (await readFile(path, "utf8")).replace(/\r?\n$/, "").split(/\r?\n/));
  }
  return labels;
}

interface Declared {
  readonly name: string;
  readonly data_type: string | number;
  readonly dims: readonly (number | bigint)[];
}

function checkSignature(config: Config, signature: Signature, file: string): void {
  const batched = config.max_batch_size > 0;
  compare(config.input, signature.inputs, "input", batched, file, true);
  compare(config.output, signature.outputs, "output", batched, file, false);
}

function compare(
  declared: readonly Declared[],
  values: readonly ValueSignature[],
  kind: "input" | "output",
  batched: boolean,
  file: string,
  all: boolean,
): void {
  const contradicts = (text: string, expected: string): TenonError =>
    new TenonError("MODEL_INVALID", { problem: `${file} contradicts the model: ${text}`, expected });
  const names = values.map(({ name }) => name).join(", ");
  for (const { name, data_type: type, dims } of declared) {
    const value = values.find((candidate) => candidate.name === name);
    if (value === undefined) throw contradicts(`${kind} "${name}" is not in it`, `one of ${names}`);
    const { oip } = dtypeInfo(value.dtype);
    const own = oip === "BYTES" ? "TYPE_STRING" : `TYPE_${oip ?? value.dtype}`;
    if (type !== own) throw contradicts(`${kind} "${name}" is ${type}`, `data_type: ${own}`);
    if (value.dims === undefined) continue;
    const full = batched ? [-1, ...dims] : dims;
    const fits =
      full.length === value.dims.length &&
      full.every(
        (dim, axis) => typeof value.dims![axis] !== "number" || dim === -1 || dim === value.dims![axis],
      );
    const wanted = value.dims.slice(batched ? 1 : 0).map((dim) => (typeof dim === "number" ? dim : -1));
    if (!fits)
      throw contradicts(`${kind} "${name}" has dims [${dims.join(", ")}]`, `dims: [ ${wanted.join(", ")} ]`);
    if (batched && typeof value.dims[0] === "number") {
      throw contradicts(`${kind} "${name}" has ${value.dims[0]} rows, fixed`, "max_batch_size: 0");
    }
  }
  if (!all || declared.length === 0) return;
  for (const { name } of values) {
    if (!declared.some((other) => other.name === name))
      throw contradicts(`${kind} "${name}" is missing in it`, names);
  }
}

const labelsOfModels = new WeakMap<Model, Labels>();

/** Remembers the class names of a model's outputs. */
export function setLabels(model: Model, labels: Labels): void {
  labelsOfModels.set(model, labels);
}

/** Class names of an output: those of its configuration, else those of the model itself. */
export function labelsOf(model: Model, output: string): ValueSignature["labels"] {
  return (
    labelsOfModels.get(model)?.get(output) ??
    model.signature.outputs.find(({ name }) => name === output)?.labels
  );
}
