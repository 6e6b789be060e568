/** Where --output leads: looked at before the work, which would be lost. */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { TenonError } from "../base/index.js";

/** Throws USAGE for a file in a folder that is not there. */
export function checkOutputFolder(path: string): void {
  const folder = dirname(path);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new TenonError("USAGE", {
    problem: "the folder of --output does not exist",
    given: folder,
    do: `mkdir -p ${folder}`,
  });
}
