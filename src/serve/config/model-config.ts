/** The configuration of a served model, completed from its signature, in Triton's words. */
import type { Model, ValueSignature } from "../../runtime/index.js";
import { dtypeInfo } from "../../tensor/index.js";

/** `TYPE_FP32` for float32: the protocol's names but for strings. */
function typeOf({ dtype }: ValueSignature): string {
  const { oip } = dtypeInfo(dtype);
  return oip === "BYTES" ? "TYPE_STRING" : `TYPE_${oip ?? "INVALID"}`;
}

/** Dims as configurations have them: -1 is variable, and the batch dimension is left out. */
function dimsOf({ dims }: ValueSignature, batched: boolean): readonly number[] {
  return (dims ?? [-1]).slice(batched ? 1 : 0).map((dim) => (typeof dim === "number" ? dim : -1));
}

/** A model's configuration: a ModelConfig with its defaults written out, as Triton prints it. */
export function configOf(model: Model): ConfigJson {
  const batched = model.maxBatch > 0;
  return {
    name: model.name,
    platform: "onnxruntime_onnx",
    backend: "onnxruntime",
    runtime: "",
    version_policy: { latest: { num_versions: 1 } },
    max_batch_size: model.maxBatch,
    input: model.signature.inputs.map((value) => ({
      name: value.name,
      data_type: typeOf(value),
      format: "FORMAT_NONE",
      dims: dimsOf(value, batched),
      is_shape_tensor: false,
      allow_ragged_batch: false,
      optional: false,
      is_non_linear_format_io: false,
    })),
    output: model.signature.outputs.map((value) => ({
      name: value.name,
      data_type: typeOf(value),
      dims: dimsOf(value, batched),
      label_filename: "",
      is_shape_tensor: false,
      is_non_linear_format_io: false,
    })),
    batch_input: [],
    batch_output: [],
    optimization: {
      priority: "PRIORITY_DEFAULT",
      input_pinned_memory: { enable: true },
      output_pinned_memory: { enable: true },
      gather_kernel_buffer_threshold: 0,
      eager_batching: false,
    },
    ...(batched
      ? {
          dynamic_batching: {
            preferred_batch_size: [model.maxBatch],
            max_queue_delay_microseconds: 0,
            preserve_ordering: false,
            priority_levels: 0,
            default_priority_level: 0,
          },
        }
      : {}),
    instance_group: [
      {
        name: `${model.name}_0`,
        kind: "KIND_CPU",
        count: model.profile.lanes,
        gpus: [],
        secondary_devices: [],
        profile: [],
        passive: false,
        host_policy: "",
      },
    ],
    default_model_filename: "model.onnx",
    cc_model_filenames: {},
    metric_tags: {},
    parameters: {},
    model_warmup: [],
  };
}

interface Named {
  readonly name: string;
  readonly data_type: string;
  readonly dims: readonly number[];
  readonly is_shape_tensor: boolean;
  readonly is_non_linear_format_io: boolean;
}

/** What `configOf` writes out. Maps are empty, so they are the same as JSON and as a message. */
export interface ConfigJson {
  readonly name: string;
  readonly platform: string;
  readonly backend: string;
  readonly runtime: string;
  readonly version_policy: { readonly latest: { readonly num_versions: number } };
  readonly max_batch_size: number;
  readonly input: readonly (Named & {
    readonly format: string;
    readonly allow_ragged_batch: boolean;
    readonly optional: boolean;
  })[];
  readonly output: readonly (Named & { readonly label_filename: string })[];
  readonly batch_input: readonly [];
  readonly batch_output: readonly [];
  readonly optimization: {
    readonly priority: string;
    readonly input_pinned_memory: { readonly enable: boolean };
    readonly output_pinned_memory: { readonly enable: boolean };
    readonly gather_kernel_buffer_threshold: number;
    readonly eager_batching: boolean;
  };
  readonly dynamic_batching?: {
    readonly preferred_batch_size: readonly number[];
    readonly max_queue_delay_microseconds: number;
    readonly preserve_ordering: boolean;
    readonly priority_levels: number;
    readonly default_priority_level: number;
  };
  readonly instance_group: readonly {
    readonly name: string;
    readonly kind: string;
    readonly count: number;
    readonly gpus: readonly [];
    readonly secondary_devices: readonly [];
    readonly profile: readonly [];
    readonly passive: boolean;
    readonly host_policy: string;
  }[];
  readonly default_model_filename: string;
  readonly cc_model_filenames: Readonly<Record<string, never>>;
  readonly metric_tags: Readonly<Record<string, never>>;
  readonly parameters: Readonly<Record<string, never>>;
  readonly model_warmup: readonly [];
}

/** The configuration as a message. */
export function configMessage({
  cc_model_filenames,
  metric_tags,
  parameters,
  ...config
}: ConfigJson): Omit<ConfigJson, "cc_model_filenames" | "metric_tags" | "parameters"> {
  return config;
}
