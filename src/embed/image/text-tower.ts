/** TextTower: the part of CLIP that reads texts, into the space of its images. */
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { type OnnxModel, readModel } from "../../onnx/index.js";
import type { Engine, Model } from "../../runtime/index.js";
import { incomplete } from "../card/card.js";
import { countAt, type Fields, isFields, isFile, readFields } from "../card/files.js";
import { onlyOutputs, type TokenInput, tokenInputs } from "../graph/body.js";
import type { ScoreOptions } from "../heads.js";
import { EmbedMatrix } from "../matrix.js";
import { onModel } from "../opened.js";
import { type TextRunner, textRunner } from "../schedule/text-runner.js";
import { checkTexts, TextEncoder } from "../text.js";

const GRAPHS = ["onnx/text_model.onnx", "text_model.onnx"];
const OUTPUT = "text_embeds";
const CONFIG = "config.json";

export class TextTower {
  readonly #model: Model;
  readonly #text: TextEncoder;
  readonly #runner: TextRunner;
  readonly #dims: number;

  private constructor(model: Model, text: TextEncoder, runner: TextRunner, dims: number) {
    this.#model = model;
    this.#text = text;
    this.#runner = runner;
    this.#dims = dims;
  }

  /** Reads the folder and loads its graph of texts under `name`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID. */
  static async open(folder: string, engine: Engine, name: string): Promise<TextTower> {
    const config = textConfig(folder);
    const places = countAt(config, "max_position_embeddings", CONFIG) ?? 77;
    const card = { folder, transformer: folder, lowerCase: false, includePrompt: true };
    const maxTokens = { value: places, from: CONFIG };
    const text = await TextEncoder.open({ ...card, maxTokens }, "right");
    const { graph, inputs, dims } = await graphOf(folder);
    const model = await engine.load(graph, { name, batch: { max: 1 }, calibrate: false });
    const opened = onModel(engine, () => model);
    const parts = { config, text, inputs, poolingMask: false, output: OUTPUT, limits: {} };
    return new TextTower(model, text, textRunner(opened, parts), dims);
  }

  /** A vector a text, in their order. Rejects as `Embedder.embed`. */
  async embed(
    texts: readonly string[],
    { signal, truncate }: ScoreOptions,
  ): Promise<EmbedMatrix<Float32Array>> {
    checkTexts(texts);
    const data = new Float32Array(texts.length * this.#dims);
    const rows = {
      data,
      width: this.#dims,
      count: texts.length,
      tokensOf: (row: number) => {
        const name = `text ${row}`;
        return this.#runner.checked(this.#text.encode(texts[row]!, "", name, truncate), name);
      },
      keyOf: (row: number) => texts[row]!,
    };
    const { tokens, truncated } = await this.#runner.collect(rows, signal === undefined ? {} : { signal });
    return new EmbedMatrix(data, texts.length, this.#dims, tokens, truncated);
  }

  async close(): Promise<void> {
    const problem = `model "${this.#model.name}" was closed`;
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem }));
    await this.#model.unload();
  }
}

/** The config of the tower. Old files hold overrides beside it. */
function textConfig(folder: string): Fields {
  const config = readFields(folder, CONFIG);
  if (config === undefined) throw incomplete(folder, [CONFIG]);
  const kind = String(config.model_type);
  if (kind === "clip_text_model") return config;
  if (kind !== "clip") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "texts are embedded by CLIP alone among models of images",
      given: `"model_type": "${kind.slice(0, 80)}"`,
      expected: "clip",
    });
  }
  const inner = (key: string): Fields => (isFields(config[key]) ? (config[key] as Fields) : {});
  return { ...inner("text_config"), ...inner("text_config_dict") };
}

interface TowerGraph {
  readonly graph: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly dims: number;
}

async function graphOf(folder: string): Promise<TowerGraph> {
  const file = GRAPHS.find((name) => isFile(join(folder, name)));
  const read = file === undefined ? await built(folder) : await readModel(join(folder, file));
  const type = read.graph.outputs.find(({ name }) => name === OUTPUT)?.type;
  const dims = type?.kind === "tensor" && type.dtype === "float32" ? type.shape?.at(-1) : undefined;
  if (typeof dims !== "number") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph does not make vectors of texts in the space of images",
      given: read.graph.outputs.map(({ name }) => name).join(", "),
      expected: `an output ${OUTPUT} of float32 [batch, size]`,
    });
  }
  return { graph: onlyOutputs(OUTPUT).apply(read), inputs: tokenInputs(read), dims };
}

async function built(folder: string): Promise<OnnxModel> {
  const { architectureFromFolder } = await import("../../torch/index.js");
  return architectureFromFolder(folder, { head: "text-embeds" });
}
