/** Names of models: what URLs, folders and metrics can hold. */
import { basename, extname } from "node:path";
import { TenonError } from "../base/index.js";

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

/** True for 1 to 128 letters, digits, `.`, `_` and `-`, not starting with a dot. */
export function isModelName(name: string): boolean {
  return NAME.test(name);
}

/** The given name, else the file's without its extension, else `model`. Throws USAGE when it cannot be one. */
export function modelNameOf(source: string | Uint8Array, given: string | undefined): string {
  const name = given ?? (typeof source === "string" ? basename(source, extname(source)) : "model");
  if (isModelName(name)) return name;
  throw new TenonError("USAGE", {
    problem: "this cannot be a model's name",
    given: `"${name.slice(0, 160)}"`,
    expected: "1 to 128 letters, digits, '.', '_' or '-', not starting with a dot",
    do:
      given === undefined
        ? "give it a name (NAME=PATH on the command line, { name } in code)"
        : "choose another name",
  });
}
