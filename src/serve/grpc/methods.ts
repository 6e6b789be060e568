/** The methods of the gRPC service. To add one, add a row. */
import { TenonError } from "../../base/index.js";
import { configOf } from "../config/complete.js";
import { ModelConfigRequest, ModelConfigResponse } from "../config/messages.js";
import { statisticsOf } from "../metrics/statistics.js";
import type { LogValue } from "../observe/log-settings.js";
import { modelMetadataOf } from "../oip/model-wire.js";
import {
  countedModel,
  extensionOff,
  failedLoadText,
  type OipServer,
  serverMetadataOf,
} from "../oip/server.js";
import { decode } from "../protobuf/decode.js";
import { encode } from "../protobuf/encode.js";
import type { DecodedOf, Fields, MessageType, Written } from "../protobuf/table.js";
import { overrideOf } from "../repository/load-override.js";
import type { Finder, ServedModel } from "../served-model.js";
import { noSharedMemory, type SharedMemory } from "../shared-memory.js";
import type { Call } from "./call.js";
import { answerInfer, readInfer, runInfer, versionOf } from "./infer.js";
import * as m from "./messages.js";

/** One method of a service. */
export interface Method {
  /** `/inference.GRPCInferenceService/ModelInfer`. */
  readonly path: string;
  /** Needs no key. */
  readonly open?: true;
  /** Answered while the server drains. */
  readonly whileDraining?: true;
  readonly request: MessageType<Fields>;
  readonly response: MessageType<Fields>;
  /** Unary: reads the one message and answers with one. `bodyDone` says that nothing reads the bytes any more. */
  readonly run: (call: Call, message: Buffer, bodyDone: () => void) => Promise<void> | void;
}

const SERVICE = "/inference.GRPCInferenceService";

interface UnaryOptions {
  readonly open?: true;
  readonly whileDraining?: true;
}

/** A method whose messages are read and written whole. */
function unary<Q extends MessageType<Fields>, R extends MessageType<Fields>>(
  path: string,
  request: Q,
  response: R,
  answer: (asked: DecodedOf<Q>, call: Call) => Written<DecodedOf<R>> | Promise<Written<DecodedOf<R>>>,
  options: UnaryOptions = {},
): Method {
  const run: Method["run"] = async (call, bytes) => {
    const asked = decode(request, bytes) as DecodedOf<Q>; // decoded by the very table
    const answered = await answer(asked, call);
    await call.send([encode(response, answered)]);
    call.finish();
  };
  return { path, request, response, run, ...options };
}

