/** Polars as an engine: row groups of Parquet, in a thread of its own. */
import type { Scan } from "../scan.js";
import { engineScan } from "./engine-scan.js";
import { openPolars } from "./polars-open.js";
import { type PageCheck, PolarsWindows } from "./polars-windows.js";

/** A scan of Parquet whose row groups polars reads. Throws DEPENDENCY_MISSING. */
export async function withPolars(
  scan: Scan,
  places: ReadonlyMap<string, readonly string[]>,
  check: PageCheck,
): Promise<Scan> {
  const thread = await openPolars();
  return engineScan(scan, places, new PolarsWindows(scan, thread, check));
}
