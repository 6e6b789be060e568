/** How a model is loaded as its configuration says, and held against the model itself. */
import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { LoadOptions, Model, Signature, ValueSignature } from "../../runtime/index.js";
import { readInitialStates } from "../sequence/initial-state.js";
import { sequenceNames, sequenceQueue, sequenceRules } from "../sequence/rules.js";
import { SequenceModel } from "../sequence/sequence-model.js";
import { serveAs } from "../served-model.js";
import type { Sharing } from "../sharing/sharing.js";
import { dimsOf, typeOf } from "./complete.js";
import type { Config, ConfigFile } from "./config-file.js";
import { ConfiguredModel } from "./configured-model.js";
import { DeclaredShapes } from "./declared-shapes.js";
import { explicitBatching, instancesOf } from "./dynamic-batching.js";
import { type Labels, rememberConfig } from "./served-config.js";
import { warmUp } from "./warm-up.js";

/** Fields that change what a model computes, and are not done here: such a model is refused. */
const REFUSED: readonly (readonly [string, (config: Config) => object | boolean | undefined])[] = [
  ["batch_input", (config) => config.batch_input.length > 0],
  ["batch_output", (config) => config.batch_output.length > 0],
  ["model_operations", (config) => (config.model_operations?.op_library_filename.length ?? 0) > 0],
  ["model_repository_agents", (config) => (config.model_repository_agents?.agents.length ?? 0) > 0],
  ["model_transaction_policy", (config) => config.model_transaction_policy?.decoupled],
];

/** The same of inputs and outputs. */
const REFUSED_OF_VALUES = ["allow_ragged_batch", "is_shape_tensor"] as const;

/** Fields that change how fast a model answers only, and are not followed: they are named in a warning. */
const IGNORED: readonly (readonly [string, (config: Config) => boolean])[] = [
  ["optimization", ({ optimization }) => optimization?.execution_accelerators !== undefined],
  ["cc_model_filenames", (config) => config.cc_model_filenames.size > 0],
];

/** What a configuration makes of loading its model. */
export interface Plan {
  readonly options: Pick<
    LoadOptions,
    "batch" | "instances" | "accept" | "prepare" | "optimization" | "sessionConfig"
  >;
  /** The file in the version's folder; undefined: `model.onnx`, which may be a folder. */
  readonly modelFile: string | undefined;
}

