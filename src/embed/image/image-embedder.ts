/** ImageEmbedder: images, and the texts that describe them, as vectors of one space (CLIP, SigLIP). */
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { type OnnxModel, readModel } from "../../onnx/index.js";

import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import { incomplete, modulesOf } from "../card/card.js";
import { isFile, readFields } from "../card/files.js";

import { assertModelFolder } from "../card/model-files.js";
import type { ScoreOptions } from "../heads.js";
import { modelFolder } from "../hub/cache.js";
import { EmbedMatrix } from "../matrix.js";
import { type OpenedModel, type OpenOptions, onEngine } from "../opened.js";
import { decodeImage, type ImageInput } from "./decode.js";
import { type ImageRules, preprocess, readImageRules } from "./preprocess.js";
import { TextTower } from "./text-tower.js";

export interface ImageEmbedderOptions extends OpenOptions {
  /** Vectors get length 1. Default: as the model gives them, which is so where its modules end in Normalize. */
  readonly normalize?: boolean;
  /** Images of one run. Default 4. */
  readonly batch?: number;
}

const GRAPHS = ["onnx/vision_model.onnx", "vision_model.onnx"];
/** The output in the space that texts share. */
const SHARED = "image_embeds";
const OUTPUTS = [SHARED, "pooler_output"];

/**
 * Opens the part of CLIP or SigLIP that sees images: a folder with `preprocessor_config.json` and weights, or
 * `onnx/vision_model.onnx`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID.
 *
 * ```ts
 * await using model = await imageEmbedder("./clip-vit-base-patch32");
 * const { data, dims } = await model.images(["panda.jpg", bytes]);
 * ```
 */
export async function imageEmbedder(
  given: string,
  options: ImageEmbedderOptions = {},
): Promise<ImageEmbedder> {
  const whole = modelFolder(given);
  assertModelFolder(whole);
  const { folder, unit } = placeOf(whole);
  const rules = readImageRules(folder);
  const { batch = 4 } = options;
  if (!Number.isInteger(batch) || batch < 1)
    throw new TenonError("CONFIG_INVALID", { problem: "batch", given: String(batch), expected: "1 or more" });
  const graph = await graphOf(folder);
  const output = OUTPUTS.find((name) => graph.graph.outputs.some((value) => value.name === name));
  const inputs = graph.graph.inputs
    .map(({ name }) => name)
    .filter((name) => !graph.graph.initializers.has(name));
  if (output === undefined || inputs.join() !== "pixel_values") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph does not make vectors of images",
      given: `${inputs.join(", ")} to ${graph.graph.outputs.map(({ name }) => name).join(", ")}`,
      expected: `pixel_values to ${OUTPUTS.join(" or ")}`,
    });
  }
  const { normalize = unit } = options;
  return onEngine(
    given,
    options,
    async () => graph,
    async (read, load) =>
      new ImageEmbedder({ folder, rules, opened: await load(read), output, batch, normalize }),
  );
}

/** Where sentence-transformers put the model, and whether it brings vectors to length 1 behind it. */
function placeOf(folder: string): { readonly folder: string; readonly unit: boolean } {
  const modules = modulesOf(folder);
  if (modules === undefined) return { folder, unit: false };
  const [first, ...rest] = modules;
  const isKnown = ["CLIPModel", "Transformer"].includes(first!.kind);
  if (isKnown && rest.every(({ kind }) => kind === "Normalize"))
    return { folder: first!.folder, unit: rest.length > 0 };
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "modules.json has other modules than a model of images",
    given: modules
      .map(({ kind }) => kind)
      .join(", ")
      .slice(0, 200),
    expected: "CLIPModel or Transformer, then Normalize or nothing",
    do: "embedder opens models of texts alone",
  });
}

async function graphOf(folder: string): Promise<OnnxModel> {
  const name = GRAPHS.find((file) => isFile(join(folder, file)));
  if (name !== undefined) return readModel(join(folder, name));
  if (!isFile(join(folder, "config.json"))) throw incomplete(folder, [...GRAPHS, "config.json"]);
  const { architectureFromFolder } = await import("../../torch/index.js");
  return architectureFromFolder(folder, { head: "image-embeds" });
}

