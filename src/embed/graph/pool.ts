/** Pooling in the graph: hidden states [batch, sequence, size] and a mask to one vector a row, as sentence-transformers does. */
import type { GraphBuilder } from "../../onnx/index.js";
import { tensor } from "../../tensor/core.js";
import type { PoolingMode } from "../card/pooling.js";

/** The values that the modes share, made when they are first asked for. */
export class PoolingInputs {
  readonly g: GraphBuilder;
  /** [batch, sequence, size], float32. */
  readonly hidden: string;
  readonly #mask: string;
  readonly #made = new Map<string, string>();

  /** `mask` is int64 [batch, sequence]: 1 for tokens that are pooled, which stand at the left unless a prompt is left out. */
  constructor(g: GraphBuilder, hidden: string, mask: string) {
    this.g = g;
    this.hidden = hidden;
    this.#mask = mask;
  }

  #once(name: string, make: () => string): string {
    const value = this.#made.get(name) ?? make();
    this.#made.set(name, value);
    return value;
  }

  /** [batch, sequence], float32. */
  get mask(): string {
    return this.#once("mask", () => this.g.add("Cast", [this.#mask], { to: 1 }));
  }

  ints(...values: number[]): string {
    const name = `pool.ints:${values.join(",")}`;
    return this.#once(name, () => this.g.initializer(name, tensor(values.map(BigInt), { dtype: "int64" })));
  }

  number(value: number): string {
    const name = `pool.number:${value}`;
    return this.#once(name, () => this.g.initializer(name, tensor(value, { dtype: "float32" })));
  }

  /** 0, 1, … as [1, sequence], float32. */
  get positions(): string {
    return this.#once("positions", () => {
      const length = this.g.add("Shape", [this.#mask], { start: 1, end: 2 });
      const scalar = this.g.add("Squeeze", [length, this.ints(0)]);
      const from = this.g.initializer("pool.from", tensor(0n, { dtype: "int64" }));
      const step = this.g.initializer("pool.step", tensor(1n, { dtype: "int64" }));
      const range = this.g.add("Cast", [this.g.add("Range", [from, scalar, step])], { to: 1 });
      return this.g.add("Unsqueeze", [range, this.ints(0)]);
    });
  }

  /** How many tokens are pooled, [batch, 1]. */
  get count(): string {
    return this.#once("count", () => this.g.add("ReduceSum", [this.mask, this.ints(1)], { keepdims: 1 }));
  }

  /** The sum of the tokens that `weights` [batch, sequence] takes, [batch, size]. */
  sum(weights: string): string {
    const rows = this.g.add("Unsqueeze", [weights, this.ints(1)]);
    return this.g.add("Squeeze", [this.g.add("MatMul", [rows, this.hidden]), this.ints(1)]);
  }

  /** The token at a position [batch, 1]. */
  at(position: string): string {
    const chosen = this.g.add("Cast", [this.g.add("Equal", [this.positions, position])], { to: 1 });
    return this.sum(chosen);
  }

  atLeast(value: string, least: number): string {
    return this.g.add("Max", [value, this.number(least)]);
  }
}

const LEAST = 1e-9;

/** Total: each mode as [batch, size]. */
export const POOLING_RULES: { readonly [M in PoolingMode]: (from: PoolingInputs) => string } = {
  cls: (from) => {
    const { g } = from;
    // The first token of the mask: position 0 unless a prompt is left out, and 0 where the mask is empty.
    const behind = g.add("Mul", [g.add("Sub", [from.number(1), from.mask]), from.number(2 ** 24)]);
    const first = g.add("ReduceMin", [g.add("Add", [from.positions, behind]), from.ints(1)], { keepdims: 1 });
    const isEmpty = g.add("GreaterOrEqual", [first, from.number(2 ** 24)]);
    return from.at(g.add("Where", [isEmpty, from.number(0), first]));
  },
  max: (from) => {
    const { g } = from;
    const seen = g.add("Unsqueeze", [g.add("Greater", [from.mask, from.number(0)]), from.ints(2)]);
    const masked = g.add("Where", [seen, from.hidden, from.number(Number.NEGATIVE_INFINITY)]);
    return g.add("ReduceMax", [masked, from.ints(1)], { keepdims: 0 });
  },
  mean: (from) => from.g.add("Div", [from.sum(from.mask), from.atLeast(from.count, LEAST)]),
  mean_sqrt_len_tokens: (from) => {
    const root = from.g.add("Sqrt", [from.atLeast(from.count, LEAST)]);
    return from.g.add("Div", [from.sum(from.mask), root]);
  },
  weightedmean: (from) => {
    const { g } = from;
    const weights = g.add("Mul", [from.mask, g.add("Add", [from.positions, from.number(1)])]);
    const total = g.add("ReduceSum", [weights, from.ints(1)], { keepdims: 1 });
    return g.add("Div", [from.sum(weights), from.atLeast(total, LEAST)]);
  },
  lasttoken: (from) => {
    const { g } = from;
    const placed = g.add("Mul", [from.positions, from.mask]);
    return from.at(g.add("ReduceMax", [placed, from.ints(1)], { keepdims: 1 }));
  },
};
