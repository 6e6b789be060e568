/** Attention and the transformer block. */
import { TenonError } from "../../base/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { add, gelu, matmul, mul, relu, reshape, softmax, transpose, where } from "../model/ops.js";
import type { Var } from "../model/tape.js";
import { dense, dropout } from "./dense.js";
import { layerNorm } from "./norm.js";

export interface AttentionOptions {
  /** Heads; they divide the width. */
  readonly heads: number;
  /** Values that keys and values are made of; default: `x` itself. */
  readonly context?: Var;
  /** True (or 1) at keys that may be looked at: [batch, keys], bool or whole numbers. */
  readonly mask?: Var;
  /** Only keys at or before the query; default false. */
  readonly causal?: boolean;
  /** Dropout on the weights; default 0. */
  readonly dropout?: number;
  readonly name?: string;
}

/** A finite number far below every score, so that a row without a key gives no NaN. */
const FAR_BELOW = -1e9;

/** Multi-head attention: [batch, queries, width] → the same. Linear layers: `query`, `key`, `value`, `out`. */
export function attention(x: Var, options: AttentionOptions): Var {
  const { heads, context = x, mask, causal = false } = options;
  const { tape } = x;
  const width = x.size(-1);
  if (x.rank !== 3 || !Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new TenonError("USAGE", {
      problem: "attention",
      given: `${heads} heads on rank ${x.rank}, width ${width}`,
      expected: "values [batch, length, width], and heads that divide the width",
    });
  }
  const scope = tape.scope(options.name ?? "attention");
  const split = (value: Var, perm: readonly number[]): Var =>
    transpose(reshape(value, [0, 0, heads, width / heads]), perm);
  const part = (of: Var, name: string): Var => dense(of, width, { name: `${scope}.${name}` });
  const q = split(mul(part(x, "query"), 1 / Math.sqrt(width / heads)), [0, 2, 1, 3]);
  const k = split(part(context, "key"), [0, 2, 3, 1]);
  const v = split(part(context, "value"), [0, 2, 1, 3]);
  let scores = matmul(q, k);
  if (mask !== undefined) {
    const open = mask.dtype === "bool" ? mask : tape.op("Cast", [mask], { to: 9 });
    scores = where(tape.op("Unsqueeze", [open, tape.ints([1, 2])]), scores, tape.constant(FAR_BELOW));
  }
  if (causal) scores = where(lowerTriangle(x, context), scores, tape.constant(FAR_BELOW));
  const weights = dropout(softmax(scores), options.dropout ?? 0);
  const joined = reshape(transpose(matmul(weights, v), [0, 2, 1, 3]), [0, 0, width]);
  return dense(joined, width, { name: `${scope}.out` });
}

/** [queries, keys]: true where the key is not behind the query. */
function lowerTriangle(x: Var, context: Var): Var {
  const [rows, columns] = [x.size(1), context.size(1)];
  const bits = Uint8Array.from({ length: rows * columns }, (_, i) =>
    Number(i % columns <= Math.floor(i / columns)),
  );
  return x.tape.constant(tensorFromStorage("bool", [rows, columns], bits));
}

export interface TransformerOptions extends Omit<AttentionOptions, "context"> {
  /** Width of the inner layer; default 4 × the width. */
  readonly hidden?: number;
  /** Default `gelu`. */
  readonly activation?: "gelu" | "relu";
  /** `pre` (default): normalised before each part; `post`: after it, as in the first transformer and BERT. */
  readonly norm?: "pre" | "post";
}

/** Attention and two linear layers, each with a path around it: [batch, length, width] → the same. */
export function transformerBlock(x: Var, options: TransformerOptions): Var {
  const { tape } = x;
  const scope = tape.scope(options.name ?? "block");
  const rate = options.dropout ?? 0;
  const before = (options.norm ?? "pre") === "pre";
  const activation = options.activation === "relu" ? relu : gelu;
  const norm = (value: Var, name: string): Var => layerNorm(value, { name: `${scope}.${name}` });
  const around = (value: Var, name: string, part: (of: Var) => Var): Var =>
    before ? add(value, part(norm(value, name))) : norm(add(value, part(value)), name);
  const attended = around(x, "norm1", (value) =>
    dropout(attention(value, { ...options, name: `${scope}.attention` }), rate),
  );
  return around(attended, "norm2", (value) => {
    const inner = activation(dense(value, options.hidden ?? 4 * x.size(-1), { name: `${scope}.linear1` }));
    return dropout(dense(dropout(inner, rate), x.size(-1), { name: `${scope}.linear2` }), rate);
  });
}
