/** What an embedder is trained on: pairs and triplets by contrast, or the vectors of a teacher. */
import { TenonError } from "../../base/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import type { BatchFunction, LossFunction, Var } from "../../train/index.js";
import { EMBEDDING } from "../graph/names.js";
import type { TextRole } from "../prompts.js";
import { checkTexts } from "../text.js";
import { distinctBatches } from "./text-batches.js";

/** The layer of training, loaded only by those that train. */
export type Train = typeof import("../../train/index.js");

/** A text and one that is to be near it; `negatives` are texts that are to be far, as many in every row. */
export interface TextPair {
  readonly anchor: string;
  readonly positive: string;
  readonly negatives?: readonly string[];
}

/** A loss and the batches that it is of, for `model.compile` and `fit`. */
export interface EmbedTask {
  readonly loss: LossFunction;
  readonly data: BatchFunction;
  /** Batches of an epoch: `totalSteps` of a schedule is this times the epochs. */
  readonly batches: number;
}

export interface TaskOptions {
  /** Rows of a batch; default 32. With contrast, the other rows are the negatives of each. */
  readonly batch?: number;
  /** Of the order of the rows; default 0. */
  readonly seed?: number;
}

export interface ContrastOptions extends TaskOptions {
  /**
   * `infoNCE` (default): each anchor is to be nearest to its own positive among all positives and negatives of the batch.
   * `triplet`: nearer to its positive than to its one negative, by `margin`.
   */
  readonly loss?: "infoNCE" | "triplet";
  /** 1 / temperature of `infoNCE`; default 20. */
  readonly scale?: number;
  /** `infoNCE` from positives to anchors as well; not with negatives. Default false. */
  readonly symmetric?: boolean;
  /** Of `triplet`; default 1. */
  readonly margin?: number;
}

export interface DistilOptions extends TaskOptions {
  /**
   * `vectors`: 1 − the cosine to the teacher's vector, which must have the same size. `similarities`: squared differences
   * of the cosines between the texts of a batch, of any sizes. Default: `vectors` where sizes are equal.
   */
  readonly loss?: "vectors" | "similarities";
}

/** Texts in their roles to the inputs of a batch. */
export type MakeBatch = (
  texts: readonly { readonly text: string; readonly role: TextRole }[],
) => Record<string, Tensor>;

const DEFAULT_BATCH = 32;

function checkBatch({ batch = DEFAULT_BATCH }: TaskOptions, least: number): number {
  if (Number.isInteger(batch) && batch >= least) return batch;
  throw new TenonError("USAGE", {
    problem: "batch",
    given: String(batch),
    expected: `a whole number, ${least} or more`,
  });
}

const vectorsOf = (outputs: Readonly<Record<string, Var>>): Var => outputs[EMBEDDING]!;

