/** Tape: nodes added to a graph under construction, with the type of every value known as it is made. */
import { TenonError } from "../../base/index.js";
import {
  type AttrInput,
  type Dim,
  formatType,
  type Inferred,
  inferTypes,
  makeGraph,
  type Node,
  type OnnxModel,
  Patch,
  type TensorData,
  type TensorType,
  tensorData,
  type Value,
  type ValueType,
} from "../../onnx/index.js";
import {
  DTYPES,
  type DType,
  type Element,
  type Tensor,
  tensor,
  tensorFromStorage,
} from "../../tensor/index.js";
import { keyOf } from "../random.js";
import type { Fans, Initializer } from "./initializers.js";

/** A value of a graph under construction. */
export class Var {
  readonly tape: Tape;
  readonly name: string;
  readonly dtype: DType;
  /** Sizes, symbols of sizes that are given later, or null where a size is not known. */
  readonly shape: readonly Dim[];

  constructor(tape: Tape, name: string, dtype: DType, shape: readonly Dim[]) {
    this.tape = tape;
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** The size of an axis (negative: from the end) as a number. Throws MODEL_UNSUPPORTED where it is a symbol. */
  size(axis: number): number {
    const dim = this.shape.at(axis);
    if (typeof dim === "number") return dim;
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `axis ${axis} of "${this.name}" must have a size that is known`,
      given: `${this.dtype} [${this.shape.map((each) => each ?? "?").join(", ")}]`,
    });
  }
}

export type Attrs = Readonly<Record<string, AttrInput | undefined>>;

export interface OpOptions {
  /** Default 1. */
  readonly outputs?: number;
  readonly domain?: string;
}

/** What a layer's parameter is made of. */
export interface ParameterOptions {
  readonly init: Initializer;
  /** Default: the product of all dims but the last, and the last. */
  readonly fans?: Fans;
  /** False: kept in the model, but not trained. Default true. */
  readonly trainable?: boolean;
}

/** Marks of a tape that become marks of the model made from it. */
export interface TapeMarks {
  readonly trainable: readonly string[];
  /** Nodes (by first output) that differ between training and inference: Dropout, BatchNormalization. */
  readonly modal: readonly string[];
  /** Values through which no gradient flows. */
  readonly stopped: readonly string[];
  /** True when a value mixes rows of the batch. */
  readonly mixesRows: boolean;
  /** Values that are means over all rows, each row counting alike, or sums over them. */
  readonly reduced: ReadonlyMap<string, "mean" | "sum">;
}

/**
 * Adds to the graph of `base`. Functions of layers, losses and arithmetic take the tape from their first value, so that
 * it is needed by name only for constants and for ops that have no function of their own.
 */
export class Tape {
  readonly #base: OnnxModel;
  readonly #patch: Patch;
  readonly #types: Map<string, ValueType>;
  readonly #values: Inferred["values"];
  readonly #small = new Map<string, TensorData>();
  readonly #inputs: Value[] = [];
  readonly #scopes = new Map<string, number>();
  readonly #trainable: string[] = [];
  readonly #modal: string[] = [];
  readonly #stopped: string[] = [];
  readonly #seed: number;
  #parameters = 0;
  #constants = 0;
  #mixesRows = false;
  readonly #reduced = new Map<string, "mean" | "sum">();

  constructor(base: OnnxModel, seed = 0) {
    this.#base = base;
    this.#seed = seed;
    this.#patch = new Patch(base.graph, base.opsets);
    const { types, values } = inferTypes(base, { conflicts: "note" });
    this.#types = new Map(types);
    this.#values = values;
  }

  /** A value of the graph by name. Throws USAGE for one that does not exist or whose type is not known. */
  value(name: string): Var {
    const type = this.#types.get(name);
    if (type?.kind === "tensor" && type.dtype !== null && type.shape !== undefined)
      return new Var(this, name, type.dtype, type.shape);
    throw new TenonError("USAGE", {
      problem:
        type === undefined ? "the graph has no value of this name" : "the type of this value is not known",
      given: `"${name}"`,
    });
  }

  /** The one number of a constant of the graph. Throws USAGE where there is none. */
  number(name: string): number {
    const value = this.#values.get(name)?.items[0];
    if (typeof value === "number") return value;
    throw new TenonError("MODEL_UNSUPPORTED", { problem: `"${name}" must be a constant number` });
  }

  /** A new input of the graph. */
  input(name: string, dtype: DType, shape: readonly Dim[]): Var {
    const type: TensorType = { kind: "tensor", dtype, shape: [...shape] };
    this.#inputs.push({ name, type });
    this.#types.set(name, type);
    return this.value(name);
  }

  /** A constant: a tensor, or a number in the dtype given (default float32). */
  constant(value: Tensor | number, dtype: DType = "float32"): Var {
    const element: Element | undefined =
      typeof value !== "number"
        ? undefined
        : DTYPES[dtype].kind !== "float" && DTYPES[dtype].bits === 64
          ? BigInt(value)
          : value;
    const made = typeof value === "number" ? tensor(element!, { dtype }).reshape([]) : value;
    const name = this.#patch.addInitializer(`constant_${this.#constants++}`, made);
    return this.#declare(name, tensorData(made, name));
  }

  /** Whole numbers as int64: axes, shapes. */
  ints(values: readonly number[]): Var {
    return this.constant(tensorFromStorage("int64", [values.length], BigInt64Array.from(values, BigInt)));
  }

