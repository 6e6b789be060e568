/** Comparison: how far the outputs of two versions of a model lie apart, over all requests that both have run. */
import type { Outputs } from "../../runtime/index.js";
import { dtypeInfo, readElement, type Tensor } from "../../tensor/index.js";

/** What was compared, as it is told. Differences are absolute; agreements are shares from 0 to 1. */
export interface ComparisonReport {
  /** Requests that both versions answered. */
  readonly requests: number;
  /** Requests that the other version failed on. */
  readonly failed: number;
  /** Requests whose outputs had other names, dtypes or shapes. */
  readonly unlike: number;
  readonly outputs: Readonly<
    Record<
      string,
      {
        /** Over numbers; null without any. NaN against a number counts as infinite, and is told as "Infinity". */
        readonly maxDifference: number | string | null;
        readonly meanDifference: number | string | null;
        /** Rows whose largest value is at the same place; null for outputs without rows of numbers. */
        readonly argmaxAgreement: number | null;
        /** Elements that are exactly the same. */
        readonly equal: number;
      }
    >
  >;
}

interface Totals {
  max: number;
  sum: number;
  numbers: number;
  elements: number;
  equal: number;
  rows: number;
  agreed: number;
}

export class Comparison {
  #requests = 0;
  #unlike = 0;
  #failed = 0;
  readonly #outputs = new Map<string, Totals>();

  /** Both have answered the same request. */
  add(one: Outputs, other: Outputs): void {
    this.#requests++;
    const names = Object.keys(one);
    const alike = names.every((name) => isLike(one[name]!, other[name]));
    if (!alike) this.#unlike++;
    else for (const name of names) this.#addOutput(name, one[name]!, other[name]!);
  }

  failed(): void {
    this.#failed++;
  }

  #addOutput(name: string, one: Tensor, other: Tensor): void {
    let totals = this.#outputs.get(name);
    if (totals === undefined) {
      totals = { max: 0, sum: 0, numbers: 0, elements: 0, equal: 0, rows: 0, agreed: 0 };
      this.#outputs.set(name, totals);
    }
    const [a, b] = [one.contiguous(), other.contiguous()];
    const { kind } = dtypeInfo(a.dtype);
    const numeric = a.dtype !== "string" && kind !== "bool";
    const width = a.shape.at(-1) ?? 1;
    let best: readonly [number, number] = [0, 0];
    for (let i = 0; i < a.size; i++) {
      const left = readElement(a.dtype, a.storage, a.offset + i);
      const right = readElement(b.dtype, b.storage, b.offset + i);
      totals.elements++;
      if (Object.is(left, right) || left === right) totals.equal++;
      if (!numeric) continue;
      const difference = distance(Number(left), Number(right));
      totals.numbers++;
      totals.sum += difference;
      totals.max = Math.max(totals.max, difference);
      if (i % width === 0) best = [i, i];
      else best = [better(a, best[0], i), better(b, best[1], i)];
      if (i % width === width - 1) {
        totals.rows++;
        if (best[0] === best[1]) totals.agreed++;
      }
    }
  }

  report(): ComparisonReport {
    const outputs = [...this.#outputs].map(([name, { max, sum, numbers, elements, equal, rows, agreed }]) => [
      name,
      {
        maxDifference: numbers === 0 ? null : finite(max),
        meanDifference: numbers === 0 ? null : finite(sum / numbers),
        argmaxAgreement: rows === 0 ? null : agreed / rows,
        equal: elements === 0 ? 1 : equal / elements,
      },
    ]);
    return {
      requests: this.#requests,
      failed: this.#failed,
      unlike: this.#unlike,
      outputs: Object.fromEntries(outputs) as ComparisonReport["outputs"],
    };
  }
}

function isLike(one: Tensor, other: Tensor | undefined): boolean {
  return (
    other !== undefined &&
    one.dtype === other.dtype &&
    one.shape.length === other.shape.length &&
    one.shape.every((dim, i) => dim === other.shape[i])
  );
}

function distance(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  const difference = Math.abs(a - b);
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
}

/** The place of the larger of two values; the first of equal ones. */
function better(tensor: Tensor, at: number, candidate: number): number {
  const value = (i: number): number => Number(readElement(tensor.dtype, tensor.storage, tensor.offset + i));
  return value(candidate) > value(at) ? candidate : at;
}

function finite(value: number): number | string {
  return Number.isFinite(value) ? value : "Infinity";
}
