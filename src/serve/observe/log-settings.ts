/** LogSettings: what the server logs, as clients of the logging extension see and set it. */
import { TenonError } from "../../base/index.js";
import type { ServerLog } from "./server-log.js";

export type LogValue = boolean | number | string;

export interface LogState {
  readonly log_file: string;
  readonly log_info: boolean;
  readonly log_warning: boolean;
  readonly log_error: boolean;
  readonly log_verbose_level: number;
  readonly log_format: string;
}

const FORMATS = ["default", "ISO8601"];
const MOST_VERBOSE = 2 ** 32 - 1;

export class LogSettings {
  readonly #log: ServerLog | undefined;
  #verbose: number;
  #format = "default";

  /** Without a log clients may neither see nor set them. */
  constructor(log: ServerLog | undefined) {
    this.#log = log;
    this.#verbose = log?.switches.debug ? 1 : 0;
  }

  get enabled(): boolean {
    return this.#log !== undefined;
  }

  get(): LogState {
    const on = this.#log?.switches;
    return {
      log_file: "",
      log_info: on?.info ?? false,
      log_warning: on?.warn ?? false,
      log_error: on?.error ?? false,
      log_verbose_level: this.#verbose,
      log_format: this.#format,
    };
  }

  /**
   * Sets some, each for itself: every kind of line is on or off, and a verbose level above 0 adds a line for each run.
   * All or none of them are set. Throws REQUEST_INVALID, also for unknown names, and REQUEST_UNSUPPORTED for the file,
   * and for a format that the log does not write.
   */
  update(changes: ReadonlyMap<string, unknown>): LogState {
    const next: Record<string, LogValue> = { ...this.get() };
    for (const [name, value] of changes) {
      if (!Object.hasOwn(next, name)) throw invalid(`unexpected log setting '${name.slice(0, 64)}'`);
      if (name === "log_file") throw unsupported("log file location");
      if (typeof value !== typeof next[name])
        throw invalid(`expect '${name}' to be ${KINDS[typeof next[name]]}`);
      if (name === "log_format" && !FORMATS.includes(String(value)))
        throw invalid(`invalid log_format '${String(value).slice(0, 64)}'`);
      if (name === "log_verbose_level" && !isVerbosity(value))
        throw invalid("expect 'log_verbose_level' to be a non-negative integer");
      next[name] = value as LogValue; // of the kind that it replaces
    }
    this.#apply(next as unknown as LogState); // by the names that it has
    return this.get();
  }

  #apply({ log_error, log_warning, log_info, log_verbose_level, log_format }: LogState): void {
    const log = this.#log;
    if (log === undefined) return;
    if (log_format !== this.#format && !log.writeIsoTimes(log_format === "ISO8601"))
      throw unsupported("log_format");
    this.#format = log_format;
    this.#verbose = log_verbose_level;
    log.switches = { error: log_error, warn: log_warning, info: log_info, debug: log_verbose_level > 0 };
  }
}

const KINDS: Readonly<Record<string, string>> = { boolean: "bool", number: "uint", string: "string" };

function isVerbosity(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MOST_VERBOSE;
}

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}

function unsupported(what: string): TenonError {
  return new TenonError("REQUEST_UNSUPPORTED", {
    problem: `${what} can not be updated through network protocol`,
  });
}
