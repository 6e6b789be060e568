/** Which folders hold sparse models. */
import { modulesOf } from "../card/card.js";

/** What modules.json names; newer folders call a masked language model a Transformer too. */
export const SPARSE_MODULES: readonly string[] = [
  "MLMTransformer,SpladePooling",
  "Transformer,SpladePooling",
];

/** Whether modules.json names a sparse model. */
export function isSparseFolder(folder: string): boolean {
  try {
    const kinds = modulesOf(folder)?.map(({ kind }) => kind);
    return kinds !== undefined && SPARSE_MODULES.includes(kinds.join());
  } catch {
    return false;
  }
}
