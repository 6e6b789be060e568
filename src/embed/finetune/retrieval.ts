/** retrieval: how well an embedder finds what is relevant, by the metrics of rankings. */
import { TenonError } from "../../base/index.js";
import { matmul, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import type { Metric } from "../../train/index.js";
import type { EmbedMatrix } from "../matrix.js";

/** What gives the vectors of questions and documents: an embedder. */
interface Vectors {
  passages(texts: readonly string[]): Promise<EmbedMatrix>;
  query(text: string): Promise<ArrayLike<number>>;
}

/** Questions, documents, and for each question the indices of the documents that answer it. */
export interface RetrievalTask {
  readonly queries: readonly string[];
  readonly documents: readonly string[];
  readonly relevant: readonly (readonly number[])[];
}

/** Questions whose scores are in memory at once. */
const AT_ONCE = 256;

/**
 * Ranks all documents for each question, by cosine, and gives the mean of each metric (`recallAt`, `reciprocalRank`,
 * `ndcg` of `tenon/train`) by its name. Throws USAGE for indices that are not there.
 */
export async function retrieval<const M extends Readonly<Record<string, Metric>>>(
  model: Vectors,
  { queries, documents, relevant }: RetrievalTask,
  metrics: M,
): Promise<{ readonly [K in keyof M]: number }> {
  const wrong = relevant.findIndex((each) => each.some((at) => !(at in documents)));
  if (relevant.length !== queries.length || wrong !== -1) {
    throw new TenonError("USAGE", {
      problem:
        wrong === -1
          ? "not every query says what is relevant"
          : `query ${wrong} names a document that is not there`,
      given: `${queries.length} queries, ${relevant.length} lists, ${documents.length} documents`,
      expected: "for each query the indices of its documents",
    });
  }
  const passages = await model.passages(documents);
  const columns = unit(passages.data, documents.length).transpose(1, 0);
  const sums = Object.entries(metrics).map(([name, metric]) => [name, metric()] as const);
  for (let from = 0; from < queries.length; from += AT_ONCE) {
    const part = queries.slice(from, from + AT_ONCE);
    const vectors = await Promise.all(part.map((text) => model.query(text)));
    const flat = Float32Array.from(vectors.flatMap((vector) => Array.from(vector)));
    const scores = matmul(unit(flat, part.length), columns);
    const worth = new Float32Array(part.length * documents.length);
    part.forEach((_, row) => {
      for (const at of relevant[from + row]!) worth[row * documents.length + at] = 1;
    });
    const target = tensorFromStorage("float32", [part.length, documents.length], worth) as Tensor;
    for (const [, each] of sums) each.add(scores, target);
  }
  // One number for each name of `metrics`.
  return Object.fromEntries(sums.map(([name, each]) => [name, each.value()])) as { [K in keyof M]: number };
}

/** Rows of length 1. */
function unit(data: ArrayLike<number>, rows: number): Tensor<"float32"> {
  const dims = data.length / rows;
  const values = Float32Array.from(data);
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * dims, (row + 1) * dims);
    const length = Math.hypot(...own);
    if (length > 0) own.forEach((value, j) => void (own[j] = value / length));
  }
  return tensorFromStorage("float32", [rows, dims], values);
}
