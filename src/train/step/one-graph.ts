/** The whole step (loss, gradients, update) as one ONNX graph, for runtimes elsewhere: its state goes in and comes out. */
import { TenonError } from "../../base/index.js";
import { makeGraph, type OnnxModel, removeDead, run, type Value, withGraph } from "../../onnx/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/index.js";
import { add, mul } from "../model/ops.js";
import type { WeightStore } from "../model/parts.js";
import { type Attrs, Tape, type Var } from "../model/tape.js";
import { scalarsOf } from "../optimizers/expression.js";
import { matrixNodes, updateNodes } from "../optimizers/nodes.js";
import { type MatrixUpdate, type StepRates, sharedScalars } from "../optimizers/optimizer.js";
import { keyOf, STRIDE } from "../random.js";
import { type Batch, declaredTypes, readBatch } from "./batch.js";
import { buffersOf, type StepGraph, stepGraph } from "./graph.js";
import { groupsOf } from "./groups.js";
import { KEYS, POSITIONS } from "./modes.js";
import type { CompileOptions } from "./options.js";

export interface OneGraph {
  readonly onnx: OnnxModel;
  /** Inputs that an update changes, with their values before the first: weights, optimiser state, running statistics. */
  readonly state: Readonly<Record<string, Tensor>>;
  /** The output that holds the next value of each. */
  readonly next: Readonly<Record<string, string>>;
  /** The output that holds the loss. */
  readonly loss: string;
  /** Inputs of update number `step` (1 for the first) beside batch and state: rates, keys of dropout. `rate` is the schedule's. */
  inputs(step: number, rate?: number): Readonly<Record<string, Tensor>>;
}

export type OneGraphOptions = Pick<CompileOptions, "loss" | "optimizer" | "groups" | "clipNorm" | "seed">;

const one = (value: number): Tensor => tensorFromStorage("float32", [], Float32Array.of(value));

/**
 * A training step as one graph, at the sizes of the example `batch`. On a CPU it gives the bits of `step.run` on one
 * thread, but for rounding where sums are made in another order: with `clipNorm`, LAMB or Muon, and where the step
 * computes its batch in lanes. A run takes the batch, the state and
 * `inputs(step)`; the outputs named by `next` are the state of the next run. Throws as the first `step.run` does.
 */
