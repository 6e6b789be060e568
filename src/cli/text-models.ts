/** The folders of a server that hold models of texts: their graphs for the engine, and what answers in texts for the routes. */
import { statSync } from "node:fs";
import { TenonError, toTenonError } from "../base/index.js";
import type {
  Embedder,
  PreparedEmbedder,
  PreparedHead,
  PreparedSparse,
  SparseEmbedder,
  TextScorer,
} from "../embed/index.js";
import type { OnnxModel } from "../onnx/index.js";
import type { Engine, Source } from "../runtime/index.js";
import type {
  ScoreModel,
  SparseModel,
  TextInput,
  TextModel,
  TextModels,
  TextOptions,
  TextToken,
  TextVectors,
  VectorModel,
} from "../serve/index.js";
import { isEmbedderFolder, openModel } from "./open-model.js";
import { weightsDtype } from "./weights-dtype.js";

type Prepared =
  | { readonly embedder: PreparedEmbedder }
  | { readonly head: PreparedHead }
  | { readonly sparse: PreparedSparse };

/** Models of texts by the folders they come from. */
export class ServedTexts implements TextModels {
  readonly #engine: Engine;
  readonly #warn: (text: string) => void;
  /** By path. */
  readonly #prepared = new Map<string, Prepared>();
  /** Paths by the names that models have in the engine. */
  readonly #paths = new Map<string, string>();
  /** By name, with what they were made of. */
  readonly #models = new Map<string, { readonly from: Prepared; readonly model: TextModel }>();

  constructor(engine: Engine, warn: (text: string) => void) {
    this.#engine = engine;
    this.#warn = warn;
  }

  /** Remembers which path a name stands for. */
  name(name: string, path: string): void {
    this.#paths.set(name, path);
  }

  /** What to load for a path: with the head that texts need, where it is a folder of such a model. */
  async open(path: string): Promise<Source> {
    this.#prepared.delete(path);
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return openModel(path);
    const { isHeadFolder, isSparseFolder, prepareEmbedder, prepareHead, prepareSparse } = await import(
      "../embed/index.js"
    );
    if (!isEmbedderFolder(path) && !isHeadFolder(path)) return openModel(path);
    try {
      if (isSparseFolder(path)) {
        const sparse = await prepareSparse(path);
        this.#prepared.set(path, { sparse });
        return sparse.graph;
      }
      if (isEmbedderFolder(path)) {
        const embedder = await prepareEmbedder(path, { tokenOutputs: true });
        this.#prepared.set(path, { embedder });
        return embedder.graph;
      }
      const head = await prepareHead(path);
      this.#prepared.set(path, { head });
      return head.graph;
    } catch (thrown) {
      const error = toTenonError(thrown);
      const source = await openModel(path);
      this.#warn(`${path} is served without the routes for texts: ${error.message}`);
      return source;
    }
  }

