/** Gradients of products of matrices: MatMul, Gemm, Einsum. */
import type { Dim } from "../../onnx/index.js";
import { Refusal, type Rule, type Site } from "./site.js";

/** The last two axes swapped. */
function swapped(s: Site, name: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, i) => i);
  return s.transpose(name, [...perm.slice(0, -2), rank - 1, rank - 2]);
}

const matmul: Rule = (s) => {
  const [a, b] = [s.x(0), s.x(1)];
  const [ra, rb] = [s.rank(a), s.rank(b)];
  if (ra === 0 || rb === 0) throw new Refusal("its operands are scalars");
  // Vectors as matrices of one row or one column.
  const am = ra === 1 ? s.unsqueeze(a, [0]) : a;
  const bm = rb === 1 ? s.unsqueeze(b, [1]) : b;
  let g = s.g;
  const rg = Math.max(ra, rb, 2);
  if (rb === 1) g = s.unsqueeze(g, [ra === 1 ? 0 : ra - 1]);
  if (ra === 1) g = s.unsqueeze(g, [rb === 1 ? 0 : rg - 2]);
  const sa = ra === 1 ? [1, ...s.shape(a)] : s.shape(a);
  const sb = rb === 1 ? [...s.shape(b), 1] : s.shape(b);
  const batch = s.shape(s.y).slice(0, rg - 2);
  const grads: (string | undefined)[] = [undefined, undefined];
  const rows = (name: string): string => s.op("Flatten", [name], { axis: rg - 1 });
  if (s.needs(0)) {
    // One product over all leading axes.
    const flat = rb === 2 && ra > 2;
    const da = flat
      ? s.op("Gemm", [rows(g), b], { transB: 1 })
      : s.op("MatMul", [g, swapped(s, bm, sb.length)]);
    grads[0] = flat
      ? s.reshapeLike(da, a)
      : ra === 1
        ? s.reshapeLike(s.unbroadcastFrom(s.squeeze(da, [rg - 2]), [...batch, ...s.shape(a)], a), a)
        : s.unbroadcastFrom(da, [...batch, ...sa.slice(-2)], a);
  }
  if (s.needs(1)) {
    if (sb.length === 2 && rg > 2 && ra > 1) {
      // One product over all leading axes.
      const db = s.op("Gemm", [rows(am), rows(g)], { transA: 1 });
      grads[1] = rb === 1 ? s.reshapeLike(db, b) : db;
    } else {
      const db = s.op("MatMul", [swapped(s, am, sa.length), g]);
      grads[1] =
        rb === 1
          ? s.reshapeLike(s.unbroadcastFrom(s.squeeze(db, [rg - 1]), [...batch, ...s.shape(b)], b), b)
          : s.unbroadcastFrom(db, [...batch, ...sb.slice(-2)], b);
    }
  }
  return grads;
};

const gemm: Rule = (s) => {
  const [a, b] = [s.x(0), s.x(1)];
  const [tA, tB] = [s.int("transA", 0) === 1, s.int("transB", 0) === 1];
  const [alpha, beta] = [s.float("alpha", 1), s.float("beta", 1)];
  const product = (left: string, tLeft: boolean, right: string, tRight: boolean): string =>
    s.op("Gemm", [left, right], {
      alpha: { kind: "float", value: alpha },
      transA: tLeft ? 1 : 0,
      transB: tRight ? 1 : 0,
    });
  return [
    s.needs(0) ? (tA ? product(b, tB, s.g, true) : product(s.g, false, b, !tB)) : undefined,
    s.needs(1) ? (tB ? product(s.g, true, a, tA) : product(a, !tA, s.g, false)) : undefined,
    s.needs(2) ? s.scale(s.unbroadcast(s.g, s.y, s.x(2)), beta) : undefined,
  ];
};