/** Throws USAGE for rows that are no pairs, and for options that do not fit them. */
export function contrastTask(
  train: Train,
  rows: readonly TextPair[],
  make: MakeBatch,
  options: ContrastOptions,
): EmbedTask {
  const { loss = "infoNCE", scale = 20, symmetric = false, margin = 1, seed = 0 } = options;
  const batch = checkBatch(options, loss === "infoNCE" ? 2 : 1);
  const negatives = rows[0]?.negatives?.length ?? 0;
  const textsOf = ({ anchor, positive, negatives = [] }: TextPair): string[] => [
    anchor,
    positive,
    ...negatives,
  ];
  for (const row of rows) checkTexts(textsOf(row));
  const uneven = rows.findIndex((row) => (row.negatives?.length ?? 0) !== negatives);
  const problem =
    rows.length < 2
      ? "there are fewer than two pairs"
      : uneven !== -1
        ? `row ${uneven} has another number of negatives than the first`
        : loss === "triplet" && negatives !== 1
          ? "triplet takes rows of one negative"
          : symmetric && negatives > 0
            ? "symmetric takes rows without negatives"
            : undefined;
  if (problem !== undefined) {
    throw new TenonError("USAGE", {
      problem,
      given: `${rows.length} rows, the first with ${negatives} negatives`,
      expected: "rows of anchor and positive, all with as many negatives",
    });
  }
  return {
    batches: Math.max(1, Math.floor(rows.length / batch)),
    loss: (_, outputs) => {
      const vectors = vectorsOf(outputs);
      const count = vectors.size(0) / (2 + negatives);
      const part = (from: number, to?: number): Var =>
        train.slice(vectors, 0, from * count, to === undefined ? undefined : to * count);
      if (loss === "triplet") return train.triplet(part(0, 1), part(1, 2), part(2), { margin });
      return train.infoNCE(part(0, 1), part(1), { scale, symmetric });
    },
    data: function* (epoch) {
      const order = train.permutation(rows.length, train.keyOf(seed, epoch));
      for (const chosen of distinctBatches(rows, order, batch, textsOf)) {
        const texts = [
          ...chosen.map(({ anchor }) => ({ text: anchor, role: "query" as const })),
          ...chosen.map(({ positive }) => ({ text: positive, role: "passage" as const })),
        ];
        for (let at = 0; at < negatives; at++)
          texts.push(...chosen.map((row) => ({ text: row.negatives![at]!, role: "passage" as const })));
        yield make(texts);
      }
    },
  };
}

/** `teacher` has a vector of `dims` numbers for each text. Throws USAGE, DIMS_MISMATCH. */
export function distilTask(
  train: Train,
  texts: readonly string[],
  teacher: { readonly data: ArrayLike<number>; readonly dims: number },
  student: { readonly dims: number; readonly make: MakeBatch },
  options: DistilOptions,
): EmbedTask {
  const { seed = 0, loss = teacher.dims === student.dims ? "vectors" : "similarities" } = options;
  const batch = checkBatch(options, loss === "vectors" ? 1 : 2);
  checkTexts(texts);
  const { dims } = teacher;
  if (texts.length < 2 || teacher.data.length !== texts.length * dims) {
    throw new TenonError("USAGE", {
      problem: "the teacher has not one vector for each text",
      given: `${texts.length} texts, ${teacher.data.length} numbers`,
      expected: `two texts or more, ${dims} numbers for each`,
    });
  }
  if (loss === "vectors" && dims !== student.dims) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: "the teacher's vectors have another size",
      given: String(dims),
      expected: String(student.dims),
      do: 'take { loss: "similarities" }',
    });
  }
  return {
    batches: Math.max(1, Math.floor(texts.length / batch)),
    loss: (t, outputs, { teacher: wanted }) => {
      const vectors = vectorsOf(outputs);
      if (loss === "vectors") return train.mean(train.sub(1, train.cosineSimilarity(vectors, wanted!)));
      t.markMixed();
      return train.mse(cosines(train, vectors), cosines(train, wanted!));
    },
    data: function* (epoch) {
      const order = train.permutation(texts.length, train.keyOf(seed, epoch));
      const rows = Array.from(texts, (_, i) => i);
      for (const chosen of distinctBatches(rows, order, batch, (row) => [texts[row]!])) {
        const vectors = new Float32Array(chosen.length * dims);
        for (const [at, row] of chosen.entries())
          for (let j = 0; j < dims; j++) vectors[at * dims + j] = teacher.data[row * dims + j]!;
        yield {
          ...student.make(chosen.map((row) => ({ text: texts[row]!, role: "any" }))),
          teacher: tensorFromStorage("float32", [chosen.length, dims], vectors) as Tensor,
        };
      }
    },
  };
}

/** Cosines between all rows. */
function cosines(train: Train, x: Var): Var {
  const squares = train.sum(train.mul(x, x), { axes: [-1], keep: true });
  const unit = train.div(x, train.sqrt(train.maximum(squares, 1e-24)));
  return train.matmul(unit, train.transpose(unit));
}
