/** The log of a command on stderr: JSON lines by pino, or the same records as lines for reading. */
import { type Logger, pino } from "pino";
import type { Knobs } from "../base/index.js";
import { styled } from "./terminal.js";

/** A logger whose times can be changed over. */
export type TimedLogger = Logger & { readonly writeIsoTimes: (iso: boolean) => void };

/** A logger at the level and in the form of the settings `log` and `logFormat`. Writes at once, so a crash loses nothing. */
export function openLog({ log, logFormat }: Pick<Knobs, "log" | "logFormat">): TimedLogger {
  let isIso = false;
  const options = {
    level: log,
    base: null,
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":${isIso ? `"${new Date().toISOString()}"` : Date.now()}`,
  };
  const logger =
    logFormat === "json"
      ? pino(options, pino.destination({ dest: 2, sync: true }))
      : pino(options, { write: (line: string) => void process.stderr.write(`${readable(line)}\n`) });
  const writeIsoTimes = (iso: boolean): void => {
    isIso = iso;
  };
  return Object.assign(logger, { writeIsoTimes });
}

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
