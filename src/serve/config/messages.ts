/** ModelConfig and what it holds, by field numbers: read from `config.pbtxt`, sent over gRPC, printed as JSON. */
import { enumOf, many, mapOf, message, one, oneOf } from "../protobuf/table.js";

const DataType = enumOf(
  "DataType",
  "TYPE_INVALID",
  "TYPE_BOOL",
  "TYPE_UINT8",
  "TYPE_UINT16",
  "TYPE_UINT32",
  "TYPE_UINT64",
  "TYPE_INT8",
  "TYPE_INT16",
  "TYPE_INT32",
  "TYPE_INT64",
  "TYPE_FP16",
  "TYPE_FP32",
  "TYPE_FP64",
  "TYPE_STRING",
  "TYPE_BF16",
);

const ModelTensorReshape = message("ModelTensorReshape", { shape: many(1, "int64") });

const ModelInput = message("ModelInput", {
  name: one(1, "string"),
  data_type: one(2, DataType),
  format: one(3, enumOf("ModelInput.Format", "FORMAT_NONE", "FORMAT_NHWC", "FORMAT_NCHW")),
  dims: many(4, "int64"),
  reshape: one(5, ModelTensorReshape),
  is_shape_tensor: one(6, "bool"),
  allow_ragged_batch: one(7, "bool"),
  optional: one(8, "bool"),
  is_non_linear_format_io: one(9, "bool"),
});

const ModelOutput = message("ModelOutput", {
  name: one(1, "string"),
  data_type: one(2, DataType),
  dims: many(3, "int64"),
  label_filename: one(4, "string"),
  reshape: one(5, ModelTensorReshape),
  is_shape_tensor: one(6, "bool"),
  is_non_linear_format_io: one(7, "bool"),
});

const ModelVersionPolicy = message("ModelVersionPolicy", {
  latest: oneOf(1, message("ModelVersionPolicy.Latest", { num_versions: one(1, "uint32") }), "policy_choice"),
  all: oneOf(2, message("ModelVersionPolicy.All", {}), "policy_choice"),
  specific: oneOf(3, message("ModelVersionPolicy.Specific", { versions: many(1, "int64") }), "policy_choice"),
});

const ModelInstanceGroup = message("ModelInstanceGroup", {
  name: one(1, "string"),
  kind: one(4, enumOf("ModelInstanceGroup.Kind", "KIND_AUTO", "KIND_GPU", "KIND_CPU", "KIND_MODEL")),
  count: one(2, "int32"),
  gpus: many(3, "int32"),
  rate_limiter: one(
    6,
    message("ModelRateLimiter", {
      resources: many(
        1,
        message("ModelRateLimiter.Resource", {
          name: one(1, "string"),
          global: one(2, "bool"),
          count: one(3, "uint32"),
        }),
      ),
      priority: one(2, "uint32"),
    }),
  ),
  secondary_devices: many(
    8,
    message("ModelInstanceGroup.SecondaryDevice", {
      kind: one(1, enumOf("ModelInstanceGroup.SecondaryDevice.SecondaryDeviceKind", "KIND_NVDLA")),
      device_id: one(2, "int64"),
    }),
  ),
  profile: many(5, "string"),
  passive: one(7, "bool"),
  host_policy: one(9, "string"),
});

const ModelQueuePolicy = message("ModelQueuePolicy", {
  timeout_action: one(1, enumOf("ModelQueuePolicy.TimeoutAction", "REJECT", "DELAY")),
  default_timeout_microseconds: one(2, "uint64"),
  allow_timeout_override: one(3, "bool"),
  max_queue_size: one(4, "uint32"),
});

const ModelDynamicBatching = message("ModelDynamicBatching", {
  preferred_batch_size: many(1, "int32"),
  max_queue_delay_microseconds: one(2, "uint64"),
  preserve_ordering: one(3, "bool"),
  priority_levels: one(4, "uint64"),
  default_priority_level: one(5, "uint64"),
  default_queue_policy: one(6, ModelQueuePolicy),
  priority_queue_policy: mapOf(7, "uint64", ModelQueuePolicy),
});

