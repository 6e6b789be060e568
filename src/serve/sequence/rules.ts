/** SequenceRules: `sequence_batching` held against the model: which inputs say where a sequence is, and which carry its state. */
import type { ExplicitBatching, Signature, ValueSignature } from "../../runtime/index.js";
import {
  allocateStorage,
  type DType,
  StringStorage,
  type Tensor,
  tensorFromStorage,
} from "../../tensor/index.js";
import { typeOf } from "../config/complete.js";
import type { Config, ConfigFile } from "../config/config-file.js";
import type { InitialStates } from "./initial-state.js";
import type { SequenceMark } from "./mark.js";
import { zeros } from "./zeros.js";

type Batching = NonNullable<Config["sequence_batching"]>;
type ControlInput = Batching["control_input"][number];
type State = Batching["state"][number];

/** An input that the server fills in. */
export interface Control {
  readonly name: string;
  readonly value: (mark: SequenceMark) => Tensor;
}

/** An output that becomes the input of the sequence's next request. */
export interface StateRule {
  readonly input: string;
  readonly output: string;
  readonly initial: Tensor;
}

export interface SequenceRules {
  /** What clients give and get. */
  readonly visible: Signature;
  readonly controls: readonly Control[];
  readonly states: readonly StateRule[];
  /** Milliseconds without a request, after which a sequence is over. */
  readonly idleMs: number;
  /** Sequences that may be under way at the same time; others wait until one is over. */
  readonly slots: number;
  /** dtype of ids, where the model gets them. */
  readonly ids: DType | undefined;
}

const DEFAULT_IDLE_US = 1_000_000;

/** How the rows of sequences are put together. */
export function sequenceQueue(file: ConfigFile): ExplicitBatching {
  const { direct, oldest } = file.config.sequence_batching!;
  const { max_batch_size: max } = file.config;
  const preferred = oldest?.preferred_batch_size ?? [];
  for (const size of preferred) {
    if (size >= 1 && size <= Math.max(1, max)) continue;
    throw file.invalid(`preferred_batch_size is ${size}`, "preferred_batch_size", oldest, `1 to ${max}`);
  }
  const delay = oldest?.max_queue_delay_microseconds ?? direct?.max_queue_delay_microseconds ?? 0;
  return {
    preferred: [...preferred],
    maxDelayMs: Number(delay) / 1000,
    levels: 0,
    defaultLevel: 0,
    policy: { action: "reject", timeoutMs: 0, allowOverride: false, maxQueue: 0 },
    policies: new Map(),
    preserveOrdering: oldest?.preserve_ordering ?? false,
  };
}

/** Throws CONFIG_INVALID with the place of what does not fit the model, MODEL_UNSUPPORTED for iterative sequences. */
export function sequenceRules(
  file: ConfigFile,
  signature: Signature,
  given: InitialStates,
  instances: number,
): SequenceRules {
  const batching = file.config.sequence_batching!;
  if (batching.iterative_sequence) {
    const problem = "asks for iterative_sequence, which is not done here";
    throw file.error("MODEL_UNSUPPORTED", problem, "iterative_sequence", batching);
  }
  let ids: DType | undefined;
  const controls: Control[] = [];
  const kinds = new Set<unknown>();
  for (const input of batching.control_input) {
    for (const control of input.control) {
      if (kinds.has(control.kind)) throw file.invalid(`${control.kind} is set twice`, "kind", control);
      kinds.add(control.kind);
    }
    const [control, second] = input.control;
    if (control === undefined || second !== undefined) {
      const problem = `control_input "${input.name}" has ${input.control.length} controls`;
      throw file.invalid(problem, "control", input, "one control { … }");
    }
    const value = valueNamed(file, signature.inputs, input.name, "name", input);
    if (control.kind === "CONTROL_SEQUENCE_CORRID") ids = value.dtype;
    controls.push({ name: value.name, value: controlValue(file, input, value) });
  }
  const states = batching.state.map((state) => stateRule(file, state, signature, given));
  const hidden = new Set([...controls.map(({ name }) => name), ...states.map(({ input }) => input)]);
  if (hidden.size < controls.length + states.length) {
    const problem = "an input is filled in by two of control_input and state";
    throw file.invalid(problem, states.length > 0 ? "state" : "control_input", batching, "each input once");
  }
  const shown = new Set(file.config.output.map(({ name }) => name));
  const kept = new Set(states.map(({ output }) => output));
  return {
    visible: {
      inputs: signature.inputs.filter(({ name }) => !hidden.has(name)),
      outputs: signature.outputs.filter(({ name }) => !kept.has(name) || shown.has(name)),
    },
    controls,
    states,
    idleMs: Number(batching.max_sequence_idle_microseconds || DEFAULT_IDLE_US) / 1000,
    slots: slotsOf(file, instances),
    ids,
  };
}

/** Names that a configuration's sequence batching gives a meaning: clients neither give nor get them. */
export function sequenceNames({ config }: ConfigFile): ReadonlySet<string> {
  const { control_input = [], state = [] } = config.sequence_batching ?? {};
  return new Set([...control_input.map(({ name }) => name), ...state.map(({ input_name }) => input_name)]);
}

