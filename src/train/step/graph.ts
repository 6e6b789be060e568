/** The graph of a compiled shape: the model with its weights as inputs, the loss, and for training its gradients. */
import { suggest, TenonError } from "../../base/index.js";
import {
  foldConstants,
  makeGraph,
  type OnnxModel,
  removeDead,
  run,
  specialiseDims,
  type Value,
  weightsToInputs,
  withGraph,
} from "../../onnx/index.js";
import { gradients } from "../gradients/gradients.js";
import type { WeightStore } from "../model/parts.js";
import { Tape, Var } from "../model/tape.js";
import type { ReadBatch } from "./batch.js";
import { enterTraining, type TrainingNodes } from "./modes.js";
import type { LossFunction } from "./options.js";
import { type Joining, joiningOf } from "./split.js";

/** A graph and the names that a step binds. */
export interface StepGraph {
  readonly model: OnnxModel;
  readonly loss: string;
  /** Gradient by parameter; empty in evaluation. */
  readonly gradients: ReadonlyMap<string, string>;
  /** Entries of the batch that are inputs. */
  readonly batch: readonly string[];
  readonly training: TrainingNodes | undefined;
  readonly mixesRows: boolean;
  /** How losses and gradients of equal parts make those of the batch; undefined where that is not known. */
  readonly joining: Joining | undefined;
}

export interface GraphOptions {
  readonly loss: LossFunction;
  /** Constants that are inputs here, though they are not trained: running statistics. */
  readonly buffers: readonly string[];
  readonly mode: "train" | "evaluate";
}

/** Running statistics of the model's batch normalisations. */
export function buffersOf({ parts }: WeightStore): string[] {
  const modal = new Set(parts.modal);
  return parts.onnx.graph.nodes
    .filter((node) => node.op === "BatchNormalization" && modal.has(node.outputs[0] ?? ""))
    .flatMap((node) => [node.inputs[3]!, node.inputs[4]!]);
}

/** Throws USAGE for a loss that is not one float32 number, and what `gradients` throws. */
export function stepGraph(store: WeightStore, batch: ReadBatch, options: GraphOptions): StepGraph {
  const { parts } = store;
  const { trainable } = parts;
  const base = specialised(parts.onnx, batch, [...trainable, ...options.buffers]);
  const tape = new Tape(base);
  const training = options.mode === "train" ? enterTraining(tape, base.graph.nodes, parts.modal) : undefined;
  const outputs = Object.fromEntries(parts.onnx.graph.outputs.map(({ name }) => [name, tape.value(name)]));
  const inputs = new Set(parts.onnx.graph.inputs.map(({ name }) => name));
  const labels = new Map<string, Var>();
  const loss = options.loss(tape, named("output", outputs), batchVars(tape, batch, inputs, labels));
  checkLoss(loss, tape);
  const { stopped, mixesRows, reduced } = tape.marks;
  const taken = [...inputs, ...labels.keys()];
  if (training === undefined) {
    const model = finished(tape.model(), base, [...Object.keys(outputs), loss.name]);
    return {
      model,
      loss: loss.name,
      gradients: new Map(),
      batch: taken,
      training,
      mixesRows,
      joining: undefined,
    };
  }
  const keep = training.statistics.flatMap((each) => [each.mean.name, each.variance.name]);
  const forward = tape.model();
  const mixes = mixesRows || parts.mixesRows || training.statistics.length > 0;
  const model = gradients(forward, {
    loss: loss.name,
    wrt: trainable,
    keep,
    stop: [...parts.stopped, ...stopped],
    // A gradient that is not finite skips the update in any case.
    finite: true,
  });
  const names = trainable.map((name, i): [string, string] => [name, model.graph.outputs[i + 1]!.name]);
  return {
    model: run(model, [removeDead]),
    loss: loss.name,
    gradients: new Map(names),
    batch: taken,
    training,
    mixesRows: mixes,
    joining: joiningOf(forward.graph, loss.name, reduced),
  };
}

/** The model at the batch's sizes, with weights as inputs and shape arithmetic folded. */
function specialised(onnx: OnnxModel, batch: ReadBatch, weights: readonly string[]): OnnxModel {
  const sizes = run(onnx, [specialiseDims(Object.fromEntries(batch.sizes))]);
  const inputs = sizes.graph.inputs.map((input): Value => {
    const given = batch.tensors.get(input.name);
    if (given === undefined) return input;
    return { name: input.name, type: { kind: "tensor", dtype: given.dtype, shape: given.shape } };
  });
  const fixed = withGraph(sizes, makeGraph({ ...sizes.graph, inputs }));
  return run(weightsToInputs(fixed, weights).model, [foldConstants]);
}

/** The batch's values; those that the model does not take become inputs when the loss asks for them. */
function batchVars(
  tape: Tape,
  batch: ReadBatch,
  inputs: ReadonlySet<string>,
  labels: Map<string, Var>,
): Readonly<Record<string, Var>> {
  const known = Object.fromEntries([...batch.tensors.keys()].map((name) => [name, name]));
  return named("batch entry", known, (name) => {
    if (inputs.has(name)) return tape.value(name);
    const { dtype, shape } = batch.tensors.get(name)!;
    const label = labels.get(name) ?? tape.input(name, dtype, shape);
    labels.set(name, label);
    return label;
  });
}

/** A record whose missing entries are errors that name those there are. */
function named<T>(
  what: string,
  record: Readonly<Record<string, T>>,
  read?: (name: string) => Var,
): Readonly<Record<string, Var>> {
  return new Proxy(record, {
    get: (_, name) => {
      if (typeof name !== "string") return undefined;
      const value = Object.hasOwn(record, name) ? record[name] : undefined;
      if (value !== undefined) return read === undefined ? value : read(name);
      throw new TenonError("USAGE", {
        problem: `the loss asks for a ${what} that is not there`,
        given: name,
        expected: suggest(name, Object.keys(record)),
      });
    },
    // The proxy's entries are values of the tape.
  }) as Readonly<Record<string, Var>>;
}

function checkLoss(loss: unknown, tape: Tape): asserts loss is Var {
  const isVar = loss instanceof Var && loss.tape === tape;
  if (isVar && loss.dtype === "float32" && loss.shape.every((dim) => dim === 1)) return;
  throw new TenonError("USAGE", {
    problem: "the loss is not one float32 number",
    given: isVar ? `${loss.dtype} [${loss.shape.join(", ")}]` : String(loss),
    do: 'reduce it: mean(…), or leave reduction "mean"',
  });
}

/** Only these outputs. */
function finished(model: OnnxModel, base: OnnxModel, outputs: readonly string[]): OnnxModel {
  const declared = new Map(base.graph.outputs.map((output) => [output.name, output]));
  const graph = makeGraph({
    ...model.graph,
    outputs: [...new Set(outputs)].map((name) => declared.get(name) ?? { name }),
  });
  return run(withGraph(model, graph), [removeDead]);
}
