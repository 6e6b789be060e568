/** Which ONNX Runtime a command uses, here and in the processes that it starts. */
import type { Knobs } from "../base/index.js";

/** The setting reaches the loader by its variable, which a flag or a config file must set before the first load. */
export function useLibrary({ ortLib }: Pick<Knobs, "ortLib">): void {
  if (ortLib !== "auto") process.env.TENON_ORT_LIB = ortLib;
}
