/** Layers of products and look-ups: linear, embedding, dropout. */
import { TenonError } from "../../base/index.js";
import { type Initializer, kaimingUniform, normalInit, uniformInit } from "../model/initializers.js";
import { add, gather, matmul } from "../model/ops.js";
import type { Var } from "../model/tape.js";

export interface LinearOptions {
  /** Prefix of the parameters' names; default `linear`, `linear_2`, …. */
  readonly name?: string;
  /** Default true. */
  readonly bias?: boolean;
  /** Of the weight; default: PyTorch's, uniform within ±1/√in. */
  readonly init?: Initializer;
  /** Of the bias; default: uniform within ±1/√in. */
  readonly biasInit?: Initializer;
}

/** A positive whole number, or USAGE. */
export function count(what: string, value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new TenonError("USAGE", {
    problem: what,
    given: String(value),
    expected: "a whole number, 1 or more",
  });
}

/** x · W + b over the last axis: [..., in] → [..., features]. Parameters: `weight` [in, features], `bias` [features]. */
export function dense(x: Var, features: number, options: LinearOptions = {}): Var {
  count("the number of features", features);
  const { tape } = x;
  const name = tape.scope(options.name ?? "linear");
  const width = x.size(-1);
  const weight = tape.parameter(`${name}.weight`, [width, features], {
    init: options.init ?? kaimingUniform(),
  });
  const bound = 1 / Math.sqrt(Math.max(1, width));
  const bias =
    options.bias === false
      ? undefined
      : tape.parameter(`${name}.bias`, [features], { init: options.biasInit ?? uniformInit(-bound, bound) });
  if (x.rank === 2) return tape.op("Gemm", bias === undefined ? [x, weight] : [x, weight, bias]);
  const product = matmul(x, weight);
  return bias === undefined ? product : add(product, bias);
}

export interface EmbeddingOptions {
  readonly name?: string;
  /** Default: normal, deviation 1, as PyTorch. */
  readonly init?: Initializer;
}

/** Rows of a table [entries, features] at whole-number ids: [...] → [..., features]. Parameter: `weight`. */
export function embedding(ids: Var, entries: number, features: number, options: EmbeddingOptions = {}): Var {
  count("the number of entries", entries);
  count("the number of features", features);
  const name = ids.tape.scope(options.name ?? "embedding");
  const weight = ids.tape.parameter(`${name}.weight`, [entries, features], {
    init: options.init ?? normalInit(),
  });
  return gather(weight, ids);
}

/**
 * In training each element is 0 with probability `rate` and else divided by 1 − rate; in inference nothing happens.
 * Which ones follows from the run's seed, the step and the layer. Throws USAGE for a rate outside [0, 1).
 */
export function dropout(x: Var, rate: number): Var {
  if (!(rate >= 0 && rate < 1))
    throw new TenonError("USAGE", {
      problem: "the rate of dropout",
      given: String(rate),
      expected: "0 to below 1",
    });
  if (rate === 0) return x;
  const dropped = x.tape.op("Dropout", [x, x.tape.constant(rate)]);
  x.tape.markModal(dropped);
  return dropped;
}