  /** A float32 array that training changes, as a constant of the inference graph. Its values follow from the tape's seed. */
  parameter(name: string, shape: readonly number[], options: ParameterOptions): Var {
    const values = new Float32Array(shape.reduce((product, dim) => product * dim, 1));
    const last = shape.at(-1) ?? 1;
    const fans = options.fans ?? { in: values.length / Math.max(1, last), out: last };
    options.init(values, keyOf(this.#seed, this.#parameters++), fans);
    return this.initialized(name, tensorFromStorage("float32", shape, values), options.trainable ?? true);
  }

  /** A parameter with given values. */
  initialized(name: string, values: Tensor, trainable = true): Var {
    const unique = this.#patch.addInitializer(name, values);
    if (trainable) this.#trainable.push(unique);
    return this.#declare(unique, tensorData(values, unique));
  }

  #declare(name: string, data: TensorData): Var {
    this.#types.set(name, { kind: "tensor", dtype: data.dtype, shape: data.dims });
    this.#small.set(name, data);
    return this.value(name);
  }

  /** A name for a layer that no layer of this tape has: `linear`, `linear_2`, … */
  scope(name: string): string {
    const count = (this.#scopes.get(name) ?? 0) + 1;
    this.#scopes.set(name, count);
    return count === 1 ? name : `${name}_${count}`;
  }

  /** A node of one output. Inputs that are absent are "" . */
  op(op: string, inputs: readonly (Var | "")[], attrs: Attrs = {}): Var {
    return this.ops(op, inputs, attrs)[0]!;
  }

  /** A node of any op of ONNX (its opset is the model's, 20 or above); gives its outputs. */
  ops(op: string, inputs: readonly (Var | "")[], attrs: Attrs = {}, options: OpOptions = {}): Var[] {
    for (const each of inputs) {
      if (each === "" || each.tape === this) continue;
      throw new TenonError("USAGE", {
        problem: `${op} takes the value "${each.name}" of another model`,
        do: "compute it in the same function",
      });
    }
    const names = inputs.map((each) => (each === "" ? "" : each.name));
    const outputs = this.#patch.addNode(op, names, attrs, {
      outputs: options.outputs ?? 1,
      domain: options.domain ?? "",
    });
    const types = this.#typesOf(op, names, outputs, attrs, options.domain ?? "");
    return outputs.map((name) => {
      const type = types.get(name);
      if (type?.kind !== "tensor" || type.dtype === null || type.shape === undefined) {
        const given = names.map((each) => {
          const known = this.#types.get(each);
          return known === undefined ? "none" : formatType(known);
        });
        throw new TenonError("MODEL_UNSUPPORTED", {
          problem: `the type of what ${op} gives is not known`,
          given: given.join(", "),
        });
      }
      this.#types.set(name, type);
      return new Var(this, name, type.dtype, type.shape);
    });
  }

  /** Types of one node's outputs, inferred in a graph of that node alone. Throws MODEL_INVALID for shapes that cannot be. */
  #typesOf(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attrs: Attrs,
    domain: string,
  ): ReadonlyMap<string, ValueType> {
    const given = [...new Set(inputs.filter((name) => name !== ""))];
    const alone = new Patch(
      makeGraph({
        inputs: given
          .filter((name) => !this.#small.has(name))
          .map((name) => ({ name, type: this.#types.get(name)! })),
        initializers: new Map(
          given.filter((name) => this.#small.has(name)).map((name) => [name, this.#small.get(name)!]),
        ),
      }),
      this.#base.opsets,
    );
    alone.addNode(op, inputs, attrs, { outputs, domain });
    return inferTypes({ ...this.#base, functions: new Map(), graph: alone.apply() }).types;
  }

  /** Another value in place of what a node of the base graph gives first. */
  replace(node: Node, value: Var): void {
    this.#patch.removeNode(node);
    this.#patch.addNode("Identity", [value.name], {}, { outputs: [node.outputs[0]!] });
  }

  /** Marks the node that makes a value as one that training runs in its own way. */
  markModal(value: Var): void {
    this.#modal.push(value.name);
  }

  /** Marks a value through which no gradient flows. */
  markStopped(value: Var): void {
    this.#stopped.push(value.name);
  }

  /** Marks that rows of the batch are compared with each other, so that it cannot be computed in parts. */
  markMixed(): void {
    this.#mixesRows = true;
  }

  /** Marks a value as the mean over all rows of the batch, each row counting alike. */
  markMean(value: Var): void {
    this.#reduced.set(value.name, "mean");
  }

  /** Marks a value as the sum over all rows of the batch. */
  markSum(value: Var): void {
    this.#reduced.set(value.name, "sum");
  }

  get marks(): TapeMarks {
    return {
      trainable: this.#trainable,
      modal: this.#modal,
      stopped: this.#stopped,
      mixesRows: this.#mixesRows,
      reduced: this.#reduced,
    };
  }

  /** The model with what was added; `outputs` (name → value) replace the outputs of `base` where they are given. */
  model(outputs?: Readonly<Record<string, Var>>): OnnxModel {
    const named = outputs === undefined ? undefined : this.#outputs(outputs);
    const graph = this.#patch.apply();
    return Object.freeze({
      ...this.#base,
      graph: makeGraph({
        ...graph,
        inputs: [...graph.inputs, ...this.#inputs],
        outputs: named ?? graph.outputs,
      }),
    });
  }

  /** Outputs under their own names; a value under another name goes through an Identity. */
  #outputs(outputs: Readonly<Record<string, Var>>): Value[] {
    return Object.entries(outputs).map(([name, value]) => {
      const type: TensorType = { kind: "tensor", dtype: value.dtype, shape: value.shape };
      if (value.name !== name) this.#patch.addNode("Identity", [value.name], {}, { outputs: [name] });
      return { name, type };
    });
  }
}
