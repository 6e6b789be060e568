/** What a command prints: results on stdout, progress and failures on stderr, colour only where it is wanted. */
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];
type Stream = NodeJS.WriteStream;

/** Colour is on for terminals; `NO_COLOR` and `TERM=dumb` turn it off, `FORCE_COLOR` on (0: off). */
export function colourful(
  stream: { readonly isTTY?: boolean },
  env: NodeJS.ProcessEnv = process.env,
): boolean {
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "") return env.FORCE_COLOR !== "0";
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** `text` in a style where the stream takes colour, else as it is. */
export function styled(style: Style, text: string, stream: Stream = process.stdout): string {
  return colourful(stream) ? styleText(style, text) : text;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON document on one line; bigints are printed as exact numbers, NaN and infinities as texts. */
export function printJson(value: unknown): void {
  print(toJson(value));
}

/** JSON with exact int64; other values than JSON knows become texts (`"NaN"`, `"Infinity"`). */
export function toJson(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return `"${value}"`;
  if (Array.isArray(value)) return `[${value.map((item) => toJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null && !("toJSON" in value)) {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${toJson(field)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** A notice beside the result: stderr, so that a pipe gets the result alone. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export function warn(text: string): void {
  note(`${styled("yellow", "warning", process.stderr)} ${text}`);
}

/** A line that is overwritten in place while work goes on; silent unless stderr is a terminal and CI is unset. */
export function progress(): { show(text: string): void; clear(): void } {
  const live = process.stderr.isTTY === true && !process.env.CI && process.env.TERM !== "dumb";
  const write = (text: string): void => {
    if (live) process.stderr.write(`\r\u001b[K${text}`);
  };
  return {
    show: (text) => write(text.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1))),
    clear: () => write(""),
  };
}

/** Rows as aligned columns; columns named in `right` are flushed right. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
