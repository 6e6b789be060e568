/** Inference rules of products: matrices, Gemm, Einsum, attention, recurrent layers, Fourier transforms. */
import type { Dim } from "../graph.js";
import { type Call, type Output, type Rule, type Shape, shaped } from "./call.js";
import { addDims, divideDown, divideExactly, multiplyDims, subtractDims } from "./dim.js";
import { broadcastAll, broadcastDims } from "./rules-elementwise.js";

/** MatMul of inputs `left` and `right`. */
function product(left: number, right: number): Rule {
  return (call) => shaped(matmulShape(call, call.shape(left), call.shape(right)));
}

export const matmul = product(0, 1);
/** QLinearMatMul: the second matrix is the fourth input. */
export const quantizedMatmul = product(0, 3);

function matmulShape(call: Call, a: Shape | undefined, b: Shape | undefined): Shape | undefined {
  if (a === undefined || b === undefined) return undefined;
  if (a.length === 0 || b.length === 0) throw call.fail("multiplies a scalar", "rank 0", "rank ≥ 1");
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  agree(call, left.at(-1)!, right.at(-2)!);
  const batch = broadcastAll(call, [left.slice(0, -2), right.slice(0, -2)]) ?? [];
  return [...batch, ...(a.length === 1 ? [] : [left.at(-2)!]), ...(b.length === 1 ? [] : [right.at(-1)!])];
}

function agree(call: Call, a: Dim, b: Dim): void {
  if (typeof a === "number" && typeof b === "number" && a !== b) {
    throw call.fail("multiplies matrices whose inner sizes differ", `${a} and ${b}`);
  }
}

