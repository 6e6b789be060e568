/** The protocol's words for every error: Triton's texts where Triton has one, and never a path or a native line. */
import { ERROR_CODES, type ErrorCode, type TenonError } from "../../base/index.js";
import { dtypeInfo, isDType } from "../../tensor/index.js";

/** What a text may name besides the error's own details. */
export interface ErrorContext {
  readonly model: string;
  /** The request's `id` member, where it was read. */
  readonly id: string | undefined;
  /** Rows that one request may have; 0 when the model takes no batches. */
  readonly maxBatch: number;
}

type Words = (error: TenonError, context: ErrorContext) => string;

/** The message as it was written by this layer, in the protocol's words already. */
const asWritten: Words = (error) => error.message;

/** The sentence of the code: the message may hold what is not for clients. */
const codeOnly: Words = (error) => ERROR_CODES[error.code].replace(/\.$/, "");

/** Triton names the request in front of errors that arise after it was parsed. */
function withId(words: Words): Words {
  return (error, context) => `[request id: ${context.id || "<id_unknown>"}] ${words(error, context)}`;
}

/** As written, behind the request's name where Triton names it there. */
const asWrittenFor: Words = (error, context) =>
  error.details.named === true ? withId(asWritten)(error, context) : error.message;

// Total: a new code does not compile before it has its words.
const WORDS: { readonly [Code in ErrorCode]: Words } = {
  INTERNAL: codeOnly,
  USAGE: codeOnly,
  CONFIG_INVALID: codeOnly,
  FILE_NOT_FOUND: codeOnly,
  FILE_INVALID: codeOnly,
  DEPENDENCY_MISSING: codeOnly,
  TENSOR_SHAPE: codeOnly,
  TENSOR_DTYPE: codeOnly,
  TENSOR_VALUE: withId(asWritten),
  MODEL_INVALID: codeOnly,
  MODEL_UNSUPPORTED: codeOnly,
  MODEL_NOT_FOUND: ({ details }, { model }) => {
    if (details.unloaded === true) {
      return `Request for unknown model: '${text(details.model, model)}' has no available versions`;
    }
    const version = typeof details.version !== "string" ? "" : ` version ${details.version}`;
    return `Request for unknown model: '${text(details.model, model)}'${version} is not found`;
  },
  MODEL_CONTROL_OFF: () => "explicit model load / unload is not allowed if polling is enabled",
  MODEL_UNAVAILABLE: ({ details }, { model }) =>
    `Request for unknown model: '${text(details.model, model)}' has no available versions`,
  MODEL_CRASHED: withId(codeOnly),
  INPUT_MISSING: withId(({ details }, { model }) => {
    const all = names(details.inputs);
    const given = names(details.given);
    const missing = quoted(names(details.missing));
    return (
      `expected ${all.length} inputs but got ${given.length} inputs for model '${model}'. ` +
      `Got input(s) [${quoted(given)}], but missing required input(s) [${missing}]. ` +
      "Please provide all required input(s)."
    );
  }),
  INPUT_UNKNOWN: ({ details }, { model }) =>
    `unexpected inference input '${text(details.input)}' for model '${model}'`,
  INPUT_DUPLICATE: withId(asWritten),
  INPUT_DTYPE: withId(
    ({ details }, { model }) =>
      `inference input '${text(details.input)}' data-type is '${datatype(details.dtype)}', ` +
      `but model '${model}' expects '${datatype(details.expectedDtype)}'`,
  ),
  INPUT_SHAPE: withId(({ details }, { model, maxBatch }) => {
    const note =
      maxBatch > 0 ? " NOTE: this model takes batches: the first dimension of each input is the batch." : "";
    return (
      `unexpected shape for input '${text(details.input)}' for model '${model}'. ` +
      `Expected ${dims(details.dims)}, got ${dims(details.shape)}.${note}`
    );
  }),
  INPUT_BATCH: withId(({ details }, { model, maxBatch }) =>
    details.input === undefined
      ? `inference request batch-size must be <= ${maxBatch} for '${model}'`
      : `input '${text(details.input)}' batch size does not match other inputs for '${model}'`,
  ),
  INPUT_SIZE: asWrittenFor,
  INPUT_VALUE: asWritten,
  INPUT_QUARANTINED: withId(codeOnly),
  OUTPUT_UNKNOWN: ({ details }, { model }) =>
    `unexpected inference output '${text(details.output)}' for model '${model}'`,
  REQUEST_INVALID: asWrittenFor,
  REQUEST_NOT_FOUND: (error) => (error.details.spoken === true ? error.message : "Not Found"),
  REQUEST_METHOD: ({ details }) =>
    details.path === undefined ? "Method Not Allowed" : `unknown method '${text(details.path)}'`,
  REQUEST_TOO_LARGE: asWritten,
  REQUEST_TIMEOUT: asWritten,
  REQUEST_UNSUPPORTED: asWritten,
  REQUEST_UNAUTHORIZED: asWritten,
  REQUEST_FORBIDDEN: asWritten,
  RATE_LIMITED: asWritten,
  QUEUE_FULL: withId(() => "Exceeds maximum queue size"),
  QUEUE_TIMEOUT: () => "Request timeout expired",
  DEADLINE: () => "Request timeout expired",
  CANCELLED: withId(() => "the request was cancelled"),
  ENGINE_CLOSED: (_, { model }) => `Request for unknown model: '${model}' has no available versions`,
  ENGINE_LIBRARY: codeOnly,
  ENGINE_FAILED: withId(codeOnly),
  ENGINE_PROVIDER: codeOnly,
  TEXT_TOO_LONG: codeOnly,
  TOKENIZER_UNSUPPORTED: codeOnly,
  UNKNOWN_POOLING: codeOnly,
  DIMS_MISMATCH: asWritten,
  GOLDEN_MISMATCH: codeOnly,
  MODEL_INCOMPLETE: codeOnly,
  SERVER_DRAINING: () => "Server is shutting down",
  PLAN_MISMATCH: codeOnly,
  ROWS_REFUSED: codeOnly,
  TRAINING_DIVERGED: codeOnly,
  INTERRUPTED: codeOnly,
  ADDRESS_IN_USE: codeOnly,
  SERVER_FAILED: codeOnly,
};

/** The text of the `error` member of an answer. */
export function errorText(error: TenonError, context: ErrorContext): string {
  const { ensemble, model } = error.details;
  if (typeof ensemble !== "string") return WORDS[error.code](error, context);
  return `in ensemble '${ensemble}', ${WORDS[error.code](error, { ...context, model: text(model) })}`;
}

function text(value: unknown, fallback = ""): string {
  return value === undefined ? fallback : String(value).slice(0, 128);
}

function names(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map((name) => text(name)) : [];
}

function quoted(list: readonly string[]): string {
  return list.map((name) => `'${name}'`).join(",");
}

function dims(value: unknown): string {
  if (!Array.isArray(value)) return "any shape";
  return `[${value.map((dim) => (typeof dim === "number" ? dim : -1)).join(",")}]`;
}

function datatype(value: unknown): string {
  return typeof value === "string" && isDType(value) ? (dtypeInfo(value).oip ?? value) : text(value);
}
