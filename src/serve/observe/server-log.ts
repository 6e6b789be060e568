/** ServerLog: the log of a server, whose kinds of lines are switched on and off while it runs. */

/** Where lines go: what pino's loggers are. */
export interface ServeLog {
  /** `error`, `warn`, `info`, `debug` or `silent`. */
  level?: string;
  isLevelEnabled(level: string): boolean;
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A log that goes to the same place and has a level of its own. */
  child?(bindings: object): ServeLog;
  /** Times as ISO 8601, or as milliseconds since 1970; without it the format cannot be set. */
  writeIsoTimes?(iso: boolean): void;
}

/** Which lines are written. */
export interface LogSwitches {
  readonly error: boolean;
  readonly warn: boolean;
  readonly info: boolean;
  readonly debug: boolean;
}

export class ServerLog {
  readonly #out: ServeLog;
  #on: LogSwitches;

  /** Begins with the level of `out`, whose own stays as it is where it can make a child. */
  constructor(out: ServeLog) {
    this.#on = {
      error: out.isLevelEnabled("error"),
      warn: out.isLevelEnabled("warn"),
      info: out.isLevelEnabled("info"),
      debug: out.isLevelEnabled("debug"),
    };
    this.#out = out.child?.({}) ?? out;
  }

  get switches(): LogSwitches {
    return this.#on;
  }

  set switches(on: LogSwitches) {
    this.#on = on;
    this.#open(on.debug ? "debug" : "info");
  }

  /** Sets how times are written. False where the log has one way only. */
  writeIsoTimes(iso: boolean): boolean {
    this.#out.writeIsoTimes?.(iso);
    return this.#out.writeIsoTimes !== undefined;
  }

  debug(fields: object, message: string): void {
    if (this.#on.debug) this.#out.debug(fields, message);
  }

  info(fields: object, message: string): void {
    if (this.#on.info) this.#out.info(fields, message);
  }

  warn(fields: object, message: string): void {
    if (this.#on.warn) this.#out.warn(fields, message);
  }

  error(fields: object, message: string): void {
    if (this.#on.error) this.#out.error(fields, message);
  }

  /** A line of level `info` that somebody asked for, whatever is on. */
  asked(fields: object, message: string): void {
    if (!this.#out.isLevelEnabled("info")) this.#open("info");
    this.#out.info(fields, message);
  }

  /** Lets all lines down to a level pass: the switches choose among them. */
  #open(level: string): void {
    if (this.#out.level !== undefined) this.#out.level = level;
  }
}
