/** What is said of graphs without any at hand: their inputs and outputs, types of vectors, and what a dense graph is like. */
import { TenonError } from "../../base/index.js";

/** Inputs that are filled here, all int64 [batch, sequence]. */
export const TOKEN_INPUTS = ["input_ids", "attention_mask", "token_type_ids", "position_ids"] as const;
export type TokenInput = (typeof TOKEN_INPUTS)[number];

/** Tokens that are pooled, where a prompt is not. */
export const POOLING_MASK = "pooling_mask";

/** Name of the one output. */
export const EMBEDDING = "sentence_embedding";

/** `int8-row`: products in integers, with a scale for each row of activations. */
export const QUANTS = ["none", "int8-row"] as const;
export type Quant = (typeof QUANTS)[number];

/** What numbers a vector is made of; `ubinary`: sign bits, the first in the highest bit; `binary`: the same less 128. */
export const OUTPUT_TYPES = ["float32", "float16", "int8", "binary", "ubinary"] as const;
export type OutputType = (typeof OUTPUT_TYPES)[number];

/** Throws CONFIG_INVALID for what is no type of output. */
export function checkOutput(output: OutputType): void {
  if (OUTPUT_TYPES.includes(output)) return;
  throw new TenonError("CONFIG_INVALID", {
    problem: "output",
    given: String(output),
    expected: OUTPUT_TYPES.join(", "),
  });
}

/** What is to be known of a dense model's graph to run it. */
export interface DenseFacts {
  /** The file that the graph came from. */
  readonly from: string;
  readonly inputs: readonly TokenInput[];
  /** The graph has the input `pooling_mask`. */
  readonly poolingMask: boolean;
  /** Numbers of a vector, before it is packed into bits. */
  readonly dims: number;
  /** Numbers of a vector that is not cut. */
  readonly fullDims: number;
  /** Token ids that the graph has a row for; undefined where it does not tell. */
  readonly rows?: number | undefined;
  /** The output with the vectors of tokens, where it was kept. */
  readonly hidden?: string | undefined;
  /** The operator by which a text's vector depends on its company, where there is one. */
  readonly sharedScale?: string | undefined;
}

/** Whether a value that was kept as JSON is such. */
export function isDenseFacts(value: unknown): value is DenseFacts {
  if (typeof value !== "object" || value === null) return false;
  const { from, inputs, poolingMask, dims, fullDims, rows, hidden, sharedScale } = value as Record<
    string,
    unknown
  >;
  const isCount = (count: unknown): boolean => Number.isInteger(count) && (count as number) > 0;
  const isText = (text: unknown): boolean => text === undefined || typeof text === "string";
  return (
    typeof from === "string" &&
    Array.isArray(inputs) &&
    inputs.every((name) => TOKEN_INPUTS.includes(name as TokenInput)) &&
    typeof poolingMask === "boolean" &&
    isCount(dims) &&
    isCount(fullDims) &&
    (rows === undefined || isCount(rows)) &&
    isText(hidden) &&
    isText(sharedScale)
  );
}
