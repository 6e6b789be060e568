/** The messages of the package `inference`, by their field numbers. */
import { enumOf, many, mapOf, message, one, oneOf } from "../protobuf/table.js";

export const ServerLiveRequest = message("ServerLiveRequest", {});
export const ServerLiveResponse = message("ServerLiveResponse", { live: one(1, "bool") });
export const ServerReadyRequest = message("ServerReadyRequest", {});
export const ServerReadyResponse = message("ServerReadyResponse", { ready: one(1, "bool") });
export const ModelReadyRequest = message("ModelReadyRequest", {
  name: one(1, "string"),
  version: one(2, "string"),
});
export const ModelReadyResponse = message("ModelReadyResponse", { ready: one(1, "bool") });
export const ServerMetadataRequest = message("ServerMetadataRequest", {});
export const ServerMetadataResponse = message("ServerMetadataResponse", {
  name: one(1, "string"),
  version: one(2, "string"),
  extensions: many(3, "string"),
});
export const ModelMetadataRequest = message("ModelMetadataRequest", {
  name: one(1, "string"),
  version: one(2, "string"),
});
const TensorMetadata = message("ModelMetadataResponse.TensorMetadata", {
  name: one(1, "string"),
  datatype: one(2, "string"),
  shape: many(3, "int64"),
});
export const ModelMetadataResponse = message("ModelMetadataResponse", {
  name: one(1, "string"),
  versions: many(2, "string"),
  platform: one(3, "string"),
  inputs: many(4, TensorMetadata),
  outputs: many(5, TensorMetadata),
});

export const InferParameter = message("InferParameter", {
  bool_param: oneOf(1, "bool", "parameter_choice"),
  int64_param: oneOf(2, "int64", "parameter_choice"),
  string_param: oneOf(3, "string", "parameter_choice"),
  double_param: oneOf(4, "double", "parameter_choice"),
  uint64_param: oneOf(5, "uint64", "parameter_choice"),
});

/** Typed values; read by `contents.ts` once the tensor's datatype is known, so only its shape is written here. */
const InferTensorContents = message("InferTensorContents", {
  bool_contents: many(1, "bool"),
  int_contents: many(2, "int32"),
  int64_contents: many(3, "int64"),
  uint_contents: many(4, "uint32"),
  uint64_contents: many(5, "uint64"),
  fp32_contents: many(6, "float"),
  fp64_contents: many(7, "double"),
  bytes_contents: many(8, "bytes"),
});

const inputTensor = {
  name: one(1, "string"),
  datatype: one(2, "string"),
  shape: many(3, "int64"),
  parameters: mapOf(4, "string", InferParameter),
};
const outputTensor = { name: one(1, "string"), parameters: mapOf(2, "string", InferParameter) };
const inferRequest = {
  model_name: one(1, "string"),
  model_version: one(2, "string"),
  id: one(3, "string"),
  parameters: mapOf(4, "string", InferParameter),
};
const InferRequestedOutputTensor = message("ModelInferRequest.InferRequestedOutputTensor", outputTensor);

export const ModelInferRequest = message("ModelInferRequest", {
  ...inferRequest,
  inputs: many(
    5,
    message("ModelInferRequest.InferInputTensor", { ...inputTensor, contents: one(5, InferTensorContents) }),
  ),
  outputs: many(6, InferRequestedOutputTensor),
  raw_input_contents: many(7, "bytes"),
});

/** As the server reads it: values in `contents` stay bytes, which they are on the wire too. */
export const ModelInferRequestView = message("ModelInferRequest", {
  ...inferRequest,
  inputs: many(
    5,
    message("ModelInferRequest.InferInputTensor", {
      ...inputTensor,
      // A message that comes in several parts is the parts one after another.
      contents: many(5, "bytes"),
    }),
  ),
  outputs: many(6, InferRequestedOutputTensor),
  raw_input_contents: many(7, "bytes"),
});

export const ModelInferResponse = message("ModelInferResponse", {
  model_name: one(1, "string"),
  model_version: one(2, "string"),
  id: one(3, "string"),
  parameters: mapOf(4, "string", InferParameter),
  outputs: many(
    5,
    message("ModelInferResponse.InferOutputTensor", {
      ...inputTensor,
      contents: one(5, InferTensorContents),
    }),
  ),
  raw_output_contents: many(6, "bytes"),
});
export const ModelStreamInferResponse = message("ModelStreamInferResponse", {
  error_message: one(1, "string"),
  infer_response: one(2, ModelInferResponse),
});

export const RepositoryIndexRequest = message("RepositoryIndexRequest", {
  repository_name: one(1, "string"),
  ready: one(2, "bool"),
});
export const RepositoryIndexResponse = message("RepositoryIndexResponse", {
  models: many(
    1,
    message("RepositoryIndexResponse.ModelIndex", {
      name: one(1, "string"),
      version: one(2, "string"),
      state: one(3, "string"),
      reason: one(4, "string"),
    }),
  ),
});
const ModelRepositoryParameter = message("ModelRepositoryParameter", {
  bool_param: oneOf(1, "bool", "parameter_choice"),
  int64_param: oneOf(2, "int64", "parameter_choice"),
  string_param: oneOf(3, "string", "parameter_choice"),
  bytes_param: oneOf(4, "bytes", "parameter_choice"),
});
const repositoryModel = {
  repository_name: one(1, "string"),
  model_name: one(2, "string"),
  parameters: mapOf(3, "string", ModelRepositoryParameter),
};
export const RepositoryModelLoadRequest = message("RepositoryModelLoadRequest", repositoryModel);
export const RepositoryModelUnloadRequest = message("RepositoryModelUnloadRequest", repositoryModel);
/** KServe's clients read the name and whether it worked; Triton's expect nothing. */
export const RepositoryModelLoadResponse = message("RepositoryModelLoadResponse", {
  model_name: one(1, "string"),
  isLoaded: one(2, "bool"),
});
export const RepositoryModelUnloadResponse = message("RepositoryModelUnloadResponse", {
  model_name: one(1, "string"),
  isUnloaded: one(2, "bool"),
});