/** Every method of the server. */
export function grpcMethods(server: OipServer): readonly Method[] {
  const { repository, memory } = server;
  const isReady = (call: Call): boolean => !call.calls.draining && server.isReady();
  const find = (name: string, version: string | undefined): ServedModel => repository.get(name, version);
  const finder = (name: string, version: string | undefined): Finder => repository.finder(name, version);
  const health: UnaryOptions = { open: true, whileDraining: true };

  const infer: Method = {
    path: `${SERVICE}/ModelInfer`,
    request: m.ModelInferRequest,
    response: m.ModelInferResponse,
    run: async (call, bytes, bodyDone) => {
      const reading = readInfer(call, call, bytes, finder, memory);
      const asked = reading instanceof Promise ? await reading : reading;
      const ran = await runInfer(call, asked);
      bodyDone();
      const { parts, held } = answerInfer(ran, asked.message.id, new Map(), memory);
      await call.send(parts, held);
      call.finish();
    },
  };

  return [
    unary(`${SERVICE}/ServerLive`, m.ServerLiveRequest, m.ServerLiveResponse, () => ({ live: true }), health),
    unary(
      `${SERVICE}/ServerReady`,
      m.ServerReadyRequest,
      m.ServerReadyResponse,
      (_, call) => ({ ready: isReady(call) }),
      health,
    ),
    unary(`${SERVICE}/ModelReady`, m.ModelReadyRequest, m.ModelReadyResponse, ({ name, version }) => ({
      ready: repository.isReady(name, versionOf(version)),
    })),
    unary(`${SERVICE}/ServerMetadata`, m.ServerMetadataRequest, m.ServerMetadataResponse, () =>
      serverMetadataOf(server),
    ),
    unary(
      `${SERVICE}/ModelMetadata`,
      m.ModelMetadataRequest,
      m.ModelMetadataResponse,
      async ({ name, version }, call) => {
        call.model = { name, maxBatch: 0 };
        await repository.wake(name);
        return modelMetadataOf(repository.models(), find(name, versionOf(version)));
      },
    ),
    infer,
    unary(`${SERVICE}/ModelConfig`, ModelConfigRequest, ModelConfigResponse, ({ name, version }, call) => {
      call.model = { name, maxBatch: 0 };
      return { config: configOf(find(name, versionOf(version))) };
    }),
    unary(
      `${SERVICE}/ModelStatistics`,
      m.ModelStatisticsRequest,
      m.ModelStatisticsResponse,
      ({ name, version }, call) => {
        call.model = { name, maxBatch: 0 };
        const models =
          name === "" ? repository.models() : [countedModel(repository, name, versionOf(version))];
        return { model_stats: models.map((model) => statisticsOf(model).snapshot()) };
      },
    ),
    ...sharedMemoryMethods(memory),
    unary(
      `${SERVICE}/RepositoryIndex`,
      m.RepositoryIndexRequest,
      m.RepositoryIndexResponse,
      async ({ ready }) => ({ models: await repository.index(ready) }),
    ),
    unary(
      `${SERVICE}/RepositoryModelLoad`,
      m.RepositoryModelLoadRequest,
      m.RepositoryModelLoadResponse,
      async (asked, call) => {
        if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
        const name = nameOf(asked);
        const override = overrideOf(valuesOf(asked.parameters), (key, value) => {
          if (value instanceof Uint8Array) return value;
          throw new TenonError("REQUEST_INVALID", {
            problem: `failed to load: '${key.slice(0, 128)}' has no bytes_param`,
          });
        });
        try {
          await repository.load(name, override);
        } catch (error) {
          throw failedLoad(call, name, error);
        }
        return asked.model_name === "" ? { model_name: name, isLoaded: true } : {};
      },
    ),
    unary(
      `${SERVICE}/RepositoryModelUnload`,
      m.RepositoryModelUnloadRequest,
      m.RepositoryModelUnloadResponse,
      (asked) => {
        if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
        const name = nameOf(asked);
        repository.unload(name, asked.parameters.get("unload_dependents")?.bool_param);
        return asked.model_name === "" ? { model_name: name, isUnloaded: true } : {};
      },
    ),
    ...settingsMethods(server),
    unary(
      "/grpc.health.v1.Health/Check",
      m.HealthCheckRequest,
      m.HealthCheckResponse,
      ({ service }, call) => {
        if (service !== "" && service !== SERVICE.slice(1)) {
          throw new TenonError("REQUEST_NOT_FOUND", { details: { service } });
        }
        return { status: isReady(call) ? "SERVING" : "NOT_SERVING" };
      },
      health,
    ),
  ];
}