export function oneGraph(model: WeightStore, batch: Batch, options: OneGraphOptions): OneGraph {
  const { optimizer, clipNorm, seed = 0 } = options;
  const inputs = model.parts.onnx.graph.inputs.map(({ name }) => name);
  const read = readBatch(batch, declaredTypes(model), inputs);
  const buffers = buffersOf(model);
  const step = stepGraph(model, read, { loss: options.loss, buffers, mode: "train" });
  const { groups, groupOf } = groupsOf(options.groups);
  const tape = new Tape(step.model);
  /** Inputs that an update's rates are given by, and the numbers of each rate. */
  const scalars = new Map<string, (rates: Omit<StepRates, "weightDecay">) => number>();
  const scalar = (input: string, number: (rates: Omit<StepRates, "weightDecay">) => number): string => {
    if (!scalars.has(input)) tape.input(input, "float32", []);
    scalars.set(input, number);
    return input;
  };
  const shared = (name: string, index: number): string => {
    const { lrScale = 1, weightDecay = optimizer.weightDecay } = groups[index]!;
    return scalar(
      `update/${name}/${index}`,
      ({ step, lr }) => optimizer.scalars({ step, lr: lr * lrScale, weightDecay })[name]!,
    );
  };
  const ofMatrix = (rows: MatrixUpdate, name: string, index: number, shape: readonly number[]): string => {
    const { lrScale = 1, weightDecay = rows.weightDecay } = groups[index]!;
    return scalar(
      `update/matrix/${name}/${index}/${shape.join("x")}`,
      ({ step, lr }) => rows.scalars({ step, lr: lr * lrScale, weightDecay }, shape)[name]!,
    );
  };
  const state: Record<string, Tensor> = {};
  const next: Record<string, string> = {};
  const outputs: Record<string, Var> = {};
  const keep = (name: string, value: Var, now: Float32Array, shape: readonly number[]): void => {
    state[name] = tensorFromStorage("float32", shape, now.slice());
    next[name] = `${name}/next`;
    outputs[`${name}/next`] = value;
  };
  const scale = clipNorm === undefined ? tape.constant(1) : clipScale(tape, step, clipNorm);
  for (const [name, gradient] of step.gradients) {
    const shape = model.shapeOf(name);
    const group = groupOf(name, shape);
    const matrix = optimizer.matrices?.takes(name, shape) === true ? optimizer.matrices : undefined;
    const states = (matrix?.before ?? optimizer).state.map(
      (each) => [each, tape.input(`${each}/${name}`, "float32", shape)] as const,
    );
    const values: Record<string, string> = { p: name, g: gradient };
    for (const [each, value] of states) values[each] = value.name;
    const update = matrix && { ...matrix.before.update, ...matrix.after.update };
    const rates = update === undefined ? sharedScalars(optimizer) : scalarsOf(Object.values(update));
    for (const each of rates) {
      const own = matrix === undefined ? shared : (of: string, at: number) => ofMatrix(matrix, of, at, shape);
      values[each] = each === "scale" ? scale.name : own(each, group);
    }
    const writer = {
      add: (op: string, of: readonly string[], attrs: Attrs = {}) =>
        tape.op(
          op,
          of.map((each) => tape.value(each)),
          attrs,
        ).name,
    };
    const updated =
      matrix === undefined
        ? updateNodes(writer, optimizer, values)
        : matrixNodes(writer, matrix, shape, values);
    keep(name, tape.value(updated.p!), model.values(name), shape);
    for (const [each, value] of states) {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const start = new Float32Array(size).fill(optimizer.start?.[each] ?? 0);
      keep(value.name, tape.value(updated[each]!), start, shape);
    }
  }
  for (const each of step.training?.statistics ?? []) {
    const moved = (name: string, statistic: Var, factor: number): void => {
      const before = tape.value(name);
      const share = mul(tape.value(statistic.name), factor * (1 - each.keep));
      keep(name, add(mul(before, each.keep), share), model.values(name), model.shapeOf(name));
    };
    moved(each.runningMean, each.mean, 1);
    moved(each.runningVariance, each.variance, each.count / Math.max(1, each.count - 1));
  }
  const { masks = 0, largest = 0 } = step.training ?? {};
  return {
    onnx: withoutUnused(tape.model({ loss: tape.value(step.loss), ...outputs })),
    state,
    next,
    loss: "loss",
    inputs: (number, rate = 1) => {
      if (!(Number.isInteger(number) && number >= 1)) {
        throw new TenonError("USAGE", {
          problem: "step",
          given: String(number),
          expected: "a whole number, 1 or more",
        });
      }
      const given: Record<string, Tensor> = {};
      const rates = { step: number, lr: optimizer.lr * rate };
      for (const [name, value] of scalars) given[name] = one(value(rates));
      if (masks > 0) {
        const keys = Uint32Array.from({ length: masks }, (_, node) => keyOf(seed, number - 1, node));
        const places = Uint32Array.from({ length: largest }, (_, i) => Math.imul(i, STRIDE) >>> 0);
        given[KEYS] = tensorFromStorage("uint32", [masks], keys);
        given[POSITIONS] = tensorFromStorage("uint32", [largest], places);
      }
      return given;
    },
  };
}

/** min(1, most / (norm + 1e-6)) of all gradients together, squared and summed in double precision. */
function clipScale(tape: Tape, step: StepGraph, most: number): Var {
  const squares = [...step.gradients.values()].map((name) => {
    const wide = tape.op("Cast", [tape.value(name)], { to: 11 });
    return tape.op("ReduceSumSquare", [wide], { keepdims: 0 });
  });
  const norm = tape.op("Sqrt", [squares.reduce((sum, each) => add(sum, each))]);
  const ratio = tape.op("Div", [tape.constant(most, "float64"), add(norm, 1e-6)]);
  return tape.op("Cast", [tape.op("Min", [ratio, tape.constant(1, "float64")])], { to: 1 });
}

/** Inputs that nothing reads (running statistics are read by their own next values) go. */
function withoutUnused(model: OnnxModel): OnnxModel {
  const pruned = run(model, [removeDead]);
  const used = new Set(pruned.graph.nodes.flatMap((node) => node.inputs));
  const inputs = pruned.graph.inputs.filter(({ name }: Value) => used.has(name));
  return withGraph(pruned, makeGraph({ ...pruned.graph, inputs }));
}
