/** preflightFile: a model file read and examined, what the reader refuses being findings as well. */
import { closeSync } from "node:fs";
import { isTenonError, type TenonError } from "../../base/index.js";
import type { Model } from "../graph.js";
import { readModel } from "../read.js";
import { openChecked, resolvePath } from "../source.js";
import { type Finding, Report, type Trust } from "./finding.js";
import { preflight } from "./preflight.js";

export interface Examined {
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** Absent when the file could not be read. */
  readonly model?: Model;
}

/** Examines a file as `preflight` does a model. Throws FILE_NOT_FOUND when there is no such file. */
export async function preflightFile(
  path: string,
  options: { readonly trust?: Trust } = {},
): Promise<Examined> {
  closeSync(openChecked(resolvePath(path)).descriptor);
  try {
    const model = await readModel(path);
    return { findings: preflight(model, options), model };
  } catch (error) {
    if (!isTenonError(error)) throw error;
    const report = new Report(options.trust ?? "pinned");
    report.add(
      concernsExternal(error) ? "EXTERNAL_DATA" : "FILE_FORMAT",
      error.problem,
      error.given ?? "",
      error.expected ?? "",
    );
    return { findings: report.findings };
  }
}

/** The model file itself is there, so a file that is missing is one that it names. */
function concernsExternal(error: TenonError): boolean {
  return error.code === "FILE_NOT_FOUND" || /external data/.test(error.problem);
}