function settingsMethods({ traces, logs, repository }: OipServer): readonly Method[] {
  return [
    unary(
      `${SERVICE}/TraceSetting`,
      m.TraceSettingRequest,
      m.TraceSettingResponse,
      ({ settings, model_name: model }, call) => {
        if (!traces.enabled) throw extensionOff("trace");
        call.model = { name: model, maxBatch: 0 };
        const name = model === "" ? undefined : repository.get(model).name;
        const changes = new Map(
          [...settings].map(([key, { value }]) => [key, value.length === 1 ? value[0]! : value]),
        );
        const state = changes.size === 0 ? traces.get(name) : traces.update(name, changes);
        return {
          settings: new Map(Object.entries(state).map(([key, value]) => [key, { value: [value].flat() }])),
        };
      },
    ),
    unary(`${SERVICE}/LogSettings`, m.LogSettingsRequest, m.LogSettingsResponse, ({ settings }) => {
      if (!logs.enabled) throw extensionOff("logging");
      const changes = new Map(
        [...settings].map(([key, { bool_param, uint32_param, string_param }]) => [
          key,
          bool_param ?? uint32_param ?? string_param,
        ]),
      );
      const state = changes.size === 0 ? logs.get() : logs.update(changes);
      return {
        settings: new Map(
          Object.entries(state).map(([key, value]: [string, LogValue]) => [
            key,
            typeof value === "boolean"
              ? { bool_param: value }
              : typeof value === "number"
                ? { uint32_param: value }
                : { string_param: value },
          ]),
        ),
      };
    }),
  ];
}

type LoadParameters = DecodedOf<typeof m.RepositoryModelLoadRequest>["parameters"];

function valuesOf(parameters: LoadParameters): ReadonlyMap<string, unknown> {
  return new Map(
    [...parameters].map(([key, { string_param, bytes_param, bool_param, int64_param }]) => [
      key,
      string_param ?? bytes_param ?? bool_param ?? int64_param,
    ]),
  );
}

function sharedMemoryMethods(memory: SharedMemory): readonly Method[] {
  const named = (name: string): string | undefined => (name === "" ? undefined : name);
  return [
    unary(
      `${SERVICE}/SystemSharedMemoryStatus`,
      m.SystemSharedMemoryStatusRequest,
      m.SystemSharedMemoryStatusResponse,
      ({ name }) => ({
        regions: new Map(memory.status(named(name)).map((region) => [region.name, region])),
      }),
    ),
    unary(
      `${SERVICE}/SystemSharedMemoryRegister`,
      m.SystemSharedMemoryRegisterRequest,
      m.SystemSharedMemoryRegisterResponse,
      ({ name, key, offset, byte_size }) => {
        memory.register(name, key, Number(offset), Number(byte_size));
        return {};
      },
    ),
    // Clients unregister everything when they start, also where nothing can be registered.
    unary(
      `${SERVICE}/SystemSharedMemoryUnregister`,
      m.SystemSharedMemoryUnregisterRequest,
      m.SystemSharedMemoryUnregisterResponse,
      ({ name }) => {
        memory.unregister(named(name));
        return {};
      },
    ),
    unary(
      `${SERVICE}/CudaSharedMemoryStatus`,
      m.CudaSharedMemoryStatusRequest,
      m.CudaSharedMemoryStatusResponse,
      () => ({}),
    ),
    unary(
      `${SERVICE}/CudaSharedMemoryUnregister`,
      m.CudaSharedMemoryUnregisterRequest,
      m.CudaSharedMemoryUnregisterResponse,
      () => ({}),
    ),
    unary(
      `${SERVICE}/CudaSharedMemoryRegister`,
      m.CudaSharedMemoryRegisterRequest,
      m.CudaSharedMemoryRegisterResponse,
      () => {
        throw noSharedMemory();
      },
    ),
  ];
}

/** KServe's messages have the name in the first field, Triton's in the second. */
function nameOf(asked: { readonly repository_name: string; readonly model_name: string }): string {
  return asked.model_name === "" ? asked.repository_name : asked.model_name;
}

function failedLoad(call: Call, name: string, thrown: unknown): TenonError {
  const { text, absent, error } = failedLoadText(name, thrown);
  call.calls.settings.log?.error({ model: name, code: error.code, err: error }, "model not loaded");
  return new TenonError(absent ? "REQUEST_UNSUPPORTED" : "REQUEST_INVALID", {
    problem: text,
    details: { grpc: absent ? 13 : 3 },
  });
}
