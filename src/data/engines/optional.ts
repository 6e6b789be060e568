/** Engines that are installed beside Tenon or not: loaded when they are asked for, with the line that installs them. */
import { TenonError } from "../../base/index.js";

/** The versions that the tests run with. */
const INSTALL = {
  "@duckdb/node-api": "npm install @duckdb/node-api@1.5.6-r.1",
  "nodejs-polars": "npm install nodejs-polars@0.24.1",
} as const;

/** Throws DEPENDENCY_MISSING. */
export function missingEngine(name: keyof typeof INSTALL, cause: unknown): TenonError {
  return new TenonError("DEPENDENCY_MISSING", {
    problem: `${name} is not installed, or has no binary for this platform`,
    do: INSTALL[name],
    cause,
  });
}
