/** Filler: a tensor of a batch under construction. */
import type { Tensor } from "../tensor/index.js";
import type { Source } from "./row-source.js";

export interface Filler {
  fill(source: Source, from: number, to: number, row: number): void;
  /** The first `rows` rows. */
  finish(rows: number): Tensor;
}
