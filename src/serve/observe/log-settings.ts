/** LogSettings: what the server logs, as clients of the logging extension see and set it. */
import { TenonError } from "../../base/index.js";
import type { ServeLog } from "../http/settings.js";

export type LogValue = boolean | number | string;

export interface LogState {
  readonly log_file: string;
  readonly log_info: boolean;
  readonly log_warning: boolean;
  readonly log_error: boolean;
  readonly log_verbose_level: number;
  readonly log_format: string;
}

/** Levels of the log, the quietest first. */
const LEVELS = ["error", "warn", "info", "debug"] as const;

export class LogSettings {
  /** False: clients may neither see nor set them. */
  readonly enabled: boolean;
  readonly #log: ServeLog | undefined;
  #state: LogState;

  constructor(enabled: boolean, log: ServeLog | undefined) {
    this.enabled = enabled;
    this.#log = log;
    const at = (LEVELS as readonly string[]).indexOf(log?.level ?? "info");
    this.#state = {
      log_file: "",
      log_info: at >= 2,
      log_warning: at >= 1,
      log_error: at >= 0,
      log_verbose_level: at >= 3 ? 1 : 0,
      log_format: "default",
    };
  }

  get(): LogState {
    return this.#state;
  }

  /** Sets some; unknown names are refused. Throws REQUEST_INVALID, REQUEST_UNSUPPORTED for the file. */
  update(changes: ReadonlyMap<string, unknown>): LogState {
    const next: Record<string, LogValue> = { ...this.#state };
    for (const [name, value] of changes) {
      if (!Object.hasOwn(next, name)) throw invalid(`unexpected log setting '${name.slice(0, 64)}'`);
      if (name === "log_file") {
        throw new TenonError("REQUEST_UNSUPPORTED", {
          problem: "log file location can not be updated through network protocol",
        });
      }
      if (typeof value !== typeof next[name])
        throw invalid(`expect '${name}' to be ${KINDS[typeof next[name]]}`);
      if (name === "log_format" && value !== "default" && value !== "ISO8601")
        throw invalid(`invalid log_format '${String(value).slice(0, 64)}'`);
      if (name === "log_verbose_level" && !(Number.isInteger(value) && Number(value) >= 0))
        throw invalid("expect 'log_verbose_level' to be a non-negative integer");
      next[name] = value as LogValue; // of the kind that it replaces
    }
    this.#state = next as unknown as LogState; // by the names that it has
    const { log_verbose_level: verbose, log_info, log_warning, log_error } = this.#state;
    const level =
      verbose > 0 ? "debug" : log_info ? "info" : log_warning ? "warn" : log_error ? "error" : "silent";
    if (this.#log !== undefined && this.#log.level !== undefined) this.#log.level = level;
    return this.#state;
  }
}

const KINDS: Readonly<Record<string, string>> = { boolean: "bool", number: "uint", string: "string" };

function invalid(problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem });
}
