/** Initial weights: rows that fill an array from a key and its fans, with the formulas of torch.nn.init. */
import { TenonError } from "../../base/index.js";
import { fillNormal, fillUniform } from "../random.js";

/** Elements that flow into and out of one output element. */
export interface Fans {
  readonly in: number;
  readonly out: number;
}

/** Fills a new parameter. The same key gives the same values. */
export type Initializer = (values: Float32Array, key: number, fans: Fans) => void;

function fan(fans: Fans, mode: "in" | "out"): number {
  return Math.max(1, fans[mode]);
}

function finite(name: string, value: number): number {
  if (Number.isFinite(value)) return value;
  throw new TenonError("USAGE", { problem: name, given: String(value), expected: "a finite number" });
}

/** One value everywhere. */
export function constantInit(value: number): Initializer {
  finite("the initial value", value);
  return (values) => void values.fill(value);
}

export const zerosInit: Initializer = constantInit(0);
export const onesInit: Initializer = constantInit(1);

/** Uniform in [low, high). */
export function uniformInit(low: number, high: number): Initializer {
  finite("the lower bound", low);
  finite("the upper bound", high);
  return (values, key) => fillUniform(values, key, low, high);
}

/** Normal around `mean`. Defaults: 0, 1. */
export function normalInit({
  mean = 0,
  std = 1,
}: {
  readonly mean?: number;
  readonly std?: number;
} = {}): Initializer {
  finite("the mean", mean);
  finite("the deviation", std);
  return (values, key) => fillNormal(values, key, mean, std);
}

/** Uniform within ±√(6 / (in + out)): Glorot and Bengio. */
export function xavierUniform({ gain = 1 }: { readonly gain?: number } = {}): Initializer {
  return (values, key, fans) => {
    const bound = finite("the gain", gain) * Math.sqrt(6 / Math.max(1, fans.in + fans.out));
    fillUniform(values, key, -bound, bound);
  };
}

/** Normal of deviation √(2 / (in + out)). */
export function xavierNormal({ gain = 1 }: { readonly gain?: number } = {}): Initializer {
  return (values, key, fans) =>
    fillNormal(values, key, 0, finite("the gain", gain) * Math.sqrt(2 / Math.max(1, fans.in + fans.out)));
}

/** Uniform within ±gain·√(3 / in): He et al. The default gain √(1/3) is that of PyTorch's layers; √2 suits Relu. */
export function kaimingUniform({
  gain = Math.sqrt(1 / 3),
  mode = "in",
}: {
  readonly gain?: number;
  readonly mode?: "in" | "out";
} = {}): Initializer {
  return (values, key, fans) => {
    const bound = finite("the gain", gain) * Math.sqrt(3 / fan(fans, mode));
    fillUniform(values, key, -bound, bound);
  };
}

/** Normal of deviation gain / √in; default gain √2. */
export function kaimingNormal({
  gain = Math.SQRT2,
  mode = "in",
}: {
  readonly gain?: number;
  readonly mode?: "in" | "out";
} = {}): Initializer {
  return (values, key, fans) =>
    fillNormal(values, key, 0, finite("the gain", gain) / Math.sqrt(fan(fans, mode)));
}
