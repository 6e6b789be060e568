/** A sweep as a job of the scoring engine: a table of trials, one shard each, scored by running them. */
import { createHash } from "node:crypto";
import { access, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { makeFolder, TenonError } from "../base/index.js";
import { columnValue, parquet, sink } from "../data/index.js";
import { makePlan, type ScorePlan, type Scorer } from "../score/index.js";
import { tensorFromStorage } from "../tensor/index.js";
import { defineSweep, drawTrial, type Sweep, trialSeed } from "../train/index.js";
import { localModulesSha256 } from "./local-modules.js";
import { packageVersion } from "./version.js";

/** A sweep's module with what its results depend on. */
export interface LoadedSweep {
  readonly path: string;
  readonly sweep: Sweep;
  readonly seed: number;
  readonly sha256: string;
}

/** Imports a module and takes its `sweep`. Throws USAGE, FILE_NOT_FOUND. */
export async function loadSweep(file: string, seed: number): Promise<LoadedSweep> {
  const path = resolve(file);
  await access(path).catch((cause: unknown) => {
    throw new TenonError("FILE_NOT_FOUND", { problem: "no such module", given: file, cause });
  });
  const module = (await import(pathToFileURL(path).href)) as { readonly sweep?: unknown };
  if (typeof module.sweep !== "object" || module.sweep === null) {
    throw new TenonError("USAGE", {
      problem: "the module exports no sweep",
      given: file,
      do: "export const sweep = defineSweep({ space, metrics, trial })",
    });
  }
  // What it is follows from the checks of defineSweep.
  const sweep = defineSweep(module.sweep as Sweep);
  const sha256 = createHash("sha256")
    .update(`${await localModulesSha256(path)} ${seed}`)
    .digest("hex");
  return { path, sweep, seed, sha256 };
}

/** The plan of `trials` trials; their table is written into the folder where it is not there. */
export async function planSweep(loaded: LoadedSweep, folder: string, trials: number): Promise<ScorePlan> {
  const { sweep, seed } = loaded;
  const text = JSON.stringify([sweep.space, seed, trials]);
  const name = `trials-${createHash("sha256").update(text).digest("hex").slice(0, 12)}.parquet`;
  try {
    await makeFolder(folder);
  } catch (cause) {
    throw new TenonError("USAGE", { problem: "the folder of --output cannot be made", given: folder, cause });
  }
  const table = join(folder, name);
  if ((await stat(table).catch(() => undefined)) === undefined) await writeTrials(table, loaded, trials);
  return makePlan({
    scorer: trialScorer(loaded, new AbortController().signal),
    modelSha256: loaded.sha256,
    modelPath: loaded.path,
    ort: "none",
    tool: `tenon ${packageVersion()}`,
    input: [table],
    map: { trial: "trial" },
    keep: ["trial", "seed", ...Object.keys(sweep.space)],
    where: {},
    format: "parquet",
    batch: 1,
    rowsPerShard: 1,
    onError: "null",
  });
}

/** A row for each trial, in a row group of its own, so that each is a shard. */
async function writeTrials(path: string, { sweep, seed }: LoadedSweep, trials: number): Promise<void> {
  const rows = Array.from({ length: trials }, (_, trial) => drawTrial(sweep.space, seed, trial));
  await using out = sink.parquet(path, { rowGroup: 1 });
  await out.write({
    trial: BigInt64Array.from(rows, (_, i) => BigInt(i)),
    seed: BigInt64Array.from(rows, (_, i) => BigInt(trialSeed(seed, i))),
    ...Object.fromEntries(
      Object.keys(sweep.space).map((name) => {
        const values = rows.map((row) => row[name]!);
        const isText = values.some((value) => typeof value === "string");
        return [name, isText ? values.map(String) : Float64Array.from(values, Number)];
      }),
    ),
  });
  await out.commit();
}

/** Runs trials. A trial that throws sets its row aside; it is not run again for that. */
export function trialScorer({ sweep, seed }: LoadedSweep, signal: AbortSignal): Scorer {
  const names = Object.keys(sweep.metrics);
  const failed = new Map<number, TenonError>();
  const column = (name: string, dtype: "int64" | "float64") => ({ name, dtype, dims: ["rows"] });
  return {
    signature: {
      inputs: [column("trial", "int64")],
      outputs: names.map((name) => column(name, "float64")),
    } as unknown as Scorer["signature"],
    run: async ({ trial: numbers }) => {
      const number = Number(numbers!.at(0));
      const known = failed.get(number);
      if (known !== undefined) throw known;
      try {
        const found = await sweep.trial({
          number,
          parameters: drawTrial(sweep.space, seed, number),
          seed: trialSeed(seed, number),
          signal,
        });
        return Object.fromEntries(
          names.map((name) => {
            const value: unknown = found[name];
            if (typeof value !== "number") throw new TypeError(`the trial gives no number "${name}"`);
            return [name, tensorFromStorage("float64", [1], Float64Array.of(value))];
          }),
        ) as Awaited<ReturnType<Scorer["run"]>>;
      } catch (cause) {
        signal.throwIfAborted();
        const reason = cause instanceof Error ? cause.message : String(cause);
        const error = new TenonError("ENGINE_FAILED", {
          problem: `trial ${number} failed: ${reason}`,
          cause,
        });
        failed.set(number, error);
        throw error;
      }
    },
  };
}

/** A row of the results; metrics of a failed trial are undefined. */
export type SweepRow = Readonly<Record<string, number | string | undefined>>;

/** All rows of a finished sweep, the best first, failed ones last. */
export async function readResults(folder: string, sweep: Sweep): Promise<SweepRow[]> {
  const rows: SweepRow[] = [];
  for await (const { data, rows: count } of parquet(join(folder, "part-*.parquet")))
    for (let i = 0; i < count; i++) {
      const entries = Object.entries(data).map(([name, values]) => {
        const value = columnValue(values, i);
        return [name, typeof value === "bigint" ? Number(value) : (value ?? undefined)] as const;
      });
      rows.push(Object.fromEntries(entries) as SweepRow);
    }
  const [[first, way]] = Object.entries(sweep.metrics) as [[string, "higher" | "lower"]];
  const worth = (row: SweepRow): number => {
    const value = row[first];
    if (typeof value !== "number" || Number.isNaN(value)) return Number.NEGATIVE_INFINITY;
    return way === "higher" ? value : -value;
  };
  return rows.sort((a, b) => worth(b) - worth(a) || Number(a.trial) - Number(b.trial));
}
