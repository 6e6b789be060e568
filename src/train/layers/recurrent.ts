/** Recurrent layers over sequences [batch, length, features], with the gates and formulas of torch.nn. */

import { uniformInit } from "../model/initializers.js";
import { reshape, transpose } from "../model/ops.js";
import type { Var } from "../model/tape.js";
import { count } from "./dense.js";

export interface RecurrentOptions {
  readonly name?: string;
  /** Read the sequence from both ends; outputs of both are side by side. Default false. */
  readonly bidirectional?: boolean;
}

export interface RecurrentResult {
  /** [batch, length, hidden (× 2)] */
  readonly output: Var;
  /** The state after the last step, [batch, hidden (× 2)]. */
  readonly last: Var;
}

function recurrent(op: "LSTM" | "GRU", x: Var, hidden: number, options: RecurrentOptions): RecurrentResult {
  count("the size of the state", hidden);
  const { tape } = x;
  const gates = op === "LSTM" ? 4 : 3;
  const scope = tape.scope(options.name ?? op.toLowerCase());
  const ways = options.bidirectional === true ? 2 : 1;
  const bound = 1 / Math.sqrt(hidden);
  const init = uniformInit(-bound, bound);
  const parameter = (name: string, shape: readonly number[]): Var =>
    tape.parameter(`${scope}.${name}`, [ways, ...shape], { init });
  const inputs = [
    transpose(x, [1, 0, 2]),
    parameter("weight_ih", [gates * hidden, x.size(-1)]),
    parameter("weight_hh", [gates * hidden, hidden]),
    parameter("bias", [2 * gates * hidden]),
  ];
  const attrs = {
    hidden_size: hidden,
    direction: ways === 2 ? "bidirectional" : "forward",
    // PyTorch multiplies by the reset gate after the product with the state.
    ...(op === "GRU" ? { linear_before_reset: 1 } : {}),
  };
  const [all, last] = tape.ops(op, inputs, attrs, { outputs: 2 }) as [Var, Var];
  // [length, ways, batch, hidden] → [batch, length, ways × hidden]
  const output = reshape(transpose(all, [2, 0, 1, 3]), [0, 0, ways * hidden]);
  // [ways, batch, hidden] → [batch, ways × hidden]
  return { output, last: reshape(transpose(last, [1, 0, 2]), [0, ways * hidden]) };
}

/**
 * Long short-term memory. Parameters: `weight_ih` [ways, 4·hidden, in], `weight_hh`, `bias` [ways, 8·hidden]; the gates
 * stand in ONNX's order (input, output, forget, cell).
 */
export function lstm(x: Var, hidden: number, options: RecurrentOptions = {}): RecurrentResult {
  return recurrent("LSTM", x, hidden, options);
}

/** Gated recurrent unit. Parameters as for `lstm`, with three gates (update, reset, new). */
export function gru(x: Var, hidden: number, options: RecurrentOptions = {}): RecurrentResult {
  return recurrent("GRU", x, hidden, options);
}
