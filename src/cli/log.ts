/** The log of a command on stderr: JSON lines by pino, or the same records as lines for reading. */
import { createRequire } from "node:module";
import type { Logger } from "pino";
import type { Knobs } from "../base/index.js";
import type { ServeLog } from "../serve/index.js";
import { styled } from "./terminal.js";

/** Levels of lines, the weightiest first. */
const LEVELS = ["error", "warn", "info", "debug"] as const;

/**
 * A log at the level and in the form of the settings `log` and `logFormat`. Writes at once, so a crash loses nothing.
 * Most servers begin without a line: pino is read for the first one.
 */
export function openLog({ log, logFormat }: Pick<Knobs, "log" | "logFormat">): ServeLog {
  let isIso = false;
  const make = (): Logger => {
    const { pino } = createRequire(import.meta.url)("pino") as typeof import("pino");
    const options = {
      level: "debug",
      base: null,
      formatters: { level: (label: string) => ({ level: label }) },
      timestamp: () => `,"time":${isIso ? `"${new Date().toISOString()}"` : Date.now()}`,
    };
    return logFormat === "json"
      ? pino(options, pino.destination({ dest: 2, sync: true }))
      : pino(options, { write: (line: string) => void process.stderr.write(`${readable(line)}\n`) });
  };
  let logger: Logger | undefined;
  const own = {
    level: log as string,
    isLevelEnabled: (level: string) => LEVELS.indexOf(level as Level) <= LEVELS.indexOf(own.level as Level),
    writeIsoTimes: (iso: boolean) => {
      isIso = iso;
    },
  };
  const writer = (level: Level) => (fields: object, message: string) => {
    if (!own.isLevelEnabled(level)) return;
    logger ??= make();
    logger[level](fields, message);
  };
  const lines = {
    error: writer("error"),
    warn: writer("warn"),
    info: writer("info"),
    debug: writer("debug"),
  };
  return Object.assign(own, lines);
}

type Level = (typeof LEVELS)[number];

const STYLES = { error: "red", warn: "yellow", info: "green", debug: "dim" } as const;

/** `12:00:01.250 info  POST /v2/models/m/infer 200  model=m`: time, level, message, further fields. */
export function readable(line: string): string {
  const { time, level, msg, ...fields }: Record<string, unknown> = JSON.parse(line);
  const name = String(level).padEnd(5);
  const style = STYLES[level as keyof typeof STYLES];
  const at = new Date(time as number | string).toISOString();
  const clock = typeof time === "string" ? at : at.slice(11, 23);
  const rest = Object.entries(fields).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const text = [msg, ...rest].filter((part) => part !== undefined && part !== "").join("  ");
  return `${clock} ${style === undefined ? name : styled(style, name, process.stderr)} ${text}`;
}
