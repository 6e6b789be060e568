/** Inference rules of ops that pick, place and order elements. */
import type { Dim } from "../graph.js";
import { type Output, type Rule, shaped, unknownDims } from "./call.js";

export const gather: Rule = (call) => {
  const [x, indices] = [call.shape(0), call.shape(1)];
  if (x === undefined || indices === undefined) return [];
  const axis = call.axis(call.int("axis", 0), x.length);
  return shaped([...x.slice(0, axis), ...indices, ...x.slice(axis + 1)]);
};

/** GatherElements: the shape of the indices. */
export const gatherElements: Rule = (call) => shaped(call.shape(1));

export const gatherND: Rule = (call) => {
  const [x, indices] = [call.shape(0), call.shape(1)];
  const depth = indices?.at(-1);
  if (x === undefined || indices === undefined || typeof depth !== "number") return [];
  const batch = call.int("batch_dims", 0);
  return shaped([...indices.slice(0, -1), ...x.slice(batch + depth)]);
};

export const oneHot: Rule = (call) => {
  const indices = call.shape(0);
  const depth = call.items(1)?.[0] ?? null;
  if (indices === undefined) return [];
  const axis = call.axis(call.int("axis", -1), indices.length + 1);
  return [{ shape: [...indices.slice(0, axis), depth, ...indices.slice(axis)], dtype: call.dtype(2) }];
};

export const topK: Rule = (call) => {
  const x = call.shape(0);
  const k = call.int("k") ?? call.items(1)?.[0] ?? null;
  if (x === undefined) return [];
  const axis = call.axis(call.int("axis", -1), x.length);
  const shape = x.map((dim, i) => (i === axis ? k : dim));
  return [{ shape }, { shape }];
};

/** NonZero: `[rank, how many]`; a scalar counts as one axis. */
export const nonZero: Rule = (call) => {
  const rank = call.rank(0);
  return shaped([rank === undefined || rank === 0 ? null : rank, null]);
};

/** Compress: an unknown number of slices along the axis, or of elements without one. */
export const compress: Rule = (call) => {
  const x = call.shape(0);
  const axis = call.int("axis");
  if (axis === undefined) return shaped([null]);
  if (x === undefined) return [];
  const at = call.axis(axis, x.length);
  return shaped(x.map((dim, i) => (i === at ? null : dim)));
};

/** Unique: the values; then first positions, inverse positions and counts. */
export const unique: Rule = (call) => {
  const x = call.shape(0);
  const axis = call.int("axis");
  const values: readonly Dim[] | undefined =
    axis === undefined ? [null] : x?.map((dim, i) => (i === call.axis(axis, x.length) ? null : dim));
  return [{ shape: values }, { shape: [null] }, { shape: [null] }, { shape: [null] }];
};

/** NonMaxSuppression: rows of batch, class and box. */
export const suppression: Rule = () => shaped([null, 3]);

/** Multinomial: `[batch, sample_size]`. */
export const multinomial: Rule = (call) => [
  { shape: [call.shape(0)?.[0] ?? null, call.int("sample_size", 1)] },
];

/** StringSplit: the parts on an axis more, and their number. */
export const stringSplit: Rule = (call) => {
  const x = call.shape(0);
  return x === undefined ? [] : [{ shape: [...x, null] }, { shape: x }];
};

/** StringNormalizer: words may be dropped. */
export const stringNormalizer: Rule = (call) => {
  const rank = call.rank(0);
  if (rank === undefined) return [];
  const drops = (call.attr("stopwords", "strings")?.length ?? 0) > 0;
  if (!drops) return shaped(call.shape(0));
  return shaped(rank === 2 ? [1, null] : unknownDims(rank));
};

/** TfIdfVectorizer: one column for each entry of `ngram_indexes`' range. */
export const ngrams: Rule = (call) => {
  const x = call.shape(0);
  const indexes = call.ints("ngram_indexes");
  if (x === undefined || indexes === undefined) return [];
  return shaped([...x.slice(0, -1), Math.max(0, ...indexes.map((index) => index + 1))]);
};

/** ImageDecoder: height, width, channels. */
export const imageDecoder: Rule = (call): readonly Output[] =>
  shaped([null, null, call.text("pixel_format", "RGB") === "Grayscale" ? 1 : 3]);