const Control = message("ModelSequenceBatching.Control", {
  kind: one(
    1,
    enumOf(
      "ModelSequenceBatching.Control.Kind",
      "CONTROL_SEQUENCE_START",
      "CONTROL_SEQUENCE_READY",
      "CONTROL_SEQUENCE_END",
      "CONTROL_SEQUENCE_CORRID",
    ),
  ),
  int32_false_true: many(2, "int32"),
  fp32_false_true: many(3, "float"),
  bool_false_true: many(5, "bool"),
  data_type: one(4, DataType),
});

const ModelSequenceBatching = message("ModelSequenceBatching", {
  max_sequence_idle_microseconds: one(1, "uint64"),
  control_input: many(
    2,
    message("ModelSequenceBatching.ControlInput", { name: one(1, "string"), control: many(2, Control) }),
  ),
  direct: oneOf(
    3,
    message("ModelSequenceBatching.StrategyDirect", {
      max_queue_delay_microseconds: one(1, "uint64"),
      minimum_slot_utilization: one(2, "float"),
    }),
    "strategy_choice",
  ),
  oldest: oneOf(
    4,
    message("ModelSequenceBatching.StrategyOldest", {
      max_candidate_sequences: one(1, "int32"),
      preferred_batch_size: many(2, "int32"),
      max_queue_delay_microseconds: one(3, "uint64"),
      preserve_ordering: one(4, "bool"),
    }),
    "strategy_choice",
  ),
  state: many(
    5,
    message("ModelSequenceBatching.State", {
      input_name: one(1, "string"),
      output_name: one(2, "string"),
      data_type: one(3, DataType),
      dims: many(4, "int64"),
      initial_state: many(
        5,
        message("ModelSequenceBatching.InitialState", {
          data_type: one(1, DataType),
          dims: many(2, "int64"),
          zero_data: oneOf(3, "bool", "state_data"),
          data_file: oneOf(4, "string", "state_data"),
          name: one(5, "string"),
        }),
      ),
      use_same_buffer_for_input_output: one(6, "bool"),
      use_growable_memory: one(7, "bool"),
    }),
  ),
  iterative_sequence: one(6, "bool"),
});

const ModelEnsembling = message("ModelEnsembling", {
  step: many(
    1,
    message("ModelEnsembling.Step", {
      model_name: one(1, "string"),
      model_version: one(2, "int64"),
      input_map: mapOf(3, "string", "string"),
      output_map: mapOf(4, "string", "string"),
      model_namespace: one(5, "string"),
    }),
  ),
  max_inflight_requests: one(2, "uint32"),
});

const ModelWarmup = message("ModelWarmup", {
  name: one(1, "string"),
  batch_size: one(2, "uint32"),
  inputs: mapOf(
    3,
    "string",
    message("ModelWarmup.Input", {
      data_type: one(1, DataType),
      dims: many(2, "int64"),
      zero_data: oneOf(3, "bool", "input_data_type"),
      random_data: oneOf(4, "bool", "input_data_type"),
      input_data_file: oneOf(5, "string", "input_data_type"),
    }),
  ),
  count: one(4, "uint32"),
});

const Accelerator = message("ModelOptimizationPolicy.ExecutionAccelerators.Accelerator", {
  name: one(1, "string"),
  parameters: mapOf(2, "string", "string"),
});
const PinnedMemory = message("ModelOptimizationPolicy.PinnedMemoryBuffer", { enable: one(1, "bool") });

