/** Lazy frames of nodejs-polars as a source. */
import { isTenonError, TenonError } from "../../base/index.js";
import type { Scan, Source } from "../scan.js";
import { spooledSource } from "../spool.js";
import { inspectPlan } from "./lazy-plan.js";
import { openWindows, type ScannedFile, scannedFile } from "./lazy-windows.js";
import { openPolars } from "./polars-open.js";

/** A lazy frame of nodejs-polars: what it needs of it. */
export interface LazyFrame {
  serialize(format: "json"): Buffer;
}

/** The rows of a lazy frame: in windows where its plan makes each row of one row of a file, else collected into a file. */
export function lazyFrameSource(frame: LazyFrame): Source {
  let plan: string;
  try {
    plan = frame.serialize("json").toString();
  } catch (cause) {
    throw new TenonError("USAGE", { problem: "this is no lazy frame of nodejs-polars", cause });
  }
  const identity = { kind: "polars", plan };
  return {
    identity,
    async open(signal) {
      const found = await windowsOf(plan, signal);
      return "because" in found ? await collected(identity, found.because).open(signal) : found;
    },
  };
}

/** The scan of a plan in windows, or what keeps it from them. */
async function windowsOf(plan: string, signal?: AbortSignal): Promise<Scan | { readonly because: string }> {
  const local = inspectPlan(plan);
  if ("because" in local) return local;
  let scanned: ScannedFile;
  try {
    scanned = await scannedFile(local.path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { because: `a file that the built-in reader does not open (${why})` };
  }
  const thread = await openPolars();
  let opened: Scan | { readonly because: string } | undefined;
  try {
    opened = await openWindows(local, scanned, thread, signal);
    return opened;
  } finally {
    if (opened === undefined || "because" in opened) await thread.close();
  }
}

/** The rows of a plan, collected once, in polars' thread, into a file. */
function collected(identity: { readonly plan: string }, because: string): Source {
  const { plan } = identity;
  const write = async (path: string): Promise<void> => {
    const thread = await openPolars();
    try {
      await thread.ask({ kind: "spill", plan, path });
    } catch (error) {
      if (!isTenonError(error, "FILE_INVALID")) throw error;
      throw new TenonError("USAGE", {
        problem: "polars cannot collect the lazy frame",
        ...(error.given === undefined ? {} : { given: error.given }),
        cause: error,
      });
    } finally {
      await thread.close();
    }
  };
  const how = `collected into a temporary file, because of ${because}`;
  return spooledSource(identity, "polars", "lazy frame", write, how);
}
