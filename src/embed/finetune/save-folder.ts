/** A trained embedder as a folder: the files of its origin, with other weights. It appears complete or not at all. */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { TenonError } from "../../base/index.js";
import {
  makeGraph,
  type OnnxModel,
  readTensor,
  removeDead,
  run,
  saveModel,
  withGraph,
} from "../../onnx/index.js";
import type { Tensor } from "../../tensor/index.js";
import { openWeights, saveSafetensors, type TensorRef } from "../../torch/index.js";
import type { ModelCard } from "../card/card.js";
import { onlyOutputs } from "../graph/body.js";
import type { TokenInput } from "../graph/names.js";
import type { StaticModel } from "../static/static-model.js";

/** Weights and graphs, in any format: they are written anew or belong to the model as it was. */
const WEIGHTS = /\.(safetensors|bin|onnx|onnx_data|onnx\.data|pt|pth|h5|msgpack|ot|gguf)$|\.index\.json$/;
const WEIGHT_FOLDERS: ReadonlySet<string> = new Set(["onnx", "openvino", ".git", ".cache"]);
/** Far more than a model's folder has. */
const MOST_FILES = 10_000;

/** What is known of an encoder whose graph was trained. */
export interface TrainedEncoder {
  readonly card: ModelCard;
  /** The file that the transformer came from, within the folder. */
  readonly from: string;
  /** The value of the graph with the vectors of tokens. */
  readonly hidden: string;
  readonly inputs: readonly TokenInput[];
  readonly trained: OnnxModel;
}

/** Throws USAGE for a folder that exists. */
export async function saveEncoder(encoder: TrainedEncoder, target: string): Promise<void> {
  const { card, from, trained } = encoder;
  await inNewFolder(target, async (folder) => {
    await copyRest(card.folder, folder);
    const home = join(folder, relative(card.folder, card.transformer));
    if (from.endsWith(".onnx")) await saveBody(encoder, join(folder, from));
    else {
      const { tensors } = await openWeights(card.transformer);
      await saveSafetensors(join(home, "model.safetensors"), replaced(tensors, trained), {
        metadata: { format: "pt" },
      });
    }
    for (const [at, dense] of card.dense.entries()) {
      const { tensors } = await openWeights(dense.folder);
      const values = replaced(tensors, trained, `dense.${at}.`);
      await saveSafetensors(join(folder, relative(card.folder, dense.folder), "model.safetensors"), values);
    }
  });
}

/** Throws USAGE for a folder that exists. */
export async function saveStatic(model: StaticModel, trained: OnnxModel, target: string): Promise<void> {
  const { folder: origin, transformer } = model.card;
  await inNewFolder(target, async (folder) => {
    await copyRest(origin, folder);
    const { tensors } = await openWeights(join(transformer, model.from));
    const names = { "embedding.weight": "embeddings", embeddings: "embeddings", weights: "weights" };
    const values = new Map<string, Tensor | TensorRef>(tensors);
    for (const [own, inGraph] of Object.entries(names)) {
      const data = trained.graph.initializers.get(inGraph);
      if (values.has(own) && data !== undefined) values.set(own, readTensor(data, WHOLE));
    }
    await saveSafetensors(join(folder, relative(origin, transformer), "model.safetensors"), values);
  });
}

const WHOLE = { maxBytes: Number.POSITIVE_INFINITY };

/** The trained graph up to the vectors of tokens, without what only pooling takes. */
async function saveBody({ trained, hidden, inputs }: TrainedEncoder, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const body = run(trained, [onlyOutputs(hidden), removeDead]);
  const taken = body.graph.inputs.filter(({ name }) => (inputs as readonly string[]).includes(name));
  await saveModel(withGraph(body, makeGraph({ ...body.graph, inputs: taken })), path);
}

/** The tensors of a file, those that were trained with their values of now, as float32. */
function replaced(
  tensors: ReadonlyMap<string, TensorRef>,
  trained: OnnxModel,
  prefix = "",
): ReadonlyMap<string, Tensor | TensorRef> {
  const values = new Map<string, Tensor | TensorRef>(tensors);
  for (const [name, { shape }] of tensors) {
    const data = trained.graph.initializers.get(prefix + name);
    if (data?.dtype !== "float32" || data.dims.join() !== shape.join()) continue;
    values.set(name, readTensor(data, WHOLE));
  }
  return values;
}

async function inNewFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  if (await stat(target).catch(() => undefined)) {
    throw new TenonError("USAGE", {
      problem: "the folder exists already",
      given: target,
      do: "name a new one, or remove it",
    });
  }
  await mkdir(dirname(target), { recursive: true });
  const folder = join(dirname(target), `.${basename(target)}-${randomUUID()}`);
  try {
    await mkdir(folder);
    await fill(folder);
    await rename(folder, target);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Copies everything but weights. Links to files become files. */
async function copyRest(from: string, to: string): Promise<void> {
  const waiting = [""];
  let files = 0;
  for (let at = 0; at < waiting.length; at++) {
    const path = waiting[at]!;
    for (const name of await readdir(join(from, path))) {
      if (files++ > MOST_FILES)
        throw new TenonError("USAGE", { problem: "the model's folder has too many files", given: from });
      const found = await stat(join(from, path, name)).catch(() => undefined);
      if (found?.isDirectory() === true && !WEIGHT_FOLDERS.has(name)) {
        await mkdir(join(to, path, name), { recursive: true });
        waiting.push(join(path, name));
      } else if (found?.isFile() === true && !WEIGHTS.test(name))
        await copyFile(join(from, path, name), join(to, path, name));
    }
  }
}

/** A static model in the layout of sentence-transformers: one vector for each token, then length 1. */
export async function saveNewStatic(
  target: string,
  parts: { readonly tokenizer: string; readonly vectors: Tensor },
): Promise<void> {
  await inNewFolder(target, async (folder) => {
    const home = join(folder, "0_StaticEmbedding");
    await mkdir(home);
    await saveSafetensors(join(home, "model.safetensors"), { "embedding.weight": parts.vectors });
    await writeFile(join(home, "tokenizer.json"), parts.tokenizer);
    const modules = ["StaticEmbedding", "Normalize"].map((kind, idx) => ({
      idx,
      name: String(idx),
      path: `${idx}_${kind}`,
      type: `sentence_transformers.models.${kind}`,
    }));
    await writeFile(join(folder, "modules.json"), `${JSON.stringify(modules, null, 2)}\n`);
    await mkdir(join(folder, "1_Normalize"));
    await writeFile(
      join(folder, "config_sentence_transformers.json"),
      '{ "similarity_fn_name": "cosine" }\n',
    );
  });
}
