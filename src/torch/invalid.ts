/** The errors of this layer: a file that breaks its format, and one that is well but not for us. */
import { type ErrorParts, TenonError } from "../base/index.js";

/** FILE_INVALID: the file lies, is cut off or breaks its format. */
export function damaged(problem: string, parts: Omit<ErrorParts, "problem"> = {}): TenonError {
  return new TenonError("FILE_INVALID", { problem, ...parts });
}

/** MODEL_UNSUPPORTED: the file is what it says, and holds something that is refused by name. */
export function unsupported(problem: string, parts: Omit<ErrorParts, "problem"> = {}): TenonError {
  return new TenonError("MODEL_UNSUPPORTED", { problem, ...parts });
}

/** A name from a file, quoted and cut, so that it can stand in a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}…` : text);
}