/** Direct: each has a row of an instance's batch to itself. Oldest: as many as are candidates. */
function slotsOf(file: ConfigFile, instances: number): number {
  const { oldest } = file.config.sequence_batching!;
  const most = oldest?.max_candidate_sequences ?? 0;
  if (most < 0) throw file.invalid(`is ${most}`, "max_candidate_sequences", oldest, "0 or more");
  if (oldest === undefined) return instances * Math.max(1, file.config.max_batch_size);
  return most === 0 ? Number.POSITIVE_INFINITY : most * instances;
}

function valueNamed(
  file: ConfigFile,
  values: readonly ValueSignature[],
  name: string,
  field: string,
  message: object,
): ValueSignature {
  const value = values.find((one) => one.name === name);
  if (value !== undefined) return value;
  const expected = `one of ${values.map((one) => one.name).join(", ")}`;
  throw file.invalid(`"${name}" is not in the model`, field, message, expected);
}

const ID_DTYPES: ReadonlySet<DType> = new Set(["uint64", "int64", "uint32", "int32", "string"]);

function controlValue(
  file: ConfigFile,
  { control: [control], name }: ControlInput,
  value: ValueSignature,
): Control["value"] {
  const shape = (value.dims ?? []).map((dim) => (typeof dim === "number" ? dim : 1));
  if (shape.some((dim) => dim !== 1)) {
    throw file.invalid(
      `input "${name}" of the model has more than one element a row`,
      "kind",
      control,
      "[1] a row",
    );
  }
  const { kind } = control!;
  if (kind === "CONTROL_SEQUENCE_CORRID") {
    const type = control!.data_type === "TYPE_INVALID" ? typeOf(value) : control!.data_type;
    if (type !== typeOf(value) || !ID_DTYPES.has(value.dtype)) {
      const problem = `${kind} is ${type}, and input "${name}" ${typeOf(value)}`;
      throw file.invalid(
        problem,
        "data_type",
        control,
        "TYPE_UINT64, TYPE_INT64, TYPE_UINT32, TYPE_INT32 or TYPE_STRING",
      );
    }
    return ({ id }) => idTensor(value.dtype, shape, id);
  }
  const forms = [
    ["int32_false_true", "int32"],
    ["fp32_false_true", "float32"],
    ["bool_false_true", "bool"],
  ] as const;
  const set = forms.filter(([field]) => control![field].length > 0);
  const [form] = set;
  if (form === undefined || set.length > 1 || control![form[0]].length !== 2) {
    const problem = `${kind} needs two values in one of int32_false_true, fp32_false_true, bool_false_true`;
    throw file.invalid(problem, form?.[0] ?? "kind", control, "int32_false_true: [ 0, 1 ]");
  }
  if (value.dtype !== form[1]) {
    const problem = `input "${name}" of the model is ${typeOf(value)}`;
    throw file.invalid(problem, form[0], control, `the field of ${value.dtype}`);
  }
  const [no, yes] = control![form[0]].map((flag) => filled(value.dtype, shape, Number(flag)));
  if (kind === "CONTROL_SEQUENCE_START") return ({ start }) => (start ? yes! : no!);
  if (kind === "CONTROL_SEQUENCE_END") return ({ end }) => (end ? yes! : no!);
  return () => yes!;
}

function filled(dtype: DType, shape: readonly number[], value: number): Tensor {
  const data = allocateStorage(dtype as "float32", 1);
  data[0] = value;
  return tensorFromStorage(dtype, shape, data as never); // made for this dtype
}

function idTensor(dtype: DType, shape: readonly number[], id: SequenceMark["id"]): Tensor {
  if (dtype === "string") return tensorFromStorage(dtype, shape, StringStorage.fromStrings([String(id)]));
  const data = allocateStorage(dtype as "int64", 1);
  (data as { [i: number]: number | bigint })[0] = dtype.endsWith("64") ? BigInt(id) : Number(id);
  return tensorFromStorage(dtype, shape, data as never); // made for this dtype
}

function stateRule(
  file: ConfigFile,
  state: State,
  { inputs, outputs }: Signature,
  given: InitialStates,
): StateRule {
  const input = valueNamed(file, inputs, state.input_name, "input_name", state);
  const output = valueNamed(file, outputs, state.output_name, "output_name", state);
  const batched = file.config.max_batch_size > 0;
  for (const value of [input, output]) {
    if (typeOf(value) !== state.data_type) {
      const problem = `"${value.name}" of the model is ${typeOf(value)}`;
      throw file.invalid(problem, "data_type", state, `data_type: ${typeOf(value)}`);
    }
    const own = (value.dims ?? []).slice(batched ? 1 : 0);
    const fits =
      own.length === state.dims.length &&
      own.every((dim, axis) => {
        const declared = Number(state.dims[axis]);
        return typeof dim !== "number" || declared === -1 || declared === dim;
      });
    if (!fits) {
      const dims = own.map((dim) => (typeof dim === "number" ? dim : -1)).join(", ");
      throw file.invalid(
        `"${value.name}" of the model has other dims than [${state.dims.join(", ")}]`,
        "dims",
        state,
        `dims: [ ${dims} ]`,
      );
    }
  }
  const initial = given.get(state) ?? zeros(input.dtype, state.dims.map(Number));
  const shape = batched ? [1, ...initial.shape] : initial.shape;
  return { input: input.name, output: output.name, initial: initial.reshape(shape) };
}
