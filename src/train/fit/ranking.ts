/** Metrics of rankings: scores of documents for queries, against which documents are relevant. */
import { TenonError } from "../../base/index.js";
import type { NumericArray, Tensor } from "../../tensor/index.js";
import type { Metric } from "./metrics.js";

const numbers = (value: Tensor): ArrayLike<number> => {
  const data = value.contiguous().data as unknown as NumericArray;
  return data instanceof BigInt64Array || data instanceof BigUint64Array ? Array.from(data, Number) : data;
};

/** How much each document of a query is worth, and the order that the scores give them. */
type Judge = (gains: readonly number[], order: readonly number[]) => number;

/**
 * The mean over queries. `prediction` is [queries, documents] scores; `target` the index of each query's one relevant
 * document, whole numbers [queries], or the worth of each, [queries, documents], 0 for those that are not relevant.
 * Of equal scores the earlier document stands first; queries without relevant documents do not count.
 */
function ranking(judge: Judge): Metric {
  const make = () => {
    let [sum, count] = [0, 0];
    return {
      add: (prediction: Tensor, target: Tensor): void => {
        const [queries = 0, documents = 0] = prediction.shape;
        const isIndex = target.rank === 1 && target.shape[0] === queries;
        const isWorth = target.rank === 2 && target.shape[0] === queries && target.shape[1] === documents;
        if (prediction.rank !== 2 || documents === 0 || !(isIndex || isWorth)) {
          throw new TenonError("TENSOR_SHAPE", {
            problem: "a ranking compares scores with what is relevant",
            given: `scores [${prediction.shape.join(", ")}], relevant [${target.shape.join(", ")}]`,
            expected: "scores [queries, documents], and an index for each query or a worth for each score",
          });
        }
        const [scores, relevant] = [numbers(prediction), numbers(target)];
        for (let query = 0; query < queries; query++) {
          const at = query * documents;
          const gains = Array.from({ length: documents }, (_, i) =>
            isIndex ? Number(relevant[query] === i) : relevant[at + i]!,
          );
          if (!gains.some((gain) => gain > 0)) continue;
          const order = gains.map((_, i) => i).sort((a, b) => scores[at + b]! - scores[at + a]! || a - b);
          sum += judge(gains, order);
          count++;
        }
      },
      value: (): number => sum / count,
    };
  };
  return Object.assign(make, { better: "higher" as const });
}

function checkDepth(name: string, depth: number): void {
  if (Number.isInteger(depth) && depth >= 1) return;
  throw new TenonError("USAGE", {
    problem: name,
    given: String(depth),
    expected: "a whole number, 1 or more",
  });
}

/** Share of a query's relevant documents that are among its first `k`. */
export function recallAt(k: number): Metric {
  checkDepth("recallAt", k);
  return ranking((gains, order) => {
    const found = order.slice(0, k).filter((document) => gains[document]! > 0).length;
    return found / gains.filter((gain) => gain > 0).length;
  });
}

/** 1 / the place of the first relevant document, 0 where it is not among the first `k`; default: wherever it is. */
export function reciprocalRank(k = Number.MAX_SAFE_INTEGER): Metric {
  checkDepth("reciprocalRank", k);
  return ranking((gains, order) => {
    const place = order.findIndex((document) => gains[document]! > 0);
    return place < k ? 1 / (place + 1) : 0;
  });
}

/**
 * Normalised discounted cumulative gain of the first `k` (default 10): worth / log₂(place + 1), summed, over the sum of
 * the best order. Worths are taken as they are (linear gain).
 */
export function ndcg(k = 10): Metric {
  checkDepth("ndcg", k);
  const discounted = (gains: readonly number[]): number =>
    gains.slice(0, k).reduce((sum, gain, place) => sum + gain / Math.log2(place + 2), 0);
  return ranking(
    (gains, order) =>
      discounted(order.map((document) => gains[document]!)) / discounted([...gains].sort((a, b) => b - a)),
  );
}
