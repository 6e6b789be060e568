/** Embedders inside Node.js as sides: Tenon, the plain runtime one text at a time, and the packages that `peers` holds. */
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { type EmbedderOptions, embedder, openTokenizer } from "tenon/embed";
import { paragraphs } from "../harness/paragraphs.js";
import { type MakeSide, numberSetting, type Sides, textSetting } from "../harness/side.js";
import { Durations } from "../harness/statistics.js";

/** Embeds texts; gives what is needed to compare vectors. */
type Embed = (texts: readonly string[]) => Promise<ArrayLike<number>>;

/** Answers measures: `texts` paragraphs in one call, or `query` again and again for `seconds`. */
function sideOf(embed: Embed, close: () => Promise<void>): Awaited<ReturnType<MakeSide>> {
  return {
    async measure(given) {
      if (given.query !== undefined) {
        const query = [textSetting(given, "query")];
        const durations = new Durations();
        const end = performance.now() + 1000 * numberSetting(given, "seconds");
        for (let now = performance.now(); now < end; ) {
          await embed(query);
          const done = performance.now();
          durations.add(done - now);
          now = done;
        }
        return durations.summary();
      }
      const texts = paragraphs(numberSetting(given, "texts"));
      const delays = monitorEventLoopDelay({ resolution: 1 });
      delays.enable();
      const [start, used] = [performance.now(), process.cpuUsage()];
      const first = await embed(texts);
      const [wallMs, { user, system }] = [performance.now() - start, process.cpuUsage(used)];
      delays.disable();
      const vector = Object.fromEntries(Array.from(first, (value, i) => [`v${i}`, value]));
      return { wallMs, cpuMs: (user + system) / 1000, gapMs: delays.max / 1e6, ...vector };
    },
    close,
  };
}

/** Settings: `folder`, `threads`, `quant`. */
const tenon: MakeSide = async (settings) => {
  const quant = textSetting(settings, "quant") as NonNullable<EmbedderOptions["quant"]>;
  const lanes = numberSetting(settings, "threads");
  const model = await embedder(textSetting(settings, "folder"), { quant, lanes, verify: false });
  await model.embed(paragraphs(8));
  return sideOf(
    async (texts) => (texts.length === 1 ? model.query(texts[0]!) : (await model.passages(texts)).row(0)),
    () => model.close(),
  );
};

/** The least work: tokens of this project, one run a text, the mean, length 1. Settings: `folder` with an ONNX file, `threads`. */
const raw: MakeSide = async (settings) => {
  const folder = textSetting(settings, "folder");
  const { officialSession } = await import("./binding.js"); // a peer may bring another version of the same library
  const { Tensor } = await import("onnxruntime-node");
  const tokenizer = await openTokenizer(folder);
  const session = await officialSession(join(folder, "onnx/model.onnx"), numberSetting(settings, "threads"));
  const one = async (text: string): Promise<Float32Array> => {
    const { ids } = tokenizer.encode(text, { maxTokens: 256 });
    const shape = [1, ids.length];
    const values = BigInt64Array.from(ids, BigInt);
    const ones = new BigInt64Array(ids.length).fill(1n);
    const { last_hidden_state: states } = await session.run({
      input_ids: new Tensor("int64", values, shape),
      attention_mask: new Tensor("int64", ones, shape),
      token_type_ids: new Tensor("int64", new BigInt64Array(ids.length), shape),
    });
    const data = states!.data as Float32Array;
    const vector = new Float32Array(data.length / ids.length);
    for (let i = 0; i < data.length; i++) vector[i % vector.length]! += data[i]!;
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  };
  return sideOf(
    async (texts) => {
      const vectors: Float32Array[] = [];
      for (const text of texts) vectors.push(await one(text));
      return vectors[0]!;
    },
    () => session.release(),
  );
};

async function peer(settings: Parameters<MakeSide>[0], name: string): Promise<unknown> {
  const require = createRequire(join(textSetting(settings, "peers"), "package.json"));
  return import(pathToFileURL(require.resolve(name)).href);
}

interface Pipeline {
  (
    texts: readonly string[],
    options: { readonly pooling: "mean"; readonly normalize: true },
  ): Promise<{ readonly data: Float32Array; readonly dims: readonly number[] }>;
  dispose(): Promise<unknown>;
}

interface Transformers {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline(task: "feature-extraction", model: string, options: object): Promise<Pipeline>;
}

/** Settings: `peers`, `folder` with an ONNX file, `threads`, `batch`. */
const transformersJs: MakeSide = async (settings) => {
  const { env, pipeline } = (await peer(settings, "@huggingface/transformers")) as Transformers;
  env.allowRemoteModels = false;
  const folder = textSetting(settings, "folder");
  env.localModelPath = join(folder, "..");
  const threads = numberSetting(settings, "threads");
  const extract = await pipeline("feature-extraction", basename(folder), {
    dtype: "fp32",
    session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  const batch = numberSetting(settings, "batch");
  return sideOf(
    async (texts) => {
      let first: ArrayLike<number> = [];
      for (let at = 0; at < texts.length; at += batch) {
        const { data, dims } = await extract(texts.slice(at, at + batch), {
          pooling: "mean",
          normalize: true,
        });
        if (at === 0) first = data.slice(0, dims[1]);
      }
      return first;
    },
    async () => void (await extract.dispose()),
  );
};

interface FastEmbed {
  readonly FlagEmbedding: {
    init(options: object): Promise<{ embed(texts: readonly string[]): AsyncIterable<readonly number[][]> }>;
  };
}

/** At its defaults, threads among them: it has no option for these. Settings: `peers`, `folder` with an ONNX file. */
const fastembed: MakeSide = async (settings) => {
  const { FlagEmbedding } = (await peer(settings, "fastembed")) as FastEmbed;
  const model = await FlagEmbedding.init({
    model: "custom",
    modelAbsoluteDirPath: textSetting(settings, "folder"),
    modelName: "model.onnx",
  });
  return sideOf(
    async (texts) => {
      let first: ArrayLike<number> | undefined;
      for await (const vectors of model.embed(texts)) first ??= vectors[0];
      return first!;
    },
    async () => undefined,
  );
};

export const sides: Sides = { tenon, raw, transformersJs, fastembed };

/** Where these sides are found by `startSide`. */
export const EMBEDDERS = import.meta.url;
