/** Rotary position embeddings: their frequencies as configs describe them, and their application to split heads. */
import { tensor } from "../../tensor/index.js";
import { quoted, unsupported } from "../invalid.js";
import { Config } from "./config.js";
import type { Network } from "./network.js";

export interface Rotation {
  /** One per pair of numbers. */
  readonly frequencies: readonly number[];
  /** Both cosine and sine are multiplied by it. */
  readonly factor: number;
}

export interface RotationSource {
  /** Width of a head. */
  readonly width: number;
  /** Base of the frequencies where the config names none. */
  readonly theta: number;
  /** Field that holds the base in older configs. */
  readonly thetaKey?: string;
  /** The kind of layer, where kinds have parameters of their own. */
  readonly layers?: string;
  /** Whether an older config's `rope_scaling` is for these layers. Default true. */
  readonly scaled?: boolean;
}

/** Frequencies are listed in the graph: wider heads are no heads. */
const WIDEST = 2 ** 16;

/**
 * Frequencies from `rope_parameters`, or from `rope_theta` and `rope_scaling` of older configs. Known are the types
 * default, linear, llama3 and yarn; types that depend on the length of the input are refused.
 */
export function rotationOf(config: Config, source: RotationSource): Rotation {
  const { width, thetaKey = "rope_theta" } = source;
  if (width > WIDEST) throw config.wrong("head_dim", `heads of at most ${WIDEST} numbers`);
  const parameters = parametersOf(config, source);
  const theta = parameters.number("rope_theta", config.number(thetaKey, source.theta));
  const part = parameters.number("partial_rotary_factor", config.number("partial_rotary_factor", 1));
  const rotated = Math.trunc(width * part);
  if (rotated < 2 || rotated > width || rotated % 2 !== 0)
    throw config.wrong("partial_rotary_factor", `a part of ${width} that is even`);
  const type = parameters.text("rope_type", parameters.text("type", "default"));
  const scaling = Object.hasOwn(SCALINGS, type) ? SCALINGS[type] : undefined;
  if (scaling === undefined) {
    throw unsupported(`${parameters.where}: this rope_type is not supported`, {
      given: quoted(type),
      expected: Object.keys(SCALINGS).join(", "),
    });
  }
  return scaling(parameters, { theta, rotated, longest: () => trainedLength(config, parameters) });
}

function parametersOf(config: Config, { layers, scaled = true }: RotationSource): Config {
  const given = config.object("rope_parameters");
  if (given !== undefined && given.keys().length > 0) {
    if (layers === undefined) return given;
    const own = given.object(layers);
    if (own !== undefined) return own;
    throw config.wrong("rope_parameters", `an object for each kind of layer, also ${quoted(layers)}`);
  }
  const older = scaled ? config.object("rope_scaling") : undefined;
  return older ?? new Config(new Map(), config.where);
}

/** The length for which the frequencies were trained. */
function trainedLength(config: Config, parameters: Config): number {
  return config.has("original_max_position_embeddings")
    ? config.size("original_max_position_embeddings")
    : parameters.size("original_max_position_embeddings", config.size("max_position_embeddings"));
}

interface Base {
  readonly theta: number;
  /** How many numbers of a head are rotated. */
  readonly rotated: number;
  readonly longest: () => number;
}

/** In float32, as the reference computes them. */
function plain({ theta, rotated }: Base): number[] {
  return powers(theta, rotated).map((power) => Math.fround(1 / power));
}

function powers(theta: number, rotated: number): number[] {
  return Array.from({ length: rotated / 2 }, (_, i) => Math.fround(theta ** Math.fround((2 * i) / rotated)));
}

