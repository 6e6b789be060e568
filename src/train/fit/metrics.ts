/** Metrics: sums over batches of predictions and targets, and the number they come to. */
import { TenonError } from "../../base/index.js";
import type { NumericArray, Tensor } from "../../tensor/index.js";

/** Sums over batches; `value` is NaN before the first. */
export interface Accumulator {
  add(prediction: Tensor, target: Tensor): void;
  value(): number;
}

/** A metric makes a new accumulator for each evaluation. */
export interface Metric {
  (): Accumulator;
  /** Which way is better. */
  readonly better: "higher" | "lower";
}

function metric(better: Metric["better"], make: () => Accumulator): Metric {
  return Object.assign(() => make(), { better });
}

function numbers(value: Tensor): ArrayLike<number> {
  const data = value.contiguous().data as unknown as NumericArray;
  return data instanceof BigInt64Array || data instanceof BigUint64Array ? Array.from(data, Number) : data;
}

/** Rows of scores [rows, classes] with a whole-number label each; one score is taken as a logit of class 1. */
function eachRow(
  prediction: Tensor,
  target: Tensor,
  use: (scores: ArrayLike<number>, start: number, classes: number, label: number) => void,
): void {
  const [scores, labels] = [numbers(prediction), numbers(target)];
  if (labels.length === 0 || scores.length % labels.length !== 0) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "a metric compares scores with labels",
      given: `scores [${prediction.shape.join(", ")}], labels [${target.shape.join(", ")}]`,
      expected: "a row of scores for each label",
    });
  }
  const classes = scores.length / labels.length;
  for (let row = 0; row < labels.length; row++) use(scores, row * classes, classes, labels[row]!);
}

function chosen(scores: ArrayLike<number>, start: number, classes: number): number {
  if (classes === 1) return Number(scores[start]! > 0);
  let best = 0;
  for (let i = 1; i < classes; i++) if (scores[start + i]! > scores[start + best]!) best = i;
  return best;
}

/** Share of rows whose highest score is the label's. A single score per row counts as class 1 above 0. */
export const accuracy: Metric = metric("higher", () => {
  let [right, all] = [0, 0];
  return {
    add: (prediction, target) =>
      eachRow(prediction, target, (scores, start, classes, label) => {
        all++;
        if (chosen(scores, start, classes) === label) right++;
      }),
    value: () => right / all,
  };
});

/** Share of rows whose label is among the `k` highest scores. */
export function topK(k: number): Metric {
  if (!(Number.isInteger(k) && k >= 1))
    throw new TenonError("USAGE", {
      problem: "topK",
      given: String(k),
      expected: "a whole number, 1 or more",
    });
  return metric("higher", () => {
    let [right, all] = [0, 0];
    return {
      add: (prediction, target) =>
        eachRow(prediction, target, (scores, start, classes, label) => {
          all++;
          const own = scores[start + label];
          if (own === undefined || label >= classes) return;
          let above = 0;
          for (let i = 0; i < classes; i++) if (scores[start + i]! > own) above++;
          if (above < k) right++;
        }),
      value: () => right / all,
    };
  });
}

type Counts = Map<number, { right: number; chosen: number; labelled: number }>;

/** Of class 1 where there are two classes, else the mean over the classes that occur; 0 where a share has no rows. */
function classMetric(share: (right: number, chosen: number, labelled: number) => number): Metric {
  return metric("higher", () => {
    const counts: Counts = new Map();
    let most = 0;
    const of = (label: number): { right: number; chosen: number; labelled: number } => {
      const known = counts.get(label) ?? { right: 0, chosen: 0, labelled: 0 };
      counts.set(label, known);
      return known;
    };
    return {
      add: (prediction, target) =>
        eachRow(prediction, target, (scores, start, classes, label) => {
          most = Math.max(most, classes);
          const pick = chosen(scores, start, classes);
          of(label).labelled++;
          of(pick).chosen++;
          if (pick === label) of(label).right++;
        }),
      value: () => {
        if (counts.size === 0) return Number.NaN;
        const value = ({
          right,
          chosen: picked,
          labelled,
        }: {
          right: number;
          chosen: number;
          labelled: number;
        }): number => share(right, picked, labelled);
        if (most <= 2) return value(of(1));
        const all = [...counts.values()].map(value);
        return all.reduce((sum, each) => sum + each, 0) / all.length;
      },
    };
  });
}