/** FusedMatMul: MatMul with the last two axes of either side swapped. */
export const fusedMatmul: Rule = (call) => {
  if (call.int("transBatchA", 0) !== 0 || call.int("transBatchB", 0) !== 0) return [];
  const swap = (shape: Shape | undefined, swapped: number): Shape | undefined =>
    shape === undefined || swapped === 0 || shape.length < 2
      ? shape
      : [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
  return shaped(
    matmulShape(call, swap(call.shape(0), call.int("transA", 0)), swap(call.shape(1), call.int("transB", 0))),
  );
};

/** MatMulNBits: the weight's columns are in an attribute. */
export const packedMatmul: Rule = (call) => {
  const shape = call.shape(0);
  return shaped(shape === undefined ? undefined : [...shape.slice(0, -1), call.int("N") ?? null]);
};

export const gemm: Rule = (call) => {
  const [a, b] = [call.shape(0), call.shape(1)];
  const transA = call.int("transA", 0) !== 0;
  const transB = call.int("transB", 0) !== 0;
  if (a?.length === 2 && b?.length === 2) agree(call, a[transA ? 0 : 1]!, b[transB ? 1 : 0]!);
  return shaped([a?.[transA ? 1 : 0] ?? null, b?.[transB ? 0 : 1] ?? null]);
};

/** Einsum over letters and ellipses; without `->` the letters that stand once, sorted. */
export const einsum: Rule = (call) => {
  const [terms = "", result] = call.text("equation", "").replaceAll(/\s/g, "").split("->");
  const sizes = new Map<string, Dim>();
  let ellipsis: Shape | undefined = [];
  for (const [i, term] of terms.split(",").entries()) {
    const shape = call.shape(i);
    if (shape === undefined) return [];
    const [before = "", after] = term.split("...");
    const letters = [...before, ...(after ?? "")];
    const broad = shape.length - letters.length;
    if (broad < 0 || (after === undefined && broad > 0)) {
      throw call.fail("has an equation that does not fit its inputs", `${term} for rank ${shape.length}`);
    }
    if (after !== undefined) {
      ellipsis = broadcastAll(call, [ellipsis, shape.slice(before.length, before.length + broad)]) ?? [];
    }
    letters.forEach((letter, at) => {
      const dim = shape[at < before.length ? at : at + broad]!;
      const known: Dim | undefined = sizes.get(letter);
      sizes.set(letter, known === undefined ? dim : broadcastDims(call, [known, dim]));
    });
  }
  const all = terms.replaceAll(/[^A-Za-z]/g, "");
  const implied = `${terms.includes("...") ? "..." : ""}${[...new Set(all)]
    .filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter))
    .sort()
    .join("")}`;
  const [before = "", after] = (result ?? implied).split("...");
  const dimsOf = (letters: string): Dim[] => [...letters].map((letter) => sizes.get(letter) ?? null);
  return shaped([...dimsOf(before), ...(after === undefined ? [] : [...ellipsis, ...dimsOf(after)])]);
};

/** RNN, GRU, LSTM: all states, last state, last cell. */
export const recurrent: Rule = (call) => {
  const x = call.shape(0);
  const hidden = call.int("hidden_size") ?? call.shape(2)?.[2] ?? null;
  const directions = call.text("direction", "forward") === "bidirectional" ? 2 : 1;
  const rowsFirst = call.int("layout", 0) !== 0;
  const [steps, rows] = x?.length === 3 ? (rowsFirst ? [x[1]!, x[0]!] : [x[0]!, x[1]!]) : [null, null];
  const all = rowsFirst ? [rows, steps, directions, hidden] : [steps, directions, rows, hidden];
  const last = rowsFirst ? [rows, directions, hidden] : [directions, rows, hidden];
  return [all, last, last].map((shape): Output => ({ shape }));
};

/** Attention: 4-D `[batch, heads, length, size]` or 3-D `[batch, length, heads·size]`; present key and value follow. */
export const attention: Rule = (call) => {
  const [q, k, v] = [call.shape(0), call.shape(1), call.shape(2)];
  if (q === undefined || v === undefined || k === undefined) return [];
  const queryHeads = q.length === 4 ? q[1]! : (call.int("q_num_heads") ?? null);
  const keyHeads = k.length === 4 ? k[1]! : (call.int("kv_num_heads") ?? null);
  const keySize = k.length === 4 ? k[3]! : divideExactly(k[2] ?? null, keyHeads);
  const valueSize = v.length === 4 ? v[3]! : divideExactly(v[2] ?? null, keyHeads);
  const queryLength = q.at(-2)!;
  const past = call.has(4) ? (call.shape(4)?.[2] ?? null) : 0;
  const total = addDims(past, k.at(-2)!);
  const output =
    q.length === 4
      ? [q[0]!, queryHeads, queryLength, valueSize]
      : [q[0]!, queryLength, multiplyDims(queryHeads, valueSize)];
  return [
    output,
    [q[0]!, keyHeads, total, keySize],
    [q[0]!, keyHeads, total, valueSize],
    [q[0]!, queryHeads, queryLength, total],
  ].map((shape): Output => ({ shape }));
};

/** DFT: the last axis holds real and imaginary part; `onesided` keeps half of the spectrum. */
export const dft: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return [];
  const given = call.since >= 20 ? (call.has(2) ? call.numbers(2)?.[0] : -2) : call.int("axis", 1);
  if (given === undefined) return shaped(shape.map(() => null));
  const axis = call.axis(given, shape.length);
  const length = call.has(1) ? (call.items(1)?.[0] ?? null) : shape[axis]!;
  const onesided = call.int("onesided", 0) !== 0;
  const inverse = call.int("inverse", 0) !== 0;
  const half = addDims(divideDown(length, 2), 1);
  const parts = onesided && inverse ? 1 : 2;
  return shaped(
    shape.map((dim, i) => {
      if (i === shape.length - 1) return parts;
      // One-sided and inverse: the signal's length follows from `dft_length` alone.
      if (i === axis) return onesided ? (inverse ? (call.has(1) ? length : null) : half) : length;
      return dim;
    }),
  );
};

/** STFT: `[batch, frames, bins, 2]`. */
export const stft: Rule = (call) => {
  const signal = call.shape(0);
  const step = call.numbers(1)?.[0];
  const frame = call.has(3) ? (call.numbers(3)?.[0] ?? null) : (call.shape(2)?.[0] ?? null);
  if (signal === undefined) return [];
  const frames =
    step === undefined ? null : addDims(divideDown(subtractDims(signal[1] ?? null, frame), step), 1);
  const bins = call.int("onesided", 1) === 0 ? frame : addDims(divideDown(frame, 2), 1);
  return shaped([signal[0] ?? null, frames, bins, 2]);
};

/** Det: without the last two axes. */
export const determinant: Rule = (call) => shaped(call.shape(0)?.slice(0, -2));
