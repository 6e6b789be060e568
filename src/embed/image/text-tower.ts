/** TextTower: the part of CLIP or SigLIP that reads texts, into the space of its images. */
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { type OnnxModel, readModel } from "../../onnx/index.js";
import type { Engine, Model } from "../../runtime/index.js";
import { incomplete, type TruncateSide } from "../card/card.js";
import { countAt, type Fields, isFields, isFile, readFields } from "../card/files.js";
import { idRows, onlyOutputs, tokenInputs } from "../graph/body.js";
import type { TokenInput } from "../graph/names.js";
import type { ScoreOptions } from "../heads.js";
import { EmbedMatrix } from "../matrix.js";
import { onModel } from "../opened.js";
import { type TextRunner, textRunner } from "../schedule/text-runner.js";
import { checkTexts, TextEncoder, type Tokens } from "../text.js";
import { clipTokenizer } from "./clip-tokenizer.js";

const GRAPHS = ["onnx/text_model.onnx", "text_model.onnx"];
const CONFIG = "config.json";

/** What the towers differ in, by the `model_type` of their config. */
interface Kind {
  /** Of a tower without images. */
  readonly alone: string;
  readonly places: number;
  /** Outputs in the space of images; the first that is there counts. */
  readonly outputs: readonly string[];
  /** Texts are filled up to the longest that there is, and the filling is seen. */
  readonly filled: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  clip: { alone: "clip_text_model", places: 77, outputs: ["text_embeds"], filled: false },
  siglip: {
    alone: "siglip_text_model",
    places: 64,
    outputs: ["text_embeds", "pooler_output"],
    filled: true,
  },
};

interface Parts {
  readonly model: Model;
  readonly text: TextEncoder;
  readonly runner: TextRunner;
  readonly dims: number;
  /** The id that texts are filled up with; undefined where they are not. */
  readonly filling: number | undefined;
}

export class TextTower {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Reads the folder and loads its graph of texts under `name`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID. */
  static async open(folder: string, engine: Engine, name: string): Promise<TextTower> {
    const { kind, config } = textConfig(folder);
    const places = countAt(config, "max_position_embeddings", CONFIG) ?? kind.places;
    const card = { folder, transformer: folder, lowerCase: false, includePrompt: true };
    const maxTokens = { value: places, from: CONFIG };
    const tokenizer = kind.filled ? undefined : clipTokenizer(folder);
    const text = await TextEncoder.open({ ...card, maxTokens }, "right", tokenizer);
    const { graph, inputs, dims, output } = await graphOf(folder, kind);
    const model = await engine.load(graph, { name, batch: { max: 1 }, calibrate: false });
    const opened = onModel(engine, () => model);
    const parts = { config, text, inputs, poolingMask: false, rows: idRows(graph), output, limits: {} };
    const runner = textRunner(opened, parts);
    return new TextTower({
      model,
      text,
      runner,
      dims,
      filling: kind.filled ? fillingOf(folder, config, text) : undefined,
    });
  }

  /** A vector a text, in their order. Rejects as `Embedder.embed`. */
  async embed(
    texts: readonly string[],
    { signal, truncate }: ScoreOptions,
  ): Promise<EmbedMatrix<Float32Array>> {
    checkTexts(texts);
    const { dims, runner } = this.#parts;
    const data = new Float32Array(texts.length * dims);
    const lengths = new Map<string, number>();
    const rows = {
      data,
      width: dims,
      count: texts.length,
      tokensOf: (row: number) => {
        const tokens = this.#tokens(texts[row]!, `text ${row}`, truncate);
        lengths.set(texts[row]!, tokens.length);
        return tokens.filled;
      },
      keyOf: (row: number) => texts[row]!,
    };
    const { truncated } = await runner.collect(rows, signal === undefined ? {} : { signal });
    const tokens = Uint32Array.from(texts, (text) => lengths.get(text)!);
    return new EmbedMatrix(data, texts.length, dims, tokens, truncated);
  }

  async close(): Promise<void> {
    const { model, runner } = this.#parts;
    await runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${model.name}" was closed` }));
    await model.unload();
  }

  /** A text's tokens as the graph takes them, and how many are its own. */
  #tokens(
    text: string,
    name: string,
    truncate: TruncateSide | undefined,
  ): { readonly filled: Tokens; readonly length: number } {
    const { text: encoder, filling, runner } = this.#parts;
    const tokens = runner.checked(encoder.encode(text, "", name, truncate), name);
    const { length } = tokens.ids;
    if (filling === undefined) return { filled: tokens, length };
    const ids = new Int32Array(encoder.maxTokens).fill(filling);
    ids.set(tokens.ids);
    return { filled: { ...tokens, ids, typeIds: new Uint8Array(ids.length) }, length };
  }
}

/** The config of the tower. Old files hold overrides beside it. */
function textConfig(folder: string): { readonly kind: Kind; readonly config: Fields } {
  const config = readFields(folder, CONFIG);
  if (config === undefined) throw incomplete(folder, [CONFIG]);
  const type = String(config.model_type);
  const alone = Object.values(KINDS).find((kind) => kind.alone === type);
  if (alone !== undefined) return { kind: alone, config };
  if (!Object.hasOwn(KINDS, type)) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "texts are embedded by CLIP and SigLIP alone among models of images",
      given: `"model_type": "${type.slice(0, 80)}"`,
      expected: Object.keys(KINDS).join(", "),
    });
  }
  const inner = (key: string): Fields => (isFields(config[key]) ? (config[key] as Fields) : {});
  return { kind: KINDS[type]!, config: { ...inner("text_config"), ...inner("text_config_dict") } };
}

/** The token of padding, as the tokenizer's files name it, else its config. */
function fillingOf(folder: string, config: Fields, { tokenizer }: TextEncoder): number {
  const said = readFields(folder, "tokenizer_config.json")?.pad_token;
  const word = isFields(said) ? said.content : said;
  const id = typeof word === "string" ? tokenizer.idOf(word) : undefined;
  return id ?? (typeof config.pad_token_id === "number" ? config.pad_token_id : 1);
}

interface TowerGraph {
  readonly graph: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly dims: number;
  readonly output: string;
}

async function graphOf(folder: string, { outputs }: Kind): Promise<TowerGraph> {
  const file = GRAPHS.find((name) => isFile(join(folder, name)));
  const read = file === undefined ? await built(folder) : await readModel(join(folder, file));
  const found = outputs.flatMap((name) => read.graph.outputs.filter((value) => value.name === name))[0];
  const type = found?.type;
  const dims = type?.kind === "tensor" && type.dtype === "float32" ? type.shape?.at(-1) : undefined;
  if (found === undefined || typeof dims !== "number") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph does not make vectors of texts in the space of images",
      given: read.graph.outputs.map(({ name }) => name).join(", "),
      expected: `an output ${outputs.join(" or ")} of float32 [batch, size]`,
    });
  }
  return { graph: onlyOutputs(found.name).apply(read), inputs: tokenInputs(read), dims, output: found.name };
}

async function built(folder: string): Promise<OnnxModel> {
  const { architectureFromFolder } = await import("../../torch/index.js");
  return architectureFromFolder(folder, { head: "text-embeds" });
}
