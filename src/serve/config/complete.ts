/** The configuration of a served model as Triton tells it: what its file says, completed from the model. */
import type { ValueSignature } from "../../runtime/index.js";
import { dtypeInfo } from "../../tensor/index.js";
import type { ServedModel } from "../served-model.js";
import type { Config } from "./config-file.js";
import { emptyMessage, messageJson } from "./message-json.js";
import { ModelConfig } from "./messages.js";
import { configOfFile } from "./served-config.js";

type Input = Config["input"][number];
type Output = Config["output"][number];

/** `TYPE_FP32` for float32: the protocol's names but for strings. */
export function typeOf({ dtype }: ValueSignature): string {
  const { oip } = dtypeInfo(dtype);
  return oip === "BYTES" ? "TYPE_STRING" : `TYPE_${oip ?? "INVALID"}`;
}

/** Dims as configurations have them: -1 is variable, and the batch dimension is left out. */
export function dimsOf({ dims }: Pick<ValueSignature, "dims">, batched: boolean): number[] {
  return (dims ?? [-1]).slice(batched ? 1 : 0).map((dim) => (typeof dim === "number" ? dim : -1));
}

/** A model's configuration with its defaults written out. */
export function configOf(model: ServedModel): Config {
  const given = configOfFile(model) ?? emptyMessage(ModelConfig);
  const batched = model.maxBatch > 0;
  const config: Config = {
    ...given,
    name: model.name,
    max_batch_size: model.maxBatch,
    version_policy: given.version_policy ?? {
      latest: { num_versions: 1 },
      all: undefined,
      specific: undefined,
    },
    input: model.signature.inputs.map((value): Input => {
      const own = given.input.find(({ name }) => name === value.name);
      return {
        ...(own ?? EMPTY_INPUT),
        name: value.name,
        data_type: typeOf(value),
        dims: own !== undefined && own.dims.length > 0 ? own.dims : dimsOf(value, batched),
      };
    }),
    output: model.signature.outputs.map((value): Output => {
      const own = given.output.find(({ name }) => name === value.name);
      return {
        ...(own ?? EMPTY_OUTPUT),
        name: value.name,
        data_type: typeOf(value),
        dims: own !== undefined && own.dims.length > 0 ? own.dims : dimsOf(value, batched),
      };
    }),
    optimization: optimizationOf(given),
  };
  if (config.ensemble_scheduling !== undefined) return { ...config, platform: "ensemble" };
  return {
    ...config,
    platform: "onnxruntime_onnx",
    backend: "onnxruntime",
    ...schedulingOf(given, model),
    instance_group: groupsOf(given, model),
    default_model_filename: given.default_model_filename || "model.onnx",
  };
}

/** The configuration as `/config` prints it. */
export function configJson(model: ServedModel): object {
  return messageJson(ModelConfig, configOf(model));
}

const EMPTY_INPUT: Input = {
  name: "",
  data_type: "TYPE_INVALID",
  format: "FORMAT_NONE",
  dims: [],
  reshape: undefined,
  is_shape_tensor: false,
  allow_ragged_batch: false,
  optional: false,
  is_non_linear_format_io: false,
};

const EMPTY_OUTPUT: Output = {
  name: "",
  data_type: "TYPE_INVALID",
  dims: [],
  label_filename: "",
  reshape: undefined,
  is_shape_tensor: false,
  is_non_linear_format_io: false,
};

function optimizationOf({ optimization }: Config): NonNullable<Config["optimization"]> {
  return {
    graph: undefined,
    priority: "PRIORITY_DEFAULT",
    cuda: undefined,
    execution_accelerators: undefined,
    gather_kernel_buffer_threshold: 0,
    eager_batching: false,
    ...optimization,
    input_pinned_memory: optimization?.input_pinned_memory ?? { enable: true },
    output_pinned_memory: optimization?.output_pinned_memory ?? { enable: true },
  };
}

/** A batched model that says nothing of it is batched dynamically; waiting without preferred sizes aims at full batches. */
function schedulingOf(given: Config, model: ServedModel): Pick<Config, "dynamic_batching"> {
  const { dynamic_batching: dynamic } = given;
  const full = model.maxBatch > 0 ? [model.maxBatch] : [];
  if (dynamic !== undefined) {
    const waits = Number(dynamic.max_queue_delay_microseconds) > 0;
    const preferred =
      waits && dynamic.preferred_batch_size.length === 0 ? full : dynamic.preferred_batch_size;
    return { dynamic_batching: { ...dynamic, preferred_batch_size: preferred } };
  }
  if (model.maxBatch === 0 || given.sequence_batching !== undefined) return { dynamic_batching: undefined };
  return {
    dynamic_batching: {
      preferred_batch_size: full,
      max_queue_delay_microseconds: 0,
      preserve_ordering: false,
      priority_levels: 0,
      default_priority_level: 0,
      default_queue_policy: undefined,
      priority_queue_policy: new Map(),
    },
  };
}

type Group = Config["instance_group"][number];

function groupsOf({ instance_group: groups }: Config, model: ServedModel): Group[] {
  const own: readonly Partial<Group>[] = groups.length > 0 ? groups : [{ count: model.profile.lanes }];
  return own.map((group, i) => ({
    rate_limiter: undefined,
    gpus: [],
    secondary_devices: [],
    profile: [],
    passive: false,
    host_policy: "",
    ...group,
    name: group.name || `${model.name}_${i}`,
    kind: group.kind === undefined || group.kind === "KIND_AUTO" ? "KIND_CPU" : group.kind,
    count: Math.max(1, group.count ?? 1),
  }));
}
