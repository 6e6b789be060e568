/** Nodes that differ between training and inference: Dropout gets its mask, BatchNormalization the batch's statistics. */
import type { Node } from "../../onnx/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import {
  add,
  cast,
  div,
  gather,
  mean,
  mul,
  reshape,
  slice,
  sqrt,
  squeeze,
  sub,
  unsqueeze,
} from "../model/ops.js";
import type { Tape, Var } from "../model/tape.js";

/** Statistics of a batch, which move the running ones after the step. */
export interface BatchStatistics {
  readonly mean: Var;
  readonly variance: Var;
  readonly runningMean: string;
  readonly runningVariance: string;
  /** Share of the running statistics that is kept. */
  readonly keep: number;
  /** Elements that each statistic is of. */
  readonly count: number;
}

export interface TrainingNodes {
  readonly statistics: readonly BatchStatistics[];
  /** Dropout nodes, each with a key of its own. */
  readonly masks: number;
  /** Elements of each mask, and of the largest. */
  readonly sizes: readonly number[];
  readonly largest: number;
}

/** Inputs of the training graph beside the model's: a key for each mask, and 0, 1, 2, … times the stride. */
export const KEYS = "train/keys";
export const POSITIONS = "train/positions";

/** Replaces the nodes whose first output is in `modal`. */
export function enterTraining(tape: Tape, nodes: readonly Node[], modal: readonly string[]): TrainingNodes {
  const marked = new Set(modal);
  const found = nodes.filter((node) => marked.has(node.outputs[0] ?? ""));
  const drops = found.filter((node) => node.op === "Dropout" && rateOf(tape, node) > 0);
  const sizes = drops.map((node) => elements(tape.value(node.inputs[0]!)));
  const largest = Math.max(0, ...sizes);
  if (drops.length > 0) {
    const keys = tape.input(KEYS, "uint32", [drops.length]);
    const positions = tape.input(POSITIONS, "uint32", [largest]);
    drops.forEach((node, index) => {
      const x = tape.value(node.inputs[0]!);
      const own = sizes[index] === largest ? positions : slice(positions, 0, 0, sizes[index]);
      const key = gather(keys, tape.constant(index, "int64"));
      tape.replace(node, masked(x, rateOf(tape, node), own, key));
    });
  }
  const statistics = found
    .filter((node) => node.op === "BatchNormalization")
    .map((node) => normalised(tape, node));
  return { statistics, masks: drops.length, sizes, largest };
}

function elements(x: Var): number {
  return x.shape.reduce<number>((product, _, axis) => product * x.size(axis), 1);
}

function rateOf(tape: Tape, node: Node): number {
  const ratio = node.inputs[1] ?? "";
  return ratio === "" ? 0.5 : tape.number(ratio);
}

/** The finaliser of `mix` in uint32 ops, compared with the rate. */
function masked(x: Var, rate: number, positions: Var, key: Var): Var {
  const { tape } = x;
  const word = (value: number): Var => tape.constant(tensorFromStorage("uint32", [], Uint32Array.of(value)));
  const shifted = (h: Var, bits: number): Var =>
    tape.op("BitwiseXor", [h, tape.op("BitShift", [h, word(bits)], { direction: "RIGHT" })]);
  let h = add(positions, key);
  h = mul(shifted(h, 16), word(0x85ebca6b));
  h = mul(shifted(h, 13), word(0xc2b2ae35));
  h = shifted(h, 16);
  // Dropped are the words below rate · 2³².
  const kept = tape.op("Less", [word(Math.floor(rate * 2 ** 32)), h]);
  const shape = x.shape.map((_, axis) => x.size(axis));
  return mul(x, mul(cast(reshape(kept, shape), x.dtype), 1 / (1 - rate)));
}

function normalised(tape: Tape, node: Node): BatchStatistics {
  const [x, scale, bias] = node.inputs.slice(0, 3).map((name) => tape.value(name)) as [Var, Var, Var];
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const perChannel = (value: Var): Var =>
    unsqueeze(
      value,
      others.slice(1).map((_, i) => i + 1),
    );
  const own = mean(x, { axes: others, keep: true });
  const centred = sub(x, own);
  const variance = mean(mul(centred, centred), { axes: others, keep: true });
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const normal = div(centred, sqrt(add(variance, epsilon)));
  tape.replace(node, add(mul(normal, perChannel(scale)), perChannel(bias)));
  return {
    mean: squeeze(own, others),
    variance: squeeze(variance, others),
    runningMean: node.inputs[3]!,
    runningVariance: node.inputs[4]!,
    keep: floatAttribute(node, "momentum", 0.9),
    count: elements(x) / x.size(1),
  };
}

function floatAttribute(node: Node, name: string, fallback: number): number {
  const attr = node.attrs.get(name);
  return attr?.kind === "float" ? attr.value : fallback;
}