const GraphShape = message("ModelOptimizationPolicy.Cuda.GraphSpec.Shape", { dim: many(1, "int64") });
const GraphSpec = message("ModelOptimizationPolicy.Cuda.GraphSpec", {
  batch_size: one(1, "int32"),
  input: mapOf(2, "string", GraphShape),
  graph_lower_bound: one(
    3,
    message("ModelOptimizationPolicy.Cuda.GraphSpec.LowerBound", {
      batch_size: one(1, "int32"),
      input: mapOf(2, "string", GraphShape),
    }),
  ),
});
const ModelOptimizationPolicy = message("ModelOptimizationPolicy", {
  graph: one(1, message("ModelOptimizationPolicy.Graph", { level: one(1, "int32") })),
  priority: one(
    2,
    enumOf("ModelOptimizationPolicy.ModelPriority", "PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"),
  ),
  cuda: one(
    3,
    message("ModelOptimizationPolicy.Cuda", {
      graphs: one(1, "bool"),
      busy_wait_events: one(2, "bool"),
      graph_spec: many(3, GraphSpec),
      output_copy_stream: one(4, "bool"),
    }),
  ),
  execution_accelerators: one(
    4,
    message("ModelOptimizationPolicy.ExecutionAccelerators", {
      gpu_execution_accelerator: many(1, Accelerator),
      cpu_execution_accelerator: many(2, Accelerator),
    }),
  ),
  input_pinned_memory: one(5, PinnedMemory),
  output_pinned_memory: one(6, PinnedMemory),
  gather_kernel_buffer_threshold: one(7, "uint32"),
  eager_batching: one(8, "bool"),
});

const BatchInput = message("BatchInput", {
  kind: one(
    1,
    enumOf(
      "BatchInput.Kind",
      "BATCH_ELEMENT_COUNT",
      "BATCH_ACCUMULATED_ELEMENT_COUNT",
      "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
      "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
      "BATCH_ITEM_SHAPE",
      "BATCH_ITEM_SHAPE_FLATTEN",
    ),
  ),
  target_name: many(2, "string"),
  data_type: one(3, DataType),
  source_input: many(4, "string"),
});

export const ModelConfig = message("ModelConfig", {
  name: one(1, "string"),
  platform: one(2, "string"),
  backend: one(17, "string"),
  runtime: one(25, "string"),
  version_policy: one(3, ModelVersionPolicy),
  max_batch_size: one(4, "int32"),
  input: many(5, ModelInput),
  output: many(6, ModelOutput),
  batch_input: many(20, BatchInput),
  batch_output: many(
    21,
    message("BatchOutput", {
      target_name: many(1, "string"),
      kind: one(2, enumOf("BatchOutput.Kind", "BATCH_SCATTER_WITH_INPUT_SHAPE")),
      source_input: many(3, "string"),
    }),
  ),
  optimization: one(12, ModelOptimizationPolicy),
  dynamic_batching: oneOf(11, ModelDynamicBatching, "scheduling_choice"),
  sequence_batching: oneOf(13, ModelSequenceBatching, "scheduling_choice"),
  ensemble_scheduling: oneOf(15, ModelEnsembling, "scheduling_choice"),
  instance_group: many(7, ModelInstanceGroup),
  default_model_filename: one(8, "string"),
  cc_model_filenames: mapOf(9, "string", "string"),
  metric_tags: mapOf(10, "string", "string"),
  parameters: mapOf(14, "string", message("ModelParameter", { string_value: one(1, "string") })),
  model_warmup: many(16, ModelWarmup),
  model_operations: one(18, message("ModelOperations", { op_library_filename: many(1, "string") })),
  model_transaction_policy: one(19, message("ModelTransactionPolicy", { decoupled: one(1, "bool") })),
  model_repository_agents: one(
    23,
    message("ModelRepositoryAgents", {
      agents: many(
        1,
        message("ModelRepositoryAgents.Agent", {
          name: one(1, "string"),
          parameters: mapOf(2, "string", "string"),
        }),
      ),
    }),
  ),
  response_cache: one(24, message("ModelResponseCache", { enable: one(1, "bool") })),
  model_metrics: one(
    26,
    message("ModelMetrics", {
      metric_control: many(
        1,
        message("ModelMetrics.MetricControl", {
          metric_identifier: one(
            1,
            message("ModelMetrics.MetricControl.MetricIdentifier", { family: one(1, "string") }),
          ),
          histogram_options: one(
            2,
            message("ModelMetrics.MetricControl.HistogramOptions", { buckets: many(1, "double") }),
          ),
        }),
      ),
    }),
  ),
});

export const ModelConfigRequest = message("ModelConfigRequest", {
  name: one(1, "string"),
  version: one(2, "string"),
});
export const ModelConfigResponse = message("ModelConfigResponse", { config: one(1, ModelConfig) });