/** The plan of a configuration; `sharing` is of models without sequences. Throws CONFIG_INVALID or MODEL_UNSUPPORTED. */
export async function planOf(file: ConfigFile, sharing?: Sharing): Promise<Plan> {
  const { config, model } = file;
  if (config.name !== "" && config.name !== model) {
    throw file.invalid(
      `names the model "${config.name}"`,
      "name",
      config,
      `name: "${model}", as its folder, or no name`,
    );
  }
  if (!["", "onnxruntime"].includes(config.backend)) throw refused(file, "backend", config.backend);
  if (!["", "onnxruntime_onnx"].includes(config.platform)) throw refused(file, "platform", config.platform);
  for (const [field, isSet] of REFUSED) {
    const set = isSet(config);
    if (set !== undefined && set !== false) throw refused(file, field);
  }
  for (const value of [...config.input, ...config.output]) {
    for (const field of REFUSED_OF_VALUES) {
      const set: unknown = (value as Readonly<Record<string, unknown>>)[field]; // outputs have fewer of them
      if (set === undefined || set === false) continue;
      throw file.error("MODEL_UNSUPPORTED", `asks for ${field}, which is not done here`, field, value);
    }
  }
  for (const input of config.input) {
    if (input.optional) file.warn("optional", `input "${input.name}" is asked for all the same`, input);
    if (input.reshape !== undefined && config.sequence_batching !== undefined)
      throw file.error(
        "MODEL_UNSUPPORTED",
        "asks for reshape, which is not done in sequences",
        "reshape",
        input,
      );
  }
  for (const [field, isSet] of IGNORED)
    if (isSet(config)) file.warn(field, `"${field}" is not followed; the model answers the same without it`);
  if (config.sequence_batching !== undefined && sharing !== undefined)
    file.warn("sequence_batching", "the answers of sequences are neither kept nor shared");
  if (config.max_batch_size < 0) {
    throw file.invalid(
      `max_batch_size is ${config.max_batch_size}`,
      "max_batch_size",
      config,
      "max_batch_size: 0 or more",
    );
  }
  const labels = await readLabels(file);
  const initialStates = await readInitialStates(file);
  const explicit = config.sequence_batching === undefined ? explicitBatching(file) : sequenceQueue(file);
  const instances = instancesOf(file);
  // Without inputs a file says nothing of batches unless it names their size.
  const says = config.max_batch_size > 0 || config.input.length > 0 || config.output.length > 0;
  const max = says ? Math.max(1, config.max_batch_size) : "auto";
  return {
    options: {
      ...(says || explicit !== undefined
        ? { batch: { max, ...(explicit === undefined ? {} : { explicit }) } }
        : {}),
      ...(instances === undefined ? {} : { instances }),
      ...sessionOf(file),
      accept: (signature) => {
        if (config.sequence_batching !== undefined) sequenceRules(file, signature, initialStates, 1);
        checkSignature(file, signature);
      },
      prepare: async (loaded: Model) => {
        const most = says ? config.max_batch_size : loaded.maxBatch;
        const rules =
          config.sequence_batching === undefined
            ? undefined
            : sequenceRules(file, loaded.signature, initialStates, loaded.profile.lanes);
        const face =
          rules === undefined
            ? new ConfiguredModel(loaded, most, sharing, DeclaredShapes.of(file, loaded.signature))
            : new SequenceModel(loaded, most, rules);
        serveAs(loaded, face);
        rememberConfig(face, config, labels);
        await warmUp(file, face);
      },
    },
    modelFile: modelFileOf(file),
  };
}

function refused(file: ConfigFile, field: string, value?: string): Error {
  const what = value === undefined ? field : `${field} "${value}"`;
  return file.error("MODEL_UNSUPPORTED", `asks for ${what}, which is not done here`, field);
}

/** A file name that leads nowhere else. */
const FILE_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._ -]*$/;

function modelFileOf(file: ConfigFile): string | undefined {
  const { default_model_filename: name } = file.config;
  if (name === "" || name === "model.onnx") return undefined;
  if (FILE_NAME.test(name)) return name;
  throw file.invalid(
    `default_model_filename "${name}" is no file in the version's folder`,
    "default_model_filename",
    file.config,
    "a file name without folders",
  );
}

const GRAPH_LEVELS: Readonly<Record<number, NonNullable<LoadOptions["optimization"]>>> = {
  [-1]: "basic",
  1: "extended",
  2: "none",
};

/** Settings of ONNX Runtime that a configuration may set: those that reach no file and no other program. */
const SESSION_KEYS = new Set([
  "session.set_denormal_as_zero",
  "session.disable_prepacking",
  "session.disable_quant_qdq",
  "session.enable_quant_qdq_cleanup",
  "session.qdqisint8allowed",
  "session.dynamic_block_base",
  "session.disable_double_qdq_remover",
  "session.qdq_matmulnbits_accuracy_level",
  "mlas.enable_gemm_fastmath_arm64_bfloat16",
]);

function sessionOf(file: ConfigFile): Pick<LoadOptions, "optimization" | "sessionConfig"> {
  const { optimization, parameters } = file.config;
  const level = optimization?.graph?.level ?? 0;
  const graph = GRAPH_LEVELS[level];
  if (level !== 0 && graph === undefined) {
    throw file.invalid(`level is ${level}`, "level", optimization?.graph, "-1, 0, 1 or 2");
  }
  const session: Record<string, string> = {};
  for (const [key, { string_value: value }] of parameters) {
    if (SESSION_KEYS.has(key)) session[key] = value;
    else if (/^(session|mlas|intra_op|inter_op|execution_mode|enable_mem|memory)[._]?/.test(key)) {
      file.warn("parameters", `"${key}" is not followed; the model runs as measured on this machine`);
    }
  }
  return {
    ...(graph === undefined ? {} : { optimization: graph }),
    ...(Object.keys(session).length === 0 ? {} : { sessionConfig: session }),
  };
}