const fused: Rule = (s) => {
  const [a, b] = [s.x(0), s.x(1)];
  const [ra, rb] = [s.rank(a), s.rank(b)];
  if (s.int("transBatchA", 0) === 1 || s.int("transBatchB", 0) === 1 || ra < 2 || rb < 2)
    throw new Refusal("this form has no rule");
  const [tA, tB] = [s.int("transA", 0) === 1, s.int("transB", 0) === 1];
  const g = s.scale(s.g, s.float("alpha", 1));
  const am = tA ? swapped(s, a, ra) : a;
  const bm = tB ? swapped(s, b, rb) : b;
  const rank = s.rank(s.y);
  const batch = s.shape(s.y).slice(0, -2);
  const finish = (grad: string, transposed: boolean, to: string): string =>
    s.unbroadcastFrom(transposed ? swapped(s, grad, rank) : grad, [...batch, ...s.shape(to).slice(-2)], to);
  return [
    s.needs(0) ? finish(s.op("MatMul", [g, swapped(s, bm, rb)]), tA, a) : undefined,
    s.needs(1) ? finish(s.op("MatMul", [swapped(s, am, ra), g]), tB, b) : undefined,
  ];
};

/** Labels of each operand and of the output, with the ellipsis written out as capital letters that are free. */
function labelsOf(s: Site): { terms: string[][]; output: string[] } {
  const equation = s.text("equation", "").replaceAll(" ", "");
  const [left = "", right] = equation.split("->");
  const used = new Set(equation);
  const free = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter((letter) => !used.has(letter));
  const texts = left.split(",");
  let widest = 0;
  const terms = texts.map((text, i) => {
    if (!text.includes("...")) return [...text];
    const width = s.rank(s.x(i)) - (text.length - 3);
    widest = Math.max(widest, width);
    const [before = "", after = ""] = text.split("...");
    return [...before, `...${width}`, ...after];
  });
  const ellipsis = free.slice(0, widest);
  const spell = (labels: string[]): string[] =>
    labels.flatMap((label) =>
      label.startsWith("...") ? ellipsis.slice(widest - Number(label.slice(3))) : [label],
    );
  const spelled = terms.map(spell);
  if (right !== undefined) {
    const [before = "", after = ""] = right.split("...");
    const output = right.includes("...") ? [...before, ...ellipsis, ...after] : [...right];
    return { terms: spelled, output };
  }
  const counts = new Map<string, number>();
  for (const label of spelled.flat()) counts.set(label, (counts.get(label) ?? 0) + 1);
  const once = [...counts.keys()].filter((label) => counts.get(label) === 1 && !ellipsis.includes(label));
  return { terms: spelled, output: [...ellipsis, ...once.sort()] };
}

const einsum: Rule = (s) => {
  const { terms, output } = labelsOf(s);
  const sizes = new Map<string, Dim>();
  terms.forEach((labels, i) => {
    if (new Set(labels).size < labels.length) throw new Refusal("an operand's diagonal has no rule");
    labels.forEach((label, axis) => {
      const dim = s.shape(s.x(i))[axis]!;
      const known = sizes.get(label);
      if (known === undefined || known === 1) sizes.set(label, dim);
      // One of two symbols may be 1: which of them is wider is known at the run.
      else if (typeof known !== "number" && dim !== known && dim !== 1)
        sizes.set(label, typeof dim === "number" ? dim : null);
    });
  });
  return terms.map((labels, i) => {
    if (!s.needs(i)) return undefined;
    const others = terms.map((_, k) => k).filter((k) => k !== i);
    const known = new Set([...output, ...others.flatMap((k) => terms[k]!)]);
    const kept = labels.filter((label) => known.has(label));
    const equation = `${[output, ...others.map((k) => terms[k]!)].map((term) => term.join("")).join(",")}->${kept.join("")}`;
    let grad = s.op("Einsum", [s.g, ...others.map((k) => s.x(k))], { equation });
    const summed = labels.flatMap((label, axis) => (known.has(label) ? [] : [axis]));
    const own = s.shape(s.x(i));
    // Labels that the output does not have, and along which no other operand is as long.
    const isNarrow = (label: string, axis: number): boolean =>
      own[axis] !== 1 &&
      !output.includes(label) &&
      !others.some((k) => own[axis] !== null && s.shape(s.x(k))[terms[k]!.indexOf(label)] === own[axis]);
    if (labels.some(isNarrow)) grad = s.expandLike(s.unsqueeze(grad, summed), s.x(i));
    const shape = labels.map((label, axis) =>
      known.has(label) ? sizes.get(label)! : s.shape(s.x(i))[axis]!,
    );
    return s.unbroadcastFrom(grad, shape, s.x(i));
  });
};

export const LINEAR = {
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
  "com.microsoft:FusedMatMul": fused,
} satisfies Record<string, Rule>;
