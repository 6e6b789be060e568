/** trainableEmbedder: an embedder's folder as a model that trains, and as a folder again afterwards. */
import { TenonError } from "../../base/index.js";
import type { OnnxModel } from "../../onnx/index.js";
import type { Tensor } from "../../tensor/index.js";
import type { FinetuneOptions, TrainableModel } from "../../train/index.js";
import { type CardOptions, type ModelCard, readCard, type TruncateSide } from "../card/card.js";
import { denseGraph } from "../graph/dense.js";
import type { TokenInput } from "../graph/names.js";
import { modelFolder } from "../hub/cache.js";
import { promptFor, type TextRole } from "../prompts.js";
import { paddingId } from "../schedule/encoder-run.js";
import { isStaticFolder } from "../static/static-folder.js";
import { TextEncoder, type Tokens } from "../text.js";
import {
  type ContrastOptions,
  contrastTask,
  type DistilOptions,
  distilTask,
  type EmbedTask,
  type TextPair,
  type Train,
} from "./tasks.js";
import { paddedBatch, type TextInputs } from "./text-batches.js";

export interface TrainableEmbedderOptions
  extends CardOptions,
    Pick<FinetuneOptions, "train" | "freeze" | "lora" | "dropout" | "seed"> {
  /** Texts that are longer than the model reads, or than `maxTokens`: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
}

/** Parts of a folder that train and are saved. */
interface Parts {
  readonly card: ModelCard;
  readonly dims: number;
  readonly graph: OnnxModel;
  readonly inputs: TextInputs;
  encode(text: string, prompt: string, name: string): Tokens;
  save(trained: OnnxModel, folder: string): Promise<void>;
}

/**
 * Opens an embedder's folder (one that `embedder` opens: an encoder, or a static model) for training. Throws what
 * `embedder` and `finetune` throw.
 *
 * ```ts
 * const student = await trainableEmbedder("./all-MiniLM-L6-v2");
 * const task = student.contrast([{ anchor: "a question", positive: "its answer" }]);
 * const step = await student.model.compile({ loss: task.loss, optimizer: adamw({ lr: 2e-5 }) });
 * for await (const event of fit(step, task.data, { epochs: 1, totalSteps: task.batches })) report(event);
 * await student.save("./tuned");
 * ```
 */
export async function trainableEmbedder(
  given: string,
  options: TrainableEmbedderOptions = {},
): Promise<TrainableEmbedder> {
  const folder = modelFolder(given);
  const train = await import("../../train/index.js");
  const parts = isStaticFolder(folder)
    ? await staticParts(folder, options)
    : await encoderParts(folder, options);
  const { train: chosen, freeze, lora, dropout, seed } = options;
  const model = await train.finetune(parts.graph, {
    ...(chosen === undefined ? {} : { train: chosen }),
    ...(freeze === undefined ? {} : { freeze }),
    ...(lora === undefined ? {} : { lora }),
    ...(dropout === undefined ? {} : { dropout }),
    ...(seed === undefined ? {} : { seed }),
  });
  return new TrainableEmbedder(train, parts, model);
}

async function encoderParts(folder: string, options: TrainableEmbedderOptions): Promise<Parts> {
  const card = readCard(folder, options);
  const text = await TextEncoder.open(card, options.truncate ?? "right");
  const dense = await denseGraph(card, {
    dims: undefined,
    output: "float32",
    quant: "none",
    weightRoom: "whole",
    tokenOutputs: true,
  });
  const inputs = {
    inputs: dense.inputs,
    poolingMask: dense.poolingMask,
    padId: paddingId(card.config, (token) => text.tokenizer.idOf(token)),
    maxTokens: card.maxTokens.value,
  };
  return {
    card,
    dims: dense.dims,
    graph: dense.model,
    inputs,
    encode: (each, prompt, name) => text.encode(each, prompt, name),
    save: async (trained, target) => {
      const { saveEncoder } = await import("./save-folder.js"); // reads and writes files of PyTorch
      const { from, hidden, inputs } = dense;
      return saveEncoder({ card, from, hidden: hidden!, inputs, trained }, target);
    },
  };
}

async function staticParts(folder: string, options: TrainableEmbedderOptions): Promise<Parts> {
  const [{ StaticEmbedder }, { staticGraph }, { readStatic }, { saveStatic }] = await Promise.all([
    import("../static/static-embedder.js"),
    import("../static/static-graph.js"),
    import("../static/static-model.js"),
    import("./save-folder.js"),
  ]);
  const model = await readStatic(folder, options);
  if (!(model.table instanceof Float32Array)) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the vectors of this static model are bytes, which do not train",
      expected: "vectors of floats",
    });
  }
  const tokens = new StaticEmbedder(model, "trainable", {
    ...(options.truncate === undefined ? {} : { truncate: options.truncate }),
  });
  const inputs: readonly TokenInput[] = ["input_ids", "attention_mask"];
  return {
    card: model.card,
    dims: model.dims,
    graph: staticGraph(model),
    inputs: { inputs, poolingMask: false, padId: 0, maxTokens: model.card.maxTokens.value },
    encode: (text, prompt, name) => {
      const { ids: all, truncated } = tokens.encode(prompt + text, name);
      const ids = all.filter((id) => id !== model.unknown);
      if (ids.length === 0)
        throw new TenonError("USAGE", {
          problem: `${name} has no token that the model knows`,
          given: text.slice(0, 80),
        });
      return { ids, typeIds: new Uint8Array(ids.length), unpooled: 0, truncated };
    },
    save: (trained, target) => saveStatic(model, trained, target),
  };
}

