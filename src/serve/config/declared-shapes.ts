/** DeclaredShapes: the dims that a configuration declares where the model leaves them open, and its `reshape`s. */
import {
  type Inputs,
  type Outputs,
  orderInputs,
  outputRecord,
  type Signature,
  type ValueSignature,
} from "../../runtime/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { Config, ConfigFile } from "./config-file.js";

type Declared = Config["input"][number] | Config["output"][number];

/** Between the dims that clients see and those of the model, both without the batch; -1 is open on both sides. */
interface Change {
  readonly dims: readonly number[];
  readonly shape: readonly number[];
}

export class DeclaredShapes {
  /** What clients give and get. */
  readonly signature: Signature;
  readonly #model: string;
  readonly #batched: boolean;
  readonly #inputs: ReadonlyMap<string, Change>;
  readonly #outputs: ReadonlyMap<string, Change>;

  private constructor(file: ConfigFile, own: Signature) {
    const { config, model } = file;
    this.#model = model;
    this.#batched = config.max_batch_size > 0;
    this.#inputs = changesOf(file, config.input);
    this.#outputs = changesOf(file, config.output);
    const seen = (values: readonly ValueSignature[], declared: readonly Declared[]): ValueSignature[] =>
      values.map((value) =>
        this.#seen(
          value,
          declared.find(({ name }) => name === value.name),
        ),
      );
    this.signature = { inputs: seen(own.inputs, config.input), outputs: seen(own.outputs, config.output) };
  }

  /** undefined when the configuration says nothing that the model does not. Throws CONFIG_INVALID for a reshape of other sizes. */
  static of(file: ConfigFile, own: Signature): DeclaredShapes | undefined {
    const shapes = new DeclaredShapes(file, own);
    const same = shapes.signature.inputs.every((value, i) =>
      (value.dims ?? []).every((dim, axis) => {
        const known = own.inputs[i]!.dims?.[axis];
        return typeof dim !== "number" || dim === known;
      }),
    );
    const reshaped = shapes.#inputs.size + shapes.#outputs.size > 0;
    return same && !reshaped ? undefined : shapes;
  }

  #seen(value: ValueSignature, declared: Declared | undefined): ValueSignature {
    if (declared === undefined || declared.dims.length === 0) return value;
    const own = declared.dims.map(Number).map((dim) => (dim === -1 ? null : dim));
    return { ...value, dims: this.#batched ? [value.dims?.[0] ?? null, ...own] : own };
  }

  /** Inputs as the model has them. Throws INPUT_* for what the configuration does not allow. */
  toModel(inputs: Inputs): Inputs {
    const ordered = orderInputs(this.#model, this.signature, inputs, { allowZero: false });
    const given: Record<string, Tensor> = Object.create(null);
    this.signature.inputs.forEach(({ name }, i) => {
      const change = this.#inputs.get(name);
      const tensor = ordered[i]!;
      given[name] = change === undefined ? tensor : this.#reshape(tensor, change.dims, change.shape);
    });
    return given;
  }

  /** Outputs as clients see them. */
  fromModel(outputs: Outputs): Outputs {
    if (this.#outputs.size === 0) return outputs;
    const names = Object.keys(outputs);
    const record = outputRecord(
      names,
      names.map((name) => {
        const change = this.#outputs.get(name);
        const tensor = outputs[name]!;
        return change === undefined ? tensor : this.#reshape(tensor.contiguous(), change.shape, change.dims);
      }),
    );
    return Object.defineProperty(record, Symbol.dispose, { value: () => outputs[Symbol.dispose]() });
  }

  /** What is open in `to` takes the sizes of what is open in `from`, in their order. */
  #reshape(tensor: Tensor, from: readonly number[], to: readonly number[]): Tensor {
    const rows = this.#batched ? [tensor.shape[0]!] : [];
    const own = this.#batched ? tensor.shape.slice(1) : tensor.shape;
    const open = own.filter((_, axis) => from[axis] === -1);
    const shape = [...rows, ...to.map((dim) => (dim === -1 ? open.shift()! : dim))];
    return tensor.contiguous().reshape(shape);
  }
}

function changesOf(file: ConfigFile, values: readonly Declared[]): ReadonlyMap<string, Change> {
  const changes = new Map<string, Change>();
  for (const value of values) {
    if (value.reshape === undefined) continue;
    const dims = value.dims.map(Number);
    const shape = value.reshape.shape.map(Number);
    const fixed = (sizes: readonly number[]): number =>
      sizes.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
    const open = (sizes: readonly number[]): number => sizes.filter((dim) => dim === -1).length;
    if (fixed(dims) !== fixed(shape) || open(dims) !== open(shape)) {
      const problem = `reshape of "${value.name}" makes [${shape.join(", ")}] of [${dims.join(", ")}]`;
      throw file.invalid(problem, "reshape", value, "as many elements, and as many open dims");
    }
    changes.set(value.name, { dims, shape });
  }
  return changes;
}
