/** What a row of the table of ATen ops is. */
import type { DType } from "../../tensor/index.js";
import type { Arguments } from "./arguments.js";
import type { Emitter } from "./emitter.js";

/** What the program says of one output. */
export interface OutputMeta {
  readonly dtype: DType;
  /** null: known only at run time. */
  readonly dims: readonly (number | null)[];
  readonly rank: number;
}

/**
 * Emits the ONNX nodes of one ATen node: value names of its outputs, in their order. The output's dtype in `meta` is the
 * truth. Every argument that it does not read makes the node unsupported. Throws Unsupported with the reason.
 */
export type OpHandler = (
  c: Emitter,
  args: Arguments,
  meta: OutputMeta,
  outputs: readonly OutputMeta[],
) => string | readonly string[];

/** Rows by `name.overload`, without the namespace for `aten`. */
export type OpRows = Readonly<Record<string, OpHandler>>;