const MOST_LABEL_BYTES = 1 << 24;

async function readLabels(file: ConfigFile): Promise<Labels> {
  const labels = new Map<string, readonly string[]>();
  for (const output of file.config.output) {
    const { name, label_filename: labelFile } = output;
    if (labelFile === "") continue;
    const fail = (problem: string, expected?: string): Error =>
      file.invalid(`label_filename "${labelFile}" ${problem}`, "label_filename", output, expected);
    if (!FILE_NAME.test(labelFile)) throw fail("is no file beside it", "a file name without folders");
    const path = join(file.folder, labelFile);
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true || found.size > MOST_LABEL_BYTES)
      throw fail("is not there, no file, or too large");
    labels.set(name, (await readFile(path, "utf8")).replace(/\r?\n$/, "").split(/\r?\n/));
  }
  return labels;
}

type Declared = Config["input"][number] | Config["output"][number];

function checkSignature(file: ConfigFile, signature: Signature): void {
  const { config } = file;
  compare(file, config.input, signature.inputs, "input");
  compare(file, config.output, signature.outputs, "output");
  for (const { name, dims } of signature.inputs) {
    if (config.max_batch_size === 0 || dims === undefined || typeof dims[0] === "string" || dims[0] === null)
      continue;
    const text = `input "${name}" has ${dims[0] === undefined ? "no" : dims[0]} rows, fixed`;
    throw contradiction(file, "max_batch_size", config, text, "max_batch_size: 0");
  }
  if (config.input.length === 0) return;
  const filled = sequenceNames(file);
  for (const { name } of signature.inputs) {
    if (!filled.has(name) && !config.input.some((other) => other.name === name))
      throw contradiction(
        file,
        "input",
        config,
        `input "${name}" of the model is missing`,
        `an input { name: "${name}" … }`,
      );
  }
}

function contradiction(
  file: ConfigFile,
  field: string,
  message: object,
  text: string,
  expected: string,
): Error {
  return file.error("MODEL_INVALID", `contradicts the model: ${text}`, field, message, expected);
}

function compare(
  file: ConfigFile,
  declared: readonly Declared[],
  values: readonly ValueSignature[],
  kind: "input" | "output",
): void {
  const batched = file.config.max_batch_size > 0;
  const names = values.map(({ name }) => name).join(", ");
  for (const one of declared) {
    const { name, data_type: type } = one;
    const dims = one.reshape === undefined ? one.dims : one.reshape.shape;
    const value = values.find((candidate) => candidate.name === name);
    if (value === undefined)
      throw contradiction(file, "name", one, `${kind} "${name}" is not in it`, `one of ${names}`);
    const own = typeOf(value);
    if (type !== own && type !== "TYPE_INVALID")
      throw contradiction(file, "data_type", one, `${kind} "${name}" is ${type}`, `data_type: ${own}`);
    if (value.dims === undefined) continue;
    if (dims.length > 0 || one.reshape !== undefined || value.dims.length === (batched ? 1 : 0)) {
      const full = batched ? [-1, ...dims] : dims;
      const fits =
        full.length === value.dims.length &&
        full.every((dim, axis) => {
          const fixed = value.dims![axis];
          return typeof fixed !== "number" || dim === -1 || dim === fixed;
        });
      if (!fits) {
        const wanted = `dims: [ ${dimsOf(value, batched).join(", ")} ]`;
        throw contradiction(file, "dims", one, `${kind} "${name}" has dims [${dims.join(", ")}]`, wanted);
      }
    }
    if (batched && typeof value.dims[0] === "number") {
      const text = `${kind} "${name}" has ${value.dims[0]} rows, fixed`;
      throw contradiction(file, "max_batch_size", file.config, text, "max_batch_size: 0");
    }
  }
}