  list(): readonly TextModel[] {
    return this.#engine.models().flatMap(({ name }) => {
      const from = this.#prepared.get(this.#paths.get(name) ?? "");
      if (from === undefined) return [];
      const known = this.#models.get(name);
      if (known?.from === from) return [known.model];
      const model = () => this.#engine.get(name);
      const [{ graph }] = Object.values(from) as [{ readonly graph: OnnxModel }];
      const dtype = weightsDtype(graph);
      const made =
        "embedder" in from
          ? vectorModel(name, dtype, from.embedder.attach(this.#engine, model))
          : "sparse" in from
            ? sparseModel(name, dtype, from.sparse.attach(this.#engine, model))
            : scoreModel(name, dtype, from.head.attach(this.#engine, model));
      this.#models.set(name, { from, model: made });
      return [made];
    });
  }
}

function vectorModel(name: string, dtype: string, embedder: Embedder): VectorModel {
  const { card, dims } = embedder;
  const promptOf = (promptName: string | undefined): string => {
    const names = Object.keys(card.prompts.value);
    if (promptName === undefined || names.includes(promptName))
      return embedder.prompt(promptName === undefined ? {} : { promptName });
    throw new TenonError("REQUEST_INVALID", {
      problem: `the model has no prompt \`${promptName.slice(0, 80)}\`; it has ${names.join(", ") || "none"}`,
      details: { field: "prompt_name" },
    });
  };
  return {
    kind: "embedding",
    name,
    dtype,
    dims,
    maxTokens: card.maxTokens.value,
    batchTokens: embedder.explain().budget,
    pooling: card.pooling.value.join("+"),
    normalized: card.normalize.value,
    embed: async (inputs, options) => {
      const prompt = promptOf(options.promptName);
      const texts = inputs.filter((input) => typeof input === "string");
      const { promptName: _, ...call } = options;
      if (texts.length === inputs.length) return float32Of(await embedder.embed(texts, { prompt, ...call }));
      return mixed(embedder, inputs, prompt, call);
    },
    embedTokens: async (input, { promptName, ...call }) =>
      embedder.tokenVectors(input, { prompt: promptOf(promptName), ...call }),
    tokenize: (text, { special, promptName }) =>
      tokensOf(embedder.tokenizer, promptOf(promptName) + text, special),
    decode: (ids, skipSpecialTokens) => embedder.tokenizer.decode(ids, { skipSpecialTokens }),
  };
}

/** Texts and lists of tokens beside each other. */
async function mixed(
  embedder: Embedder,
  inputs: readonly TextInput[],
  prompt: string,
  call: Omit<TextOptions, "promptName">,
): Promise<TextVectors> {
  const isText = inputs.map((input) => typeof input === "string");
  const [texts, lists] = await Promise.all([
    embedder.embed(
      inputs.filter((input) => typeof input === "string"),
      { prompt, ...call },
    ),
    embedder.embedIds(
      inputs.filter((input) => typeof input !== "string"),
      call,
    ),
  ]);
  const { dims } = embedder;
  const data = new Float32Array(inputs.length * dims);
  const tokens = new Uint32Array(inputs.length);
  const next = { text: 0, list: 0 };
  isText.forEach((text, row) => {
    const from = text ? texts : lists;
    const at = text ? next.text++ : next.list++;
    data.set(from.row(at) as Float32Array, row * dims);
    tokens[row] = from.tokens[at]!;
  });
  return { data, rows: inputs.length, dims, tokens };
}

function float32Of(matrix: Awaited<ReturnType<Embedder["embed"]>>): TextVectors {
  // Embedders of a server are prepared with the default output type.
  return { data: matrix.data as Float32Array, rows: matrix.rows, dims: matrix.dims, tokens: matrix.tokens };
}

function scoreModel(name: string, dtype: string, scorer: TextScorer): ScoreModel {
  return {
    kind: scorer.labels.length === 1 ? "reranker" : "classifier",
    name,
    dtype,
    labels: scorer.labels,
    maxTokens: scorer.maxTokens,
    batchTokens: 256,
    rank: (query, texts, { promptName: _, ...call }) => scorer.rank(query, texts, call),
    classify: (inputs, { promptName: _, ...call }) => scorer.classify(inputs, call),
    tokenize: (text, { special }) => tokensOf(scorer.tokenizer, text, special),
    decode: (ids, skipSpecialTokens) => scorer.tokenizer.decode(ids, { skipSpecialTokens }),
  };
}

function sparseModel(name: string, dtype: string, sparse: SparseEmbedder): SparseModel {
  return {
    kind: "sparse",
    name,
    dtype,
    maxTokens: sparse.maxTokens,
    batchTokens: 256,
    embedSparse: (inputs, { promptName: _, ...call }) => sparse.embed(inputs, call),
    tokenize: (text, { special }) => tokensOf(sparse.tokenizer, text, special),
    decode: (ids, skipSpecialTokens) => sparse.tokenizer.decode(ids, { skipSpecialTokens }),
  };
}

/** Places are counted in characters, not in the units of strings here. */
function tokensOf(tokenizer: Embedder["tokenizer"], text: string, special: boolean): TextToken[] {
  const { ids, offsets, sequences } = tokenizer.encode(text, { addSpecialTokens: special, offsets: true });
  const characters = new Uint32Array(text.length + 1);
  let count = 0;
  for (let i = 0; i < text.length; ) {
    const length = text.codePointAt(i)! > 0xffff ? 2 : 1;
    characters.fill(count, i, i + length);
    i += length;
    count++;
  }
  characters[text.length] = count;
  return Array.from(ids, (id, i): TextToken => {
    const isSpecial = sequences![i] === 255;
    const [start, stop] = [offsets![2 * i]!, offsets![2 * i + 1]!];
    return {
      id,
      text: isSpecial ? (tokenizer.tokenOf(id) ?? "") : text.slice(start, stop),
      special: isSpecial || tokenizer.isSpecial(id),
      start: isSpecial ? null : characters[start]!,
      stop: isSpecial ? null : characters[stop]!,
    };
  });
}
