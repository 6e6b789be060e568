/** Activation functions by the names that configs use. */
import { suggest } from "../../base/index.js";
import type { GraphBuilder } from "../../onnx/index.js";
import { quoted, unsupported } from "../invalid.js";
import type { Config } from "./config.js";

/** What an activation is built with. */
interface Nodes {
  readonly g: GraphBuilder;
  mul(a: string, b: string): string;
  scalar(value: number): string;
}

const op =
  (name: string, attrs: Readonly<Record<string, string>> = {}) =>
  (net: Nodes, x: string): string =>
    net.g.add(name, [x], attrs);

const geluTanh = op("Gelu", { approximate: "tanh" });
const silu = (net: Nodes, x: string): string => net.mul(x, net.g.add("Sigmoid", [x]));

const identity = (_net: Nodes, x: string): string => x;

export const ACTIVATIONS = {
  gelu: op("Gelu"),
  gelu_python: op("Gelu"),
  gelu_new: geluTanh,
  gelu_fast: geluTanh,
  gelu_python_tanh: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  gelu_accurate: geluTanh,
  quick_gelu: (net: Nodes, x: string) => net.mul(x, net.g.add("Sigmoid", [net.mul(x, net.scalar(1.702))])),
  relu: op("Relu"),
  relu2: (net: Nodes, x: string) => {
    const positive = net.g.add("Relu", [x]);
    return net.mul(positive, positive);
  },
  silu,
  swish: silu,
  mish: op("Mish"),
  sigmoid: op("Sigmoid"),
  tanh: op("Tanh"),
  linear: identity,
  identity,
} as const satisfies Readonly<Record<string, (net: Nodes, x: string) => string>>;

export type Activation = keyof typeof ACTIVATIONS;

const NAMES = Object.keys(ACTIVATIONS) as Activation[];

/** The activation that a field names. */
export function activationOf(config: Config, key: string, fallback: Activation): Activation {
  const value = config.get(key) ?? fallback;
  if (typeof value === "string" && Object.hasOwn(ACTIVATIONS, value)) return value as Activation;
  throw unsupported(`${config.where}: ${key} names an activation that is not known`, {
    given: quoted(String(value)),
    expected: typeof value === "string" ? suggest(value, NAMES) : "a name",
  });
}
