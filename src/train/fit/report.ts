/** reporter: a fit's events on a terminal as one line that renews itself, elsewhere as plain lines. */
import { formatCount, formatDuration } from "../../base/index.js";
import type { FitEvent, StepEvent } from "./events.js";

export interface ReporterOptions {
  /** Default: stderr. */
  readonly stream?: { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };
  /** Milliseconds between renewals on a terminal; default 100. */
  readonly every?: number;
}

const BARS = "▁▂▃▄▅▆▇█";
const POINTS = 24;

/** A function that takes the events of `fit`. Without a terminal steps are left out. */
export function reporter(options: ReporterOptions = {}): (event: FitEvent) => void {
  const { stream = process.stderr, every = 100 } = options;
  const terminal = stream.isTTY === true;
  const losses: number[] = [];
  let [shown, drawn] = [Number.NEGATIVE_INFINITY, false];
  const line = (text: string): void => {
    stream.write(`${drawn ? "\r\x1b[2K" : ""}${text}\n`);
    drawn = false;
  };
  return (event) => {
    if (event.type !== "step") {
      line(textOf(event));
      return;
    }
    losses.push(event.loss);
    if (losses.length > POINTS * 64) losses.splice(0, POINTS * 32);
    const now = performance.now();
    if (!terminal || now - shown < every) return;
    shown = now;
    drawn = true;
    stream.write(`\r\x1b[2K${stepText(event, losses).slice(0, (stream.columns ?? 80) - 1)}`);
  };
}

function stepText(event: StepEvent, losses: readonly number[]): string {
  const { step, totalSteps, rate, rows } = event;
  const left = totalSteps === undefined ? "" : `/${totalSteps}`;
  const seconds = totalSteps === undefined ? undefined : ((totalSteps - step) * rows) / rate;
  const eta =
    seconds === undefined || !Number.isFinite(seconds) ? "" : `  ${formatDuration(seconds * 1000)} left`;
  return `step ${step}${left}  loss ${short(event.loss)} ${sparkline(losses)}  norm ${short(event.gradNorm)}  ${formatCount(Math.round(rate))} rows/s${eta}`;
}

/** Means of equal parts of the values, as bars between the least and the greatest. */
function sparkline(values: readonly number[]): string {
  const finite = values.filter(Number.isFinite);
  const points = Math.min(POINTS, finite.length);
  const means = Array.from({ length: points }, (_, i) => {
    const part = finite.slice(
      Math.floor((i * finite.length) / points),
      Math.floor(((i + 1) * finite.length) / points),
    );
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const bar = (value: number): string =>
    BARS[high === low ? 0 : Math.round(((value - low) / (high - low)) * 7)]!;
  return means.map(bar).join("");
}

const short = (value: number): string => (Number.isNaN(value) ? "–" : value.toPrecision(4));

function textOf(event: Exclude<FitEvent, StepEvent>): string {
  switch (event.type) {
    case "epoch":
      return `epoch ${event.epoch + 1}: step ${event.step}, loss ${short(event.loss)}, ${formatDuration(event.seconds * 1000)}`;
    case "evaluation": {
      const metrics = Object.entries(event.metrics).map(([name, value]) => `${name} ${short(value)}`);
      return `evaluation at step ${event.step}: ${metrics.join(", ")}${event.best ? " (best)" : ""}`;
    }
    case "checkpoint":
      return `checkpoint ${event.path}`;
    case "end":
      return `${event.reason} at step ${event.step}`;
  }
}