const SCALINGS: Readonly<Record<string, (parameters: Config, base: Base) => Rotation>> = {
  default: (_, base) => ({ frequencies: plain(base), factor: 1 }),
  linear: (parameters, base) => {
    const factor = parameters.number("factor");
    return { frequencies: plain(base).map((f) => Math.fround(f / factor)), factor: 1 };
  },
  llama3: (parameters, base) => {
    const factor = parameters.number("factor");
    const low = parameters.number("low_freq_factor");
    const high = parameters.number("high_freq_factor");
    const longest = base.longest();
    const frequencies = plain(base).map((frequency) => {
      const wave = (2 * Math.PI) / frequency;
      if (wave > longest / low) return Math.fround(frequency / factor);
      if (wave < longest / high) return frequency;
      const smooth = (longest / wave - low) / (high - low);
      return Math.fround(((1 - smooth) * frequency) / factor + smooth * frequency);
    });
    return { frequencies, factor: 1 };
  },
  yarn: (parameters, base) => {
    const factor = parameters.number("factor");
    const turned = (rotations: number): number =>
      (base.rotated * Math.log(base.longest() / (rotations * 2 * Math.PI))) / (2 * Math.log(base.theta));
    const whole = parameters.flag("truncate", true);
    const first = turned(parameters.number("beta_fast", 32));
    const last = turned(parameters.number("beta_slow", 1));
    const from = Math.max(whole ? Math.floor(first) : first, 0);
    const to = Math.min(whole ? Math.ceil(last) : last, base.rotated - 1);
    const width = from === to ? 0.001 : to - from;
    const frequencies = powers(base.theta, base.rotated).map((power, i) => {
      const kept = 1 - Math.min(1, Math.max(0, (i - from) / width));
      return Math.fround((1 / (factor * power)) * (1 - kept) + (1 / power) * kept);
    });
    return { frequencies, factor: yarnFactor(parameters, factor) };
  },
};

function yarnFactor(parameters: Config, factor: number): number {
  if (parameters.has("attention_factor")) return parameters.number("attention_factor");
  const grown = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const scale = parameters.number("mscale", 0);
  const all = parameters.number("mscale_all_dim", 0);
  return scale !== 0 && all !== 0 ? grown(scale) / grown(all) : grown(1);
}

/** Cosines and sines, [batch or 1, 1, sequence, pairs]. */
export interface Angles {
  readonly cos: string;
  readonly sin: string;
  readonly pairs: number;
}

/** Angles of positions [sequence] or [batch, sequence], computed in float32. */
export function anglesOf(net: Network, positions: string, batched: boolean, rotation: Rotation): Angles {
  const { frequencies, factor } = rotation;
  const table = tensor([...frequencies], { dtype: "float32" });
  const name = `rotary:${net.fresh()}`;
  const apart = net.g.add("Unsqueeze", [
    net.cast(positions, "float32"),
    batched ? net.ints(1, 3) : net.ints(0, 1, 3),
  ]);
  const angle = net.mul(apart, net.g.initializer(name, table));
  const turn = (op: string): string => {
    const value = net.g.add(op, [angle]);
    const scaled = factor === 1 ? value : net.mul(value, net.single(factor));
    return net.dtype === "float32" ? scaled : net.cast(scaled, net.dtype);
  };
  return { cos: turn("Cos"), sin: turn("Sin"), pairs: frequencies.length };
}

/** Turns split heads [batch, heads, sequence, width]: the first half of the turned numbers against the second. */
export function rotate(net: Network, x: string, { cos, sin, pairs }: Angles, width: number): string {
  const rest = width - 2 * pairs;
  const sizes = rest === 0 ? [pairs, pairs] : [pairs, pairs, rest];
  const parts = net.g.add("Split", [x, net.ints(...sizes)], { axis: -1 }, { outputs: sizes.length });
  const [a, b, still] = parts as [string, string, string | undefined];
  const first = net.g.add("Sub", [net.mul(a, cos), net.mul(b, sin)]);
  const second = net.add(net.mul(b, cos), net.mul(a, sin));
  return net.g.add("Concat", still === undefined ? [first, second] : [first, second, still], { axis: -1 });
}
