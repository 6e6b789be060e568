/** SCHEMAS: the bodies of the protocol's requests and answers; those of texts are beside. */

import { DTYPES, type DType, dtypeInfo } from "../../tensor/index.js";
import type { Duration, StatisticsSnapshot } from "../metrics/statistics.js";
import type { LogState } from "../observe/log-settings.js";
import type { TraceState } from "../observe/trace-settings.js";
import type { IndexRow, ModelState } from "../repository/notes.js";
import type { ComparisonReport } from "../rollout/comparison.js";
import type { RolloutReport } from "../rollout/rollout.js";
import type { Region } from "../shared-memory.js";
import { asked, COUNT, FLAG, listOf, NUMBER, orNull, refTo, type Schema, TEXT, written } from "./schema.js";
import { TEXT_SCHEMAS } from "./text-schemas.js";

const STATES: readonly ModelState[] = ["READY", "UNAVAILABLE", "LOADING", "UNLOADING"];

const DATATYPE: Schema = {
  enum: (Object.keys(DTYPES) as DType[]).map((dtype) => dtypeInfo(dtype).oip).filter((name) => name !== null),
};
const VERSION: Schema = { type: "string", pattern: "^[0-9]{1,18}$" };
const DURATION = written<Duration>({ count: COUNT, ns: COUNT });
const TENSOR_METADATA = { name: TEXT, datatype: DATATYPE, shape: listOf({ type: "integer", minimum: -1 }) };
const PARAMETERS: Schema = {
  type: "object",
  additionalProperties: { type: ["boolean", "number", "string"] },
};
/** As read from a request: flat, or nested as the shape is. */
const DATA: Schema = { type: "array" };
const DIFFERENCE = orNull({ anyOf: [NUMBER, { const: "Infinity" }] });
const SHARE: Schema = { type: "number", minimum: 0, maximum: 1 };