const StatisticDuration = message("StatisticDuration", { count: one(1, "uint64"), ns: one(2, "uint64") });
export const ModelStatisticsRequest = message("ModelStatisticsRequest", {
  name: one(1, "string"),
  version: one(2, "string"),
});
export const ModelStatisticsResponse = message("ModelStatisticsResponse", {
  model_stats: many(
    1,
    message("ModelStatistics", {
      name: one(1, "string"),
      version: one(2, "string"),
      last_inference: one(3, "uint64"),
      inference_count: one(4, "uint64"),
      execution_count: one(5, "uint64"),
      inference_stats: one(
        6,
        message("InferStatistics", {
          success: one(1, StatisticDuration),
          fail: one(2, StatisticDuration),
          queue: one(3, StatisticDuration),
          compute_input: one(4, StatisticDuration),
          compute_infer: one(5, StatisticDuration),
          compute_output: one(6, StatisticDuration),
          cache_hit: one(7, StatisticDuration),
          cache_miss: one(8, StatisticDuration),
        }),
      ),
      batch_stats: many(
        7,
        message("InferBatchStatistics", {
          batch_size: one(1, "uint64"),
          compute_input: one(2, StatisticDuration),
          compute_infer: one(3, StatisticDuration),
          compute_output: one(4, StatisticDuration),
        }),
      ),
    }),
  ),
});

const name = { name: one(1, "string") };
export const SystemSharedMemoryStatusRequest = message("SystemSharedMemoryStatusRequest", name);
export const SystemSharedMemoryStatusResponse = message("SystemSharedMemoryStatusResponse", {
  regions: mapOf(
    1,
    "string",
    message("SystemSharedMemoryStatusResponse.RegionStatus", {
      name: one(1, "string"),
      key: one(2, "string"),
      offset: one(3, "uint64"),
      byte_size: one(4, "uint64"),
    }),
  ),
});
export const SystemSharedMemoryRegisterRequest = message("SystemSharedMemoryRegisterRequest", {
  name: one(1, "string"),
  key: one(2, "string"),
  offset: one(3, "uint64"),
  byte_size: one(4, "uint64"),
});
export const SystemSharedMemoryRegisterResponse = message("SystemSharedMemoryRegisterResponse", {});
export const SystemSharedMemoryUnregisterRequest = message("SystemSharedMemoryUnregisterRequest", name);
export const SystemSharedMemoryUnregisterResponse = message("SystemSharedMemoryUnregisterResponse", {});
export const CudaSharedMemoryStatusRequest = message("CudaSharedMemoryStatusRequest", name);
export const CudaSharedMemoryStatusResponse = message("CudaSharedMemoryStatusResponse", {
  regions: mapOf(
    1,
    "string",
    message("CudaSharedMemoryStatusResponse.RegionStatus", {
      name: one(1, "string"),
      device_id: one(2, "uint64"),
      byte_size: one(3, "uint64"),
    }),
  ),
});
export const CudaSharedMemoryRegisterRequest = message("CudaSharedMemoryRegisterRequest", {
  name: one(1, "string"),
  raw_handle: one(2, "bytes"),
  device_id: one(3, "int64"),
  byte_size: one(4, "uint64"),
});
export const CudaSharedMemoryRegisterResponse = message("CudaSharedMemoryRegisterResponse", {});
export const CudaSharedMemoryUnregisterRequest = message("CudaSharedMemoryUnregisterRequest", name);
export const CudaSharedMemoryUnregisterResponse = message("CudaSharedMemoryUnregisterResponse", {});

const TraceSettingValue = message("TraceSettingRequest.SettingValue", { value: many(1, "string") });
export const TraceSettingRequest = message("TraceSettingRequest", {
  settings: mapOf(1, "string", TraceSettingValue),
  model_name: one(2, "string"),
});
export const TraceSettingResponse = message("TraceSettingResponse", {
  settings: mapOf(1, "string", message("TraceSettingResponse.SettingValue", { value: many(1, "string") })),
});
const logValue = {
  bool_param: oneOf(1, "bool", "parameter_choice"),
  uint32_param: oneOf(2, "uint32", "parameter_choice"),
  string_param: oneOf(3, "string", "parameter_choice"),
};
export const LogSettingsRequest = message("LogSettingsRequest", {
  settings: mapOf(1, "string", message("LogSettingsRequest.SettingValue", logValue)),
});
export const LogSettingsResponse = message("LogSettingsResponse", {
  settings: mapOf(1, "string", message("LogSettingsResponse.SettingValue", logValue)),
});

export const HealthCheckRequest = message("HealthCheckRequest", { service: one(1, "string") });
export const HealthCheckResponse = message("HealthCheckResponse", {
  status: one(
    1,
    enumOf("HealthCheckResponse.ServingStatus", "UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"),
  ),
});
