/** Models of texts as what a scoring job runs: a column of texts in; a vector, the scores of labels, or one of a pair out. */
import { TenonError } from "../base/index.js";
import type { Embedder, TextOrPair, TextScorer } from "../embed/index.js";
import type { Engine, Model, Signature } from "../runtime/index.js";
import type { Scorer } from "../score/index.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { isEmbedderFolder } from "./open-model.js";

/** Inputs that are texts; whoever maps another one wants the model's own inputs. */
const TEXTS = ["text", "query"];

const input = (name: string) => ({ name, dtype: "string", dims: ["rows"] }) as const;

/**
 * The scorer of an embedder's, classifier's or reranker's folder, loaded into the engine; undefined for every other path,
 * and where `mapped` names inputs that are no texts.
 */
export async function loadTextScorer(
  engine: Engine,
  path: string,
  mapped: readonly string[],
): Promise<{ readonly scorer: Scorer; readonly model: Model } | undefined> {
  if (mapped.some((name) => !TEXTS.includes(name))) return undefined;
  const { isHeadFolder, isSparseFolder, prepareEmbedder, prepareHead } = await import("../embed/index.js");
  const isEmbedder = isEmbedderFolder(path);
  if (isEmbedder && isSparseFolder(path))
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "vectors of a sparse model are no column of a table",
      given: path,
      do: "use tenon/embed, or map the model's own inputs",
    });
  if (!isEmbedder && !isHeadFolder(path)) return undefined;
  const options = { batch: { max: 1 }, calibrate: false } as const;
  if (isEmbedder) {
    const prepared = await prepareEmbedder(path);
    const model = await engine.load(prepared.graph, options);
    return { scorer: ofEmbedder(prepared.attach(engine, () => model)), model };
  }
  const prepared = await prepareHead(path);
  const model = await engine.load(prepared.graph, options);
  const head = prepared.attach(engine, () => model);
  return { scorer: head.labels.length === 1 ? ofReranker(head) : ofClassifier(head), model };
}

function textsOf(given: unknown): string[] {
  return (given as Tensor<"string">).toArray() as string[]; // by the signature: [rows]
}

function scorerOf(
  signature: Signature,
  name: string,
  run: (inputs: Readonly<Record<string, unknown>>) => Promise<Tensor>,
): Scorer {
  return {
    signature,
    run: async (inputs) => ({ [name]: await run(inputs), [Symbol.dispose]: () => undefined }) as never, // a plain record
  };
}

function ofEmbedder(embedder: Embedder): Scorer {
  const { dims } = embedder;
  const output = { name: "embedding", dtype: "float32", dims: ["rows", dims] } as const;
  return scorerOf({ inputs: [input("text")], outputs: [output] }, "embedding", async ({ text }) => {
    const texts = textsOf(text);
    const { data } = await embedder.embed(texts);
    return tensor(data as Float32Array, { shape: [texts.length, dims] }); // folders are prepared for float32
  });
}

function ofClassifier(head: TextScorer): Scorer {
  const { labels } = head;
  const output = { name: "scores", dtype: "float32", dims: ["rows", labels.length], labels } as const;
  return scorerOf({ inputs: [input("text")], outputs: [output] }, "scores", async ({ text }) => {
    const texts = textsOf(text);
    const found = await head.classify(texts);
    const scores = new Float32Array(texts.length * labels.length);
    found.forEach((row, i) => {
      for (const { label, score } of row) scores[i * labels.length + labels.indexOf(label)] = score;
    });
    return tensor(scores, { shape: [texts.length, labels.length] });
  });
}

function ofReranker(head: TextScorer): Scorer {
  const output = { name: "score", dtype: "float32", dims: ["rows"] } as const;
  return scorerOf(
    { inputs: [input("query"), input("text")], outputs: [output] },
    "score",
    async ({ query, text }) => {
      const texts = textsOf(text);
      const pairs = textsOf(query).map((one, i): TextOrPair => [one, texts[i]!]);
      return tensor(Float32Array.from(await head.classify(pairs), ([only]) => only!.score));
    },
  );
}