const OIP_SCHEMAS = {
  Error: written<{ error: string }>({ error: TEXT }),
  ServerMetadata: written<{ name: string; version: string; extensions: string[] }>({
    name: TEXT,
    version: TEXT,
    extensions: listOf(TEXT),
  }),
  Health: written<{ live: boolean; ready: boolean }>({ live: FLAG, ready: FLAG }),
  ModelMetadata: written({
    name: TEXT,
    versions: listOf(VERSION),
    platform: TEXT,
    inputs: listOf(written(TENSOR_METADATA)),
    outputs: listOf(written(TENSOR_METADATA)),
  }),
  ModelConfig: {
    ...asked(
      {
        name: TEXT,
        platform: TEXT,
        backend: TEXT,
        max_batch_size: { type: "integer" },
        input: listOf({ type: "object" }),
        output: listOf({ type: "object" }),
      },
      ["name", "max_batch_size", "input", "output"],
    ),
    description: "Triton's ModelConfig as JSON.",
  },
  ModelStatistics: written({
    model_stats: listOf(
      written<StatisticsSnapshot>({
        name: TEXT,
        version: VERSION,
        last_inference: COUNT,
        inference_count: COUNT,
        execution_count: COUNT,
        inference_stats: written<StatisticsSnapshot["inference_stats"]>({
          success: DURATION,
          fail: DURATION,
          queue: DURATION,
          compute_input: DURATION,
          compute_infer: DURATION,
          compute_output: DURATION,
          cache_hit: DURATION,
          cache_miss: DURATION,
        }),
        response_stats: { type: "object" },
        batch_stats: listOf(
          written<StatisticsSnapshot["batch_stats"][number]>({
            batch_size: COUNT,
            compute_input: DURATION,
            compute_infer: DURATION,
            compute_output: DURATION,
          }),
        ),
        memory_usage: { type: "array", maxItems: 0 },
      }),
    ),
  }),
  InferRequest: asked(
    {
      id: TEXT,
      parameters: PARAMETERS,
      inputs: listOf(
        asked({ name: TEXT, datatype: DATATYPE, shape: listOf(COUNT), parameters: PARAMETERS, data: DATA }, [
          "name",
          "datatype",
          "shape",
        ]),
      ),
      outputs: listOf(asked({ name: TEXT, parameters: PARAMETERS }, ["name"])),
    },
    ["inputs"],
  ),
  InferAnswer: written(
    {
      id: TEXT,
      model_name: TEXT,
      model_version: VERSION,
      outputs: listOf(
        written(
          {
            name: TEXT,
            datatype: DATATYPE,
            shape: listOf(COUNT),
            data: DATA,
            parameters: written({ binary_data_size: COUNT }),
          },
          ["data", "parameters"],
        ),
      ),
    },
    ["id"],
  ),
  GenerateRequest: { type: "object", description: "Inputs by name, as a value or a flat array; parameters." },
  GenerateAnswer: {
    ...asked({ id: TEXT, model_name: TEXT, model_version: VERSION }, ["model_name", "model_version"]),
    description: "Beside these the outputs by name, as a value or a flat array.",
  },
  IndexRequest: asked({ ready: FLAG }),
  RepositoryIndex: listOf(
    written<IndexRow>({ name: TEXT, version: VERSION, state: { enum: STATES }, reason: TEXT }, [
      "version",
      "state",
      "reason",
    ]),
  ),
  LoadRequest: asked({
    parameters: {
      type: "object",
      description: "`config` as JSON, and files as base64 by `file:<version>/<name>`.",
      additionalProperties: { type: ["boolean", "number", "string"] },
    },
  }),
  UnloadRequest: asked({ parameters: asked({ unload_dependents: FLAG }) }),
  RolloutRequest: asked(
    {
      version: { type: "string", pattern: "^[1-9][0-9]{0,8}$" },
      percent: { type: "integer", minimum: 0, maximum: 100, default: 0 },
      mirror: { ...FLAG, default: true },
    },
    ["version"],
  ),
  Rollout: written<RolloutReport>({
    model: TEXT,
    stable: VERSION,
    candidate: VERSION,
    percent: { type: "integer", minimum: 0, maximum: 100 },
    mirror: FLAG,
    answered: written<RolloutReport["answered"]>({ stable: COUNT, candidate: COUNT }),
    compared: written<ComparisonReport>({
      requests: COUNT,
      failed: COUNT,
      unlike: COUNT,
      outputs: {
        type: "object",
        additionalProperties: written<ComparisonReport["outputs"][string]>({
          maxDifference: DIFFERENCE,
          meanDifference: DIFFERENCE,
          argmaxAgreement: orNull(SHARE),
          equal: SHARE,
        }),
      },
    }),
  }),
  TraceSettings: written<TraceState>({
    trace_level: listOf(TEXT),
    trace_rate: TEXT,
    trace_count: TEXT,
    log_frequency: TEXT,
    trace_file: TEXT,
    trace_mode: TEXT,
  }),
  TraceChanges: {
    type: "object",
    additionalProperties: { anyOf: [{ type: ["string", "number", "null"] }, listOf(TEXT)] },
  },
  LogSettings: written<LogState>({
    log_file: TEXT,
    log_info: FLAG,
    log_warning: FLAG,
    log_error: FLAG,
    log_verbose_level: COUNT,
    log_format: TEXT,
  }),
  LogChanges: {
    ...asked({
      log_info: FLAG,
      log_warning: FLAG,
      log_error: FLAG,
      log_verbose_level: COUNT,
      log_format: { enum: ["default", "ISO8601"] },
    }),
    additionalProperties: false,
  },
  RegisterRequest: asked({ key: TEXT, offset: COUNT, byte_size: COUNT }, ["key", "byte_size"]),
  SharedMemoryRegions: listOf(written<Region>({ name: TEXT, key: TEXT, offset: COUNT, byte_size: COUNT })),
  OpenApi: { type: "object", description: "This document." },
} as const satisfies Readonly<Record<string, Schema>>;

/** By the names that route rows use. */
export const SCHEMAS = { ...OIP_SCHEMAS, ...TEXT_SCHEMAS };

export type SchemaName = keyof typeof SCHEMAS;

/** A schema of the document, by its name there. */
export function schemaRef(name: SchemaName): Schema {
  return refTo(name);
}
