/** The methods of the gRPC service. To add one, add a row. */
import { isTenonError, TenonError } from "../../base/index.js";
import type { Engine, Model } from "../../runtime/index.js";
import { ModelConfigRequest, ModelConfigResponse } from "../config/messages.js";
import { configMessage, configOf } from "../config/model-config.js";
import { statisticsOf } from "../metrics/statistics.js";
import { modelMetadataOf } from "../oip/model-wire.js";
import { noSharedMemory } from "../oip/request.js";
import { failedLoadText, type OipServer, serverMetadataOf } from "../oip/server.js";
import { decode } from "../protobuf/decode.js";
import { encode } from "../protobuf/encode.js";
import type { DecodedOf, Fields, MessageType, Written } from "../protobuf/table.js";
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

const SERVING = 1;
const NOT_SERVING = 2;

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
  const { engine, repository } = server;
  const isReady = (call: Call): boolean => !call.calls.draining && server.isReady();
  const find = (name: string, version: string | undefined): Model => repository.get(name, version);
  const health: UnaryOptions = { open: true, whileDraining: true };

  const infer: Method = {
    path: `${SERVICE}/ModelInfer`,
    request: m.ModelInferRequest,
    response: m.ModelInferResponse,
    run: async (call, bytes, bodyDone) => {
      const asked = readInfer(call, call, bytes, find);
      const ran = await runInfer(call, asked);
      bodyDone();
      const { parts, held } = answerInfer(ran, asked.message.id, new Map());
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
      ready: isModelReady(engine, name, versionOf(version)),
    })),
    unary(`${SERVICE}/ServerMetadata`, m.ServerMetadataRequest, m.ServerMetadataResponse, () =>
      serverMetadataOf(server),
    ),
    unary(
      `${SERVICE}/ModelMetadata`,
      m.ModelMetadataRequest,
      m.ModelMetadataResponse,
      ({ name, version }, call) => {
        call.model = { name, maxBatch: 0 };
        return modelMetadataOf(engine, find(name, versionOf(version)));
      },
    ),
    infer,
    unary(`${SERVICE}/ModelConfig`, ModelConfigRequest, ModelConfigResponse, ({ name, version }, call) => {
      call.model = { name, maxBatch: 0 };
      return { config: configMessage(configOf(find(name, versionOf(version)))) };
    }),
    unary(
      `${SERVICE}/ModelStatistics`,
      m.ModelStatisticsRequest,
      m.ModelStatisticsResponse,
      ({ name, version }, call) => {
        call.model = { name, maxBatch: 0 };
        const models = name === "" ? engine.models() : [find(name, versionOf(version))];
        return { model_stats: models.map((model) => statisticsOf(model).snapshot()) };
      },
    ),
    ...["System", "Cuda"].flatMap((kind) => [
      unary(
        `${SERVICE}/${kind}SharedMemoryStatus`,
        m.SharedMemoryRequest,
        m.SharedMemoryResponse,
        () => ({}),
      ),
      // Clients unregister everything when they start.
      unary(
        `${SERVICE}/${kind}SharedMemoryUnregister`,
        m.SharedMemoryRequest,
        m.SharedMemoryResponse,
        () => ({}),
      ),
      unary(`${SERVICE}/${kind}SharedMemoryRegister`, m.SharedMemoryRequest, m.SharedMemoryResponse, () => {
        throw noSharedMemory();
      }),
    ]),
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
        if (asked.parameters.size > 0) {
          throw new TenonError("REQUEST_UNSUPPORTED", {
            problem: "this server does not take a config or files with a load; it reads its own repository",
          });
        }
        try {
          await repository.load(name);
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
        repository.unload(name);
        return asked.model_name === "" ? { model_name: name, isUnloaded: true } : {};
      },
    ),
    unary(
      "/grpc.health.v1.Health/Check",
      m.HealthCheckRequest,
      m.HealthCheckResponse,
      ({ service }, call) => {
        if (service !== "" && service !== SERVICE.slice(1)) {
          throw new TenonError("REQUEST_NOT_FOUND", { details: { service } });
        }
        return { status: isReady(call) ? SERVING : NOT_SERVING };
      },
      health,
    ),
  ];
}

/** KServe's messages have the name in the first field, Triton's in the second. */
function nameOf(asked: { readonly repository_name: string; readonly model_name: string }): string {
  return asked.model_name === "" ? asked.repository_name : asked.model_name;
}

function isModelReady(engine: Engine, name: string, version: string | undefined): boolean {
  try {
    engine.get(name, version);
    return true;
  } catch (error) {
    if (isTenonError(error)) return false;
    throw error;
  }
}

function failedLoad(call: Call, name: string, thrown: unknown): TenonError {
  const { text, absent, error } = failedLoadText(name, thrown);
  call.calls.settings.log?.error({ model: name, code: error.code, err: error }, "model not loaded");
  return new TenonError(absent ? "REQUEST_UNSUPPORTED" : "REQUEST_INVALID", {
    problem: text,
    details: { grpc: absent ? 13 : 3 },
  });
}
