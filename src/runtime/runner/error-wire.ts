/** Errors on their way from a model process: their parts as JSON, checked before they are believed. */
import { ERROR_CODES, type ErrorCode, TenonError } from "../../base/index.js";

/** Longest text taken over from a model process. */
const LONGEST = 16_384;

/** What ONNX Runtime said in a model process; holds paths and native source lines, so it is for logs only. */
class ProcessError extends Error {}

export function errorToJson(error: TenonError): Record<string, unknown> {
  const { code, problem, given, expected, details } = error;
  const cause = error.cause instanceof Error ? error.cause.message : undefined;
  return { code, problem, given, expected, do: error.do, details: plain(details), cause };
}

function plain(details: Readonly<Record<string, unknown>>): unknown {
  try {
    return JSON.parse(JSON.stringify(details));
  } catch {
    return {};
  }
}

export function errorFromJson(value: unknown): TenonError {
  const parts = typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  const text = (name: string): string | undefined => {
    const part = parts[name];
    return typeof part === "string" ? part.slice(0, LONGEST) : undefined;
  };
  const code = text("code");
  const known = code !== undefined && Object.hasOwn(ERROR_CODES, code);
  const fields = ["problem", "given", "expected", "do"].flatMap((name) => {
    const part = text(name);
    return part === undefined ? [] : [[name, part]];
  });
  const cause = text("cause");
  const { details } = parts;
  return new TenonError(known ? (code as ErrorCode) : "INTERNAL", {
    ...Object.fromEntries(fields),
    details: typeof details === "object" && details !== null ? (details as Record<string, unknown>) : {},
    ...(cause === undefined ? {} : { cause: new ProcessError(cause) }),
  });
}