export class TrainableEmbedder {
  readonly card: ModelCard;
  /** Numbers of a vector. */
  readonly dims: number;
  /** What trains: tokens in, `sentence_embedding` [rows, dims] out. */
  readonly model: TrainableModel;
  readonly #train: Train;
  readonly #parts: Parts;

  constructor(train: Train, parts: Parts, model: TrainableModel) {
    this.card = parts.card;
    this.dims = parts.dims;
    this.model = model;
    this.#train = train;
    this.#parts = parts;
  }

  /** Entries of a batch for texts, one row each, with the model's prompt for their role. Throws USAGE, TEXT_TOO_LONG. */
  batch(texts: readonly string[], role: TextRole = "any"): Record<string, Tensor> {
    return this.#batch(texts.map((text) => ({ text, role })));
  }

  /**
   * Training by contrast: anchors (with the prompt of queries) are to be near their positives (with that of passages),
   * and far from the other texts of the batch. Throws USAGE.
   */
  contrast(rows: readonly TextPair[], options: ContrastOptions = {}): EmbedTask {
    return contrastTask(this.#train, rows, (texts) => this.#batch(texts), options);
  }

  /** Training towards the vectors that a teacher gave the texts: `await teacher.embed(texts)`. Throws USAGE, DIMS_MISMATCH. */
  distil(
    texts: readonly string[],
    teacher: { readonly data: ArrayLike<number>; readonly dims: number },
    options: DistilOptions = {},
  ): EmbedTask {
    return distilTask(
      this.#train,
      texts,
      teacher,
      { dims: this.dims, make: (each) => this.#batch(each) },
      options,
    );
  }

  /**
   * Writes a folder that `embedder`, and sentence-transformers, open: the files of the one it came from, with the weights
   * of now (LoRA's merged into them). The folder must not exist. Throws FILE_EXISTS.
   */
  async save(folder: string): Promise<void> {
    const { lora } = this.model.parts;
    await this.#parts.save(lora === undefined ? this.model.toOnnx() : this.model.merge(), folder);
  }

  #batch(texts: readonly { readonly text: string; readonly role: TextRole }[]): Record<string, Tensor> {
    const { card, inputs } = this.#parts;
    const tokens = texts.map(({ text, role }, at) =>
      this.#parts.encode(text, promptFor(card, role), `text ${at}`),
    );
    return paddedBatch(tokens, inputs);
  }
}
