/** The error of this layer: what a file or a graph got wrong. */
import { type ErrorParts, TenonError } from "../base/index.js";

/** MODEL_INVALID with a problem and, where it helps, what was given, expected and to do. */
export function invalid(problem: string, parts: Omit<ErrorParts, "problem"> = {}): TenonError {
  return new TenonError("MODEL_INVALID", { problem, ...parts });
}
