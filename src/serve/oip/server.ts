/** What every protocol of one server works on, and what the server says of itself. */
import { createRequire } from "node:module";
import { isTenonError, TenonError, toTenonError } from "../../base/index.js";
import type { Engine } from "../../runtime/index.js";
import type { Strikes } from "../http/strikes.js";
import type { Processes } from "../metrics/processes.js";
import type { LogSettings } from "../observe/log-settings.js";
import type { TraceSettings } from "../observe/trace-settings.js";
import type { Tracing } from "../observe/tracing.js";
import { reasonOf } from "../repository/notes.js";
import type { ModelRepository } from "../repository/repository.js";
import type { ServedModel } from "../served-model.js";
import type { SharedMemory } from "../shared-memory.js";
import type { ScanPool } from "./scan-pool.js";

export interface OipServer {
  readonly engine: Engine;
  readonly repository: ModelRepository;
  readonly scans: ScanPool;
  readonly strikes: Strikes;
  readonly memory: SharedMemory;
  readonly traces: TraceSettings;
  readonly logs: LogSettings;
  readonly tracing: Tracing;
  readonly processes: Processes;
  readonly serverName: string;
  readonly isReady: () => boolean;
}

/** Names of the protocol's extensions that are on. */
const EXTENSIONS = [
  "classification",
  "sequence",
  "schedule_policy",
  "model_configuration",
  "binary_tensor_data",
  "parameters",
  "statistics",
] as const;

const { version } = createRequire(import.meta.url)("../../../package.json") as { version: string };

export const packageVersion = version;

/** The answer of the server metadata call. */
export function serverMetadataOf({ serverName, repository, memory, traces, logs }: OipServer): {
  readonly name: string;
  readonly version: string;
  readonly extensions: readonly string[];
} {
  const shared = [
    ...(memory.enabled ? ["system_shared_memory"] : []),
    ...(traces.enabled ? ["trace"] : []),
    ...(logs.enabled ? ["logging"] : []),
  ];
  return { name: serverName, version, extensions: [...EXTENSIONS, ...shared, ...repository.extensions] };
}

/** The answer to calls of an extension that is off. */
export function extensionOff(name: string): TenonError {
  return new TenonError("REQUEST_UNSUPPORTED", {
    problem: `the extension ${name} is off; the server is started with --extensions ${name} for it`,
  });
}

/** The model whose statistics are asked for. Throws REQUEST_INVALID, as Triton does here, for one that is not there. */
export function countedModel(
  repository: ModelRepository,
  name: string,
  version: string | undefined,
): ServedModel {
  try {
    return repository.get(name, version);
  } catch (error) {
    if (!isTenonError(error, "MODEL_NOT_FOUND") || error.details.known !== false) throw error;
    throw new TenonError("REQUEST_INVALID", { problem: `requested model '${name}' is not available` });
  }
}

/** Triton's words for a load that failed; the reason is a code and its sentence, and the log has the rest. */
export function failedLoadText(
  model: string,
  thrown: unknown,
): { readonly text: string; readonly absent: boolean; readonly error: TenonError } {
  const error = toTenonError(thrown);
  const absent = error.code === "MODEL_NOT_FOUND";
  const text = absent
    ? `failed to load '${model}', failed to poll from model repository`
    : `load failed for model '${model}': failed to load: ${reasonOf(error)}`;
  return { text, absent, error };
}