const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
export const precision: Metric = classMetric((right, picked) => ratio(right, picked));
export const recall: Metric = classMetric((right, _, labelled) => ratio(right, labelled));
export const f1: Metric = classMetric((right, picked, labelled) => ratio(2 * right, picked + labelled));

/** Probability that a row of label 1 has a higher score than one of label 0; ties count half. */
export const auroc: Metric = metric("higher", () => {
  const rows: { score: number; label: number }[] = [];
  return {
    add: (prediction, target) =>
      eachRow(prediction, target, (scores, start, classes, label) => {
        if (classes > 2)
          throw new TenonError("TENSOR_SHAPE", { problem: "auroc is of two classes", given: `${classes}` });
        rows.push({ score: classes === 1 ? scores[start]! : scores[start + 1]! - scores[start]!, label });
      }),
    value: () => {
      rows.sort((a, b) => a.score - b.score);
      const positive = rows.filter(({ label }) => label === 1).length;
      let ranks = 0;
      for (let i = 0; i < rows.length; ) {
        let end = i;
        while (end < rows.length && rows[end]!.score === rows[i]!.score) end++;
        for (let j = i; j < end; j++) if (rows[j]!.label === 1) ranks += (i + end + 1) / 2;
        i = end;
      }
      return (ranks - (positive * (positive + 1)) / 2) / (positive * (rows.length - positive));
    },
  };
});

/** exp of the mean negative log-likelihood of the labels, from logits [rows, classes]. */
export const perplexity: Metric = metric("lower", () => {
  let [sum, all] = [0, 0];
  return {
    add: (prediction, target) =>
      eachRow(prediction, target, (scores, start, classes, label) => {
        let most = Number.NEGATIVE_INFINITY;
        for (let i = 0; i < classes; i++) most = Math.max(most, scores[start + i]!);
        let total = 0;
        for (let i = 0; i < classes; i++) total += Math.exp(scores[start + i]! - most);
        sum += Math.log(total) + most - scores[start + label]!;
        all++;
      }),
    value: () => Math.exp(sum / all),
  };
});

function elementwise(
  better: Metric["better"],
  start: () => { add(p: number, t: number): void; value(): number },
): Metric {
  return metric(better, () => {
    const sums = start();
    return {
      add: (prediction, target) => {
        const [p, t] = [numbers(prediction), numbers(target)];
        if (p.length !== t.length) {
          throw new TenonError("TENSOR_SHAPE", {
            problem: "a metric compares predictions with targets of the same size",
            given: `[${prediction.shape.join(", ")}] and [${target.shape.join(", ")}]`,
          });
        }
        for (let i = 0; i < p.length; i++) sums.add(p[i]!, t[i]!);
      },
      value: () => sums.value(),
    };
  });
}

/** Mean absolute difference. */
export const mae: Metric = elementwise("lower", () => {
  let [sum, n] = [0, 0];
  return {
    add: (p, t) => {
      sum += Math.abs(p - t);
      n++;
    },
    value: () => sum / n,
  };
});

/** Root of the mean squared difference. */
export const rmse: Metric = elementwise("lower", () => {
  let [sum, n] = [0, 0];
  return {
    add: (p, t) => {
      sum += (p - t) ** 2;
      n++;
    },
    value: () => Math.sqrt(sum / n),
  };
});

/** 1 − squared differences over squared differences from the targets' mean. */
export const r2: Metric = elementwise("higher", () => {
  let [left, n, mean, spread] = [0, 0, 0, 0];
  return {
    add: (p, t) => {
      left += (p - t) ** 2;
      n++;
      const shift = t - mean;
      mean += shift / n;
      spread += shift * (t - mean);
    },
    value: () => 1 - left / spread,
  };
});
