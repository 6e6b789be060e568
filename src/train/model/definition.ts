/** define and sequential: models from functions of values. */
import { TenonError } from "../../base/index.js";
import { type Dim, graph, type OnnxModel, removeDead, run } from "../../onnx/index.js";
import type { DType } from "../../tensor/index.js";
import type { Label } from "./parts.js";
import { Tape, Var } from "./tape.js";
import { TrainableModel } from "./trainable.js";

/** Dtype and shape of an input. */
export interface InputType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

const typed =
  (dtype: DType) =>
  (shape: readonly Dim[]): InputType => ({ dtype, shape });

export const float32: (shape: readonly Dim[]) => InputType = typed("float32");
export const int64: (shape: readonly Dim[]) => InputType = typed("int64");
export const int32: (shape: readonly Dim[]) => InputType = typed("int32");
export const bool: (shape: readonly Dim[]) => InputType = typed("bool");

export interface DefineOptions {
  /** Decides the initial weights; default 0. */
  readonly seed?: number;
}

/** What a model function gives: one value, then called `output`, or values by name. */
export type Defined = Var | Readonly<Record<string, Var>>;

/** Opset of models defined here. */
const OPSET = 21;

/**
 * A model from a function of its inputs. Inputs that the function does not use (labels) are not part of the model; the
 * loss finds them in its batch with the type given here. A symbol (`"batch"`) is a size that each batch gives.
 *
 *     const model = define({ x: float32(["batch", 784]), y: int64(["batch"]) }, (t, { x }) =>
 *       linear(relu(linear(x, 256)), 10), { seed: 1 });
 */
export function define<const I extends Readonly<Record<string, InputType>>>(
  inputs: I,
  build: (t: Tape, inputs: { readonly [K in keyof I]: Var }) => Defined,
  options: DefineOptions = {},
): TrainableModel {
  const g = graph({ opset: OPSET, name: "model" });
  // A graph without nodes, on which the tape builds.
  for (const [name, { dtype, shape }] of Object.entries(inputs)) g.input(name, dtype, shape);
  const empty: OnnxModel = { ...g.model() };
  const tape = new Tape(empty, options.seed ?? 0);
  const values = Object.fromEntries(Object.keys(inputs).map((name) => [name, tape.value(name)]));
  // The record has an entry for each key of I.
  const made = build(tape, values as { readonly [K in keyof I]: Var });
  const outputs = made instanceof Var ? { output: made } : made;
  if (Object.keys(outputs).length === 0)
    throw new TenonError("USAGE", { problem: "the model's function gives no value" });
  for (const name of Object.keys(outputs)) {
    if (name in inputs)
      throw new TenonError("USAGE", { problem: "an output has the name of an input", given: name });
  }
  const { marks } = tape;
  const whole = run(tape.model(outputs), [removeDead]);
  const used = new Set(whole.graph.nodes.flatMap((node) => node.inputs));
  const labels = new Map<string, Label>();
  for (const [name, type] of Object.entries(inputs)) if (!used.has(name)) labels.set(name, type);
  const graphInputs = whole.graph.inputs.filter(({ name }) => used.has(name));
  return new TrainableModel({
    onnx: Object.freeze({ ...whole, graph: Object.freeze({ ...whole.graph, inputs: graphInputs }) }),
    trainable: marks.trainable.filter((name) => whole.graph.initializers.has(name)),
    modal: marks.modal,
    stopped: marks.stopped,
    mixesRows: marks.mixesRows,
    labels,
  });
}

/**
 * `define` for a chain of functions on one value, such as `[(x) => linear(x, 256), relu, (x) => linear(x, 10)]`. The
 * input is called `x`, the output `output`; `labels` declares further entries of the batches for the loss.
 */
export function sequential(
  input: InputType,
  layers: readonly ((x: Var) => Var)[],
  options: DefineOptions & { readonly labels?: Readonly<Record<string, InputType>> } = {},
): TrainableModel {
  return define(
    { ...options.labels, x: input },
    (_, { x }) => layers.reduce<Var>((value, layer) => layer(value), x!),
    options,
  );
}