interface Parts {
  readonly folder: string;
  readonly rules: ImageRules;
  readonly opened: OpenedModel;
  readonly output: string;
  readonly batch: number;
  readonly normalize: boolean;
}

/** Made by `imageEmbedder`. */
export class ImageEmbedder {
  readonly name: string;
  readonly #parts: Parts;
  #tower: Promise<TextTower> | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.name = parts.opened.model().name;
    this.#parts = parts;
  }

  /** A vector an image, in their order. Throws USAGE, FILE_INVALID, DEPENDENCY_MISSING, CANCELLED. */
  async images(
    images: readonly ImageInput[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<EmbedMatrix<Float32Array>> {
    const { batch } = this.#parts;
    let data = new Float32Array(0);
    let dims = 0;
    for (let from = 0; from < images.length; from += batch) {
      if (signal?.aborted === true) throw new TenonError("CANCELLED", { cause: signal.reason });
      const found = await this.#some(images.slice(from, from + batch), from);
      dims = found.length / Math.min(batch, images.length - from);
      if (from === 0) data = new Float32Array(images.length * dims);
      data.set(found, from * dims);
    }
    return new EmbedMatrix(data, images.length, dims, new Uint32Array(images.length), []);
  }

  /**
   * A vector a text, in their order, in the space of the images: their products tell how well they go together. For folders of
   * CLIP and SigLIP with `tokenizer.json`, of CLIP also with `vocab.json` and `merges.txt`; the part that reads texts is loaded by the first call. Rejects with MODEL_INCOMPLETE,
   * MODEL_UNSUPPORTED, FILE_INVALID, USAGE, TEXT_TOO_LONG, CANCELLED, ENGINE_CLOSED.
   */
  async texts(texts: readonly string[], options: ScoreOptions = {}): Promise<EmbedMatrix<Float32Array>> {
    if (this.#closing !== undefined)
      throw new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` });
    this.#tower ??= this.#openTower();
    const matrix = await (await this.#tower).embed(texts, options);
    if (this.#parts.normalize) toUnit(matrix.data, matrix.rows);
    return matrix;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const tower = await this.#tower?.catch(() => undefined);
    await tower?.close();
    await this.#parts.opened.release();
  }

  async #openTower(): Promise<TextTower> {
    const { folder, opened, output } = this.#parts;
    // SigLIP has no projection behind its pooled vectors.
    const isSiglip = /^siglip/.test(String(readFields(folder, "config.json")?.model_type));
    if (output !== SHARED && !isSiglip) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: "the graph gives vectors of images before they come to the space of texts",
        given: output,
        expected: SHARED,
      });
    }
    return TextTower.open(folder, opened.engine, `${this.name}.text`);
  }

  async #some(images: readonly ImageInput[], first: number): Promise<Float32Array> {
    const { rules, opened, output, normalize } = this.#parts;
    const { height, width } = rules.size;
    const each = 3 * height * width;
    const values = new Float32Array(images.length * each);
    for (const [at, image] of images.entries()) {
      const pixels = await decodeImage(image, `image ${first + at}`);
      preprocess(pixels, rules, values.subarray(at * each, (at + 1) * each));
    }
    const input = tensorFromStorage("float32", [images.length, 3, height, width], values) as Tensor;
    using outputs = await opened.model().run({ pixel_values: input }, { outputs: [output] });
    const found = (outputs[output]!.data as unknown as Float32Array).slice(); // vectors of CLIP are float32
    if (normalize) toUnit(found, images.length);
    return found;
  }
}

function toUnit(data: Float32Array, rows: number): void {
  const dims = data.length / rows;
  for (let row = 0; row < rows; row++) {
    const vector = data.subarray(row * dims, (row + 1) * dims);
    const length = Math.max(Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0)), 1e-12);
    for (let j = 0; j < dims; j++) vector[j]! /= length;
  }
}
