/** Tracing: a span for each request where the user's OpenTelemetry records them, and traces into the log where they are set. */
import type { IncomingHttpHeaders } from "node:http";
import { createRequire } from "node:module";
import { TenonError } from "../../base/index.js";
import type { Inputs, Outputs } from "../../runtime/index.js";
import { dtypeInfo, type Tensor } from "../../tensor/index.js";
import type { ServedModel } from "../served-model.js";
import type { ServerLog } from "./server-log.js";
import type { TraceSettings } from "./trace-settings.js";

/** What is used of `@opentelemetry/api`. */
interface Span {
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
  setAttribute(name: string, value: string | number): unknown;
  setStatus(status: { readonly code: number; readonly message?: string }): unknown;
  end(): void;
}

interface OpenTelemetry {
  readonly trace: {
    getTracerProvider(): { getDelegateTracer?(name: string): unknown };
    getTracer(name: string): {
      startSpan(name: string, options: object, context: unknown): Span;
    };
  };
  readonly propagation: { extract(context: unknown, carrier: object): unknown };
  readonly context: { active(): unknown };
}

/** Where each copy of the package finds what was registered. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");
const KIND_SERVER = 1;
const STATUS_ERROR = 2;

/** Who asks, as far as a trace tells it. */
export interface TracedRequest {
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
}

/** One request that is traced. */
export interface Traced {
  /** W3C's `traceresponse`, for the answer; undefined when no span is recorded. */
  readonly response: string | undefined;
  /** `outcome`: what was answered, or the failure. */
  end(outcome: Outputs | TenonError): void;
}

const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/;

/** The id of the trace that a request belongs to, as W3C's `traceparent` says. */
export function traceIdOf({ traceparent }: IncomingHttpHeaders): string | undefined {
  return typeof traceparent === "string" ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}

export class Tracing {
  readonly #settings: TraceSettings;
  readonly #log: ServerLog | undefined;
  #api: OpenTelemetry | undefined;

  constructor(settings: TraceSettings, log: ServerLog | undefined) {
    this.#settings = settings;
    this.#log = log;
  }

  /** undefined for a request that is neither traced nor told of. */
  start(request: TracedRequest, model: ServedModel, inputs: Inputs): Traced | undefined {
    const log = this.#log;
    const span = this.#span(request, model);
    const sample = this.#settings.active ? this.#settings.sample(model.name) : undefined;
    const told = log?.switches.debug === true;
    if (span === undefined && sample === undefined && !told) return undefined;
    const startedAt = performance.now();
    const context = span?.spanContext();
    const flags = (context?.traceFlags ?? 0).toString(16).padStart(2, "0");
    // What they are told by: the memory of inputs may serve others when the run is over.
    const given = told || sample?.tensors ? valuesOf(inputs) : undefined;
    return {
      response: context === undefined ? undefined : `00-${context.traceId}-${context.spanId}-${flags}`,
      end: (outcome) => {
        const error = outcome instanceof TenonError ? outcome.code : undefined;
        if (error !== undefined) {
          span?.setAttribute("error.type", error);
          span?.setStatus({ code: STATUS_ERROR, message: error });
        }
        span?.end();
        if (log === undefined || (sample === undefined && !told)) return;
        const trace = context?.traceId ?? traceIdOf(request.headers);
        const facts = {
          id: request.id,
          model: model.name,
          version: model.version,
          ...(trace === undefined ? {} : { trace }),
          startNs: Math.round((performance.timeOrigin + startedAt) * 1e6),
          ns: Math.round((performance.now() - startedAt) * 1e6),
          ...(error === undefined ? {} : { error }),
        };
        const made = outcome instanceof TenonError ? undefined : outcome;
        const tensors = { inputs: given, ...(made === undefined ? {} : { outputs: valuesOf(made) }) };
        if (sample !== undefined) log.asked(sample.tensors ? { ...facts, ...tensors } : facts, "trace");
        if (told) log.debug({ ...facts, ...tensors }, "run");
      },
    };
  }

  #span({ id, headers }: TracedRequest, { name, version }: ServedModel): Span | undefined {
    // Where nothing was registered with the package it has nobody to record for, and is not read.
    if (!(REGISTERED in globalThis)) return undefined;
    this.#api ??= openTelemetry();
    const api = this.#api;
    if (api === undefined) return undefined;
    const { trace, propagation, context } = api;
    // Without a provider of the user's nothing records: its spans would only cost.
    const provider = trace.getTracerProvider();
    if (provider.getDelegateTracer !== undefined && provider.getDelegateTracer("tenon") === undefined)
      return undefined;
    const parent = propagation.extract(context.active(), headers);
    const attributes = { "tenon.model.name": name, "tenon.model.version": version, "tenon.request.id": id };
    return trace.getTracer("tenon").startSpan(`infer ${name}`, { kind: KIND_SERVER, attributes }, parent);
  }
}

/** Names, datatypes and shapes; what is in tensors is nobody's to read in a log. */
function valuesOf(tensors: Readonly<Record<string, Tensor>>): readonly object[] {
  return Object.keys(tensors).map((name) => {
    const { dtype, shape } = tensors[name]!;
    return { name, datatype: dtypeInfo(dtype).oip ?? dtype, shape };
  });
}

/** The user's, where the package is installed. */
function openTelemetry(): OpenTelemetry | undefined {
  try {
    return createRequire(import.meta.url)("@opentelemetry/api") as OpenTelemetry;
  } catch {
    return undefined;
  }
}
