/** What the exit code of a command tells, and which error leads to which. */
import { type ErrorCode, isTenonError } from "../base/index.js";

export const EXIT = {
  done: 0,
  failure: 1,
  usage: 2,
  mismatch: 3,
  data: 4,
  resumable: 5,
  interrupted: 130,
} as const;

/** One line each, as `--help` and docs/guide/cli.md print them. */
export const EXIT_MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  done: "done",
  failure: "failed while it ran; a retry may help",
  usage: "wrong arguments, settings or paths",
  mismatch: "the inputs do not fit the model",
  data: "a file is damaged or refused, or holds a value that cannot be read",
  resumable: "stopped before its end; the same command goes on",
  interrupted: "interrupted",
};

/** Every other code is a `failure`. */
const EXIT_OF: Readonly<Partial<Record<ErrorCode, number>>> = {
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  FILE_NOT_FOUND: EXIT.usage,
  ADDRESS_IN_USE: EXIT.usage,
  INPUT_MISSING: EXIT.mismatch,
  INPUT_UNKNOWN: EXIT.mismatch,
  INPUT_DUPLICATE: EXIT.mismatch,
  INPUT_DTYPE: EXIT.mismatch,
  INPUT_SHAPE: EXIT.mismatch,
  INPUT_BATCH: EXIT.mismatch,
  INPUT_QUARANTINED: EXIT.mismatch,
  OUTPUT_UNKNOWN: EXIT.mismatch,
  PLAN_MISMATCH: EXIT.mismatch,
  TEXT_TOO_LONG: EXIT.data,
  TOKENIZER_UNSUPPORTED: EXIT.data,
  UNKNOWN_POOLING: EXIT.usage,
  DIMS_MISMATCH: EXIT.usage,
  MODEL_INCOMPLETE: EXIT.usage,
  FILE_INVALID: EXIT.data,
  ROWS_REFUSED: EXIT.data,
  TRAINING_DIVERGED: EXIT.data,
  INTERRUPTED: EXIT.resumable,
  INPUT_SIZE: EXIT.data,
  INPUT_VALUE: EXIT.data,
  TENSOR_VALUE: EXIT.data,
  TENSOR_SHAPE: EXIT.data,
  CANCELLED: EXIT.interrupted,
};

export function exitCodeOf(error: unknown): number {
  return isTenonError(error) ? (EXIT_OF[error.code] ?? EXIT.failure) : EXIT.failure;
}

/** The table as lines of a help text. */
export function exitCodeHelp(): string {
  const lines = Object.entries(EXIT_MEANINGS).map(
    ([name, meaning]) => `  ${String(EXIT[name as keyof typeof EXIT]).padEnd(5)}${meaning}`,
  );
  return `\nExit codes:\n${lines.join("\n")}`;
}
