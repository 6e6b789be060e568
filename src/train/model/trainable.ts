/** TrainableModel: an inference graph, which of its constants are trained, and their values now. */
import { TenonError } from "../../base/index.js";
import {
  type OnnxModel,
  readTensor,
  type SaveOptions,
  saveModel,
  type TensorData,
  tensorData,
  withWeights,
} from "../../onnx/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { merged, saveAdapter } from "../finetune/lora.js";
import type { CompileOptions } from "../step/options.js";
import { TrainStep } from "../step/step.js";
import type { ModelParts, WeightStore } from "./parts.js";

/** Made by `define`, `sequential` and `finetune`. */
export class TrainableModel implements WeightStore {
  readonly parts: ModelParts;
  /** Values that training has moved away from those in the graph, by constant. */
  readonly #values = new Map<string, Float32Array>();

  constructor(parts: ModelParts) {
    this.parts = parts;
    for (const name of parts.trainable) {
      const data = parts.onnx.graph.initializers.get(name);
      if (data?.dtype === "float32") continue;
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `"${name}" cannot be trained`,
        given: data === undefined ? "no constant of the graph" : data.dtype,
        expected: "a float32 constant",
        do: "freeze it, or convert the model to float32",
      });
    }
  }

  /** Names of the constants that training changes, in the graph's order. */
  get parameters(): readonly string[] {
    return this.parts.trainable;
  }

  /** Numbers that training changes. */
  get parameterCount(): number {
    return this.parts.trainable.reduce((sum, name) => sum + sizeOf(this.#data(name)), 0);
  }

  /** Dims of a constant. Throws USAGE for a name that is none. */
  shapeOf(name: string): readonly number[] {
    return this.#data(name).dims;
  }

  #data(name: string): TensorData {
    const data = this.parts.onnx.graph.initializers.get(name);
    if (data !== undefined) return data;
    throw new TenonError("USAGE", { problem: "the model has no constant of this name", given: name });
  }

  /** The values of a float32 constant now: those that training works on, or a copy of the graph's. */
  values(name: string): Float32Array {
    const moved = this.#values.get(name);
    if (moved !== undefined) return moved;
    const data = this.#data(name);
    if (data.dtype !== "float32")
      throw new TenonError("TENSOR_DTYPE", { problem: `"${name}"`, given: data.dtype, expected: "float32" });
    const tensor = readTensor(data, { maxBytes: Number.POSITIVE_INFINITY });
    return (tensor.data as unknown as Float32Array).slice();
  }

  /** Moves a constant's values into `memory`, where they are from now on. */
  moveInto(name: string, memory: Float32Array): void {
    memory.set(this.values(name));
    this.#values.set(name, memory);
  }

  /** Sets a constant's values. Throws TENSOR_SHAPE for another number of values. */
  setValues(name: string, values: Float32Array): void {
    const size = sizeOf(this.#data(name));
    if (values.length !== size) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: `"${name}"`,
        given: `${values.length} values`,
        expected: String(size),
      });
    }
    const moved = this.#values.get(name);
    if (moved === undefined) this.#values.set(name, values.slice());
    else moved.set(values);
  }

  /**
   * A training step of this model. The values of its parameters are in the step's memory from then on; the step
   * compiled last is the one that trains the model. Throws USAGE for options that do not fit the model.
   */
  compile(options: CompileOptions): Promise<TrainStep> {
    return TrainStep.compile(this, options);
  }

  /** The inference model with the values of now; `values` replaces some. */
  toOnnx(values: ReadonlyMap<string, Float32Array> = new Map()): OnnxModel {
    const weights = new Map<string, TensorData>();
    for (const [name, moved] of [...this.#values, ...values]) {
      const copy = tensorFromStorage("float32", this.#data(name).dims, moved.slice());
      weights.set(name, tensorData(copy, name));
    }
    return weights.size === 0 ? this.parts.onnx : withWeights(this.parts.onnx, weights);
  }

  /** The inference model with LoRA's changes added to the weights that they change. Throws USAGE without LoRA. */
  merge(): OnnxModel {
    return merged(this);
  }

  /** Writes LoRA's weights into a folder as PEFT reads them. Throws USAGE without LoRA. */
  saveAdapter(folder: string): Promise<void> {
    return saveAdapter(this, folder);
  }

  /** Writes the inference model as an ONNX file. Throws as `saveModel` does. */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    await saveModel(this.toOnnx(), path, options);
  }
}

function sizeOf({ dims }: TensorData): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
