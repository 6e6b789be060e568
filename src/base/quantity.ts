/** Numbers as people write them: sizes (`64MiB`), durations (`30s`), counts (`25.6k`), read and printed. */
import { TenonError } from "./errors.js";

type Units = Readonly<Record<string, number>>;

const BYTES: Units = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const MILLISECONDS: Units = { us: 1e-3, ms: 1, s: 1e3, m: 60e3, min: 60e3, h: 3600e3, d: 86_400e3 };
const COUNT: Units = { "": 1, k: 1e3, M: 1e6, G: 1e9 };

/** Bytes of `64MiB`, `2GB`, `512B`; a bare number is refused, since its unit is anyone's guess. */
export function parseBytes(text: string): number {
  return parse(text, BYTES, "a size with its unit, such as 64MiB or 2GB");
}

/** Milliseconds of `30s`, `250ms`, `2h`; a bare number is refused. */
export function parseDuration(text: string): number {
  return parse(text, MILLISECONDS, "a duration with its unit, such as 30s, 250ms or 2h");
}

/** A whole number, also as `25.6k` or `1M`. */
export function parseCount(text: string): number {
  const value = parse(text, COUNT, "a whole number, such as 512 or 4k");
  if (!Number.isSafeInteger(value)) {
    throw new TenonError("CONFIG_INVALID", { given: text, expected: "a whole number, such as 512 or 4k" });
  }
  return value;
}

function parse(text: string, units: Units, expected: string): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined;
  if (!match || unit === undefined) throw new TenonError("CONFIG_INVALID", { given: text, expected });
  const value = Number(match[1]) * unit;
  return Number.isInteger(value) ? value : Number(value.toPrecision(12));
}

/** `1536` → `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  return format(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
}

/** `25600` → `25.6 k`; below a thousand the number itself. */
export function formatCount(count: number): string {
  return format(count, 1000, ["", "k", "M", "G", "T"]);
}

/** Milliseconds in the unit that reads best: `0.042` → `42 us`. */
export function formatDuration(ms: number): string {
  if (ms < 1) return `${trim(ms * 1000)} us`;
  if (ms < 1000) return `${trim(ms)} ms`;
  if (ms < 60_000) return `${trim(ms / 1000)} s`;
  return `${trim(ms / 60_000)} min`;
}

function format(value: number, base: number, units: readonly string[]): string {
  let step = 0;
  while (Math.abs(value) >= base && step < units.length - 1) {
    value /= base;
    step++;
  }
  return `${trim(value)} ${units[step]}`.trimEnd();
}

function trim(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return String(Number(value.toFixed(digits)));
}
