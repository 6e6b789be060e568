/** A whole job: its plan made, its shards scored here, and `_SUCCESS` written by whoever sees all parts. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import {
  checkSpecs,
  type Dataset,
  expandGlobs,
  type RemoteOptions,
  type SinkKind,
  type SourceFile,
  type SplitRange,
  sha256OfFile,
  sink,
  table,
  tableKind,
  tableSink,
  type Where,
} from "../data/index.js";
import { belowRoot, type InputPlace, plannedInput } from "./input.js";
import { expandColumns, type Mapping, specsFor } from "./mapping.js";
import { type FinishedPart, finishedPart, partName, sha256Of } from "./part.js";
import { type OnError, type PlanInfo, type PlannedFile, planOf, type ScorePlan } from "./plan.js";
import { fixedRows, outputColumns, type Scorer } from "./scorer.js";
import { partFields, type ShardOptions, type ShardProgress, scoreShard, shardMemory } from "./shard.js";

export interface PlanRequest {
  readonly scorer: Scorer;
  readonly modelSha256: string;
  readonly modelPath: string;
  readonly ort: string;
  readonly tool: string;
  /** Paths, URLs and patterns. */
  readonly input: readonly string[];
  /** How URLs are asked for. */
  readonly remote?: RemoteOptions;
  readonly map: Mapping;
  /** Columns in front of the outputs; `all`: those that no input uses. */
  readonly keep: "all" | "none" | readonly string[];
  readonly where: Where;
  readonly format: SinkKind;
  readonly batch: number | "auto";
  readonly rowsPerShard: number;
  readonly onError: OnError;
  /** `full`: the plan has a sha256 of every input file, and workers check it. */
  readonly verify?: "headers" | "full";
  /** Only about so many rows, whole splits; undefined: all. */
  readonly limit?: number | undefined;
}

const ROW_GROUP = 100_000;
/** Input bytes of one batch where the size is chosen: enough to keep a core busy, small enough for its cache. */
const AUTO_BATCH_BYTES = 2 ** 18;
const AUTO_BATCH_MOST = 4096;
/** Texts of one batch: enough to be sorted by length, few enough for progress to be seen. */
const AUTO_BATCH_TEXTS = 256;

/** Reads the headers of the input and makes the plan. Throws INPUT_*, USAGE, FILE_*. */
export async function makePlan(request: PlanRequest): Promise<ScorePlan> {
  const { scorer } = request;
  const { signature } = scorer;
  const paths = await expandGlobs(request.input, request.remote);
  const kind = tableKind(paths);
  const input = table(kind, paths, request.remote).where(request.where);
  const { schema, files, splits } = await input.inspect();
  const tensors = specsFor(signature, schema, request.map);
  checkSpecs(tensors, schema);
  const used = new Set(Object.values(tensors).flatMap(({ columns }) => columns));
  const keep =
    request.keep === "all"
      ? [...schema.keys()].filter((name) => !used.has(name))
      : request.keep === "none"
        ? []
        : request.keep.flatMap((text) => expandColumns(text, schema));
  const columns = outputColumns(signature);
  for (const name of keep) {
    if (!schema.has(name)) throw new TenonError("USAGE", { problem: `there is no column "${name}" to keep` });
    if (columns.some((column) => column.name === name))
      throw new TenonError("USAGE", {
        problem: `column "${name}" has the name of an output`,
        do: "name the columns to keep: --keep a,b,…",
      });
  }
  const fixed = fixedRows(signature);
  const { root, names } = belowRoot(files.map(({ name }) => name));
  const info: PlanInfo = {
    tool: request.tool,
    node: process.versions.node,
    created: new Date().toISOString(),
    modelPath: request.modelPath,
    inputRoot: root,
  };
  const plan = planOf(
    {
      v: 1,
      ort: request.ort,
      model: {
        sha256: request.modelSha256,
        inputs: printable(signature.inputs),
        outputs: printable(signature.outputs),
      },
      input: {
        kind,
        files: await plannedFiles(
          files,
          names,
          request.verify === "full" ? paths : undefined,
          request.remote,
        ),
        where: request.where,
        keep,
      },
      tensors,
      run: {
        batch: fixed ?? batchOf(request, tensors),
        fixed: fixed !== undefined,
        onError: request.onError,
        ep: ["cpu"],
      },
      output: { kind: request.format, rowGroup: ROW_GROUP, columns },
      shards: shardsOf(splits ?? [], request.rowsPerShard, request.limit),
    },
    info,
  );
  // Formats that do not hold such columns refuse them here.
  tableSink(plan.output.kind, partName(plan, 0), {
    schema: partFields(plan, schema),
    rowGroup: ROW_GROUP,
    metadata: {},
  });
  return plan;
}

async function plannedFiles(
  files: readonly SourceFile[],
  names: readonly string[],
  whole: readonly string[] | undefined,
  remote: RemoteOptions | undefined,
): Promise<PlannedFile[]> {
  const planned: PlannedFile[] = [];
  for (const [i, { size, contentHash, version }] of files.entries())
    planned.push({
      name: names[i]!,
      size,
      contentSha256: contentHash,
      ...(version === undefined ? {} : { version }),
      ...(whole === undefined ? {} : { sha256: await sha256OfFile(whole[i]!, remote) }),
    });
  return planned;
}

/** A value that JSON gives back as it was. */
function printable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? String(inner) : inner)),
  );
}

function batchOf({ batch }: PlanRequest, tensors: ScorePlan["tensors"]): number {
  if (batch !== "auto") return batch;
  if (Object.values(tensors).some(({ kind }) => kind === "strings")) return AUTO_BATCH_TEXTS;
  const bytes = Object.values(tensors).reduce((sum, { size }) => sum + 4 * size, 0);
  const rows = 2 ** Math.floor(Math.log2(Math.max(1, AUTO_BATCH_BYTES / bytes)));
  return Math.max(1, Math.min(AUTO_BATCH_MOST, rows));
}

function shardsOf(
  splits: readonly SplitRange[],
  rowsPerShard: number,
  limit: number | undefined,
): ScorePlan["shards"] {
  const shards: SplitRange[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  let total = 0;
  for (const { file, row, rows: count } of splits) {
    if (limit !== undefined && total >= limit) break;
    total += count;
    if (rows + count > rowsPerShard) {
      shards.push([]);
      rows = 0;
    }
    shards.at(-1)!.push({ file, row, rows: count });
    rows += count;
  }
  return shards.map((each, i) => ({ i, splits: each }));
}

export interface JobOptions
  extends InputPlace,
    Pick<ShardOptions, "folder" | "scorer" | "inFlight" | "signal"> {
  /** Only these shards. Default: all. */
  readonly shards?: readonly number[];
  readonly onProgress?: (progress: ShardProgress) => void;
  readonly onPart?: (part: FinishedPart) => void;
}

export interface Success {
  readonly v: 1;
  readonly plan: string;
  readonly rows: number;
  readonly quarantined: number;
  readonly parts: readonly { readonly name: string; readonly rows: number; readonly sha256: string }[];
}

/** Scores the shards one after the other; gives `_SUCCESS` where every part of the job is there then. */
export async function runJob(plan: ScorePlan, options: JobOptions): Promise<Success | undefined> {
  const input: Dataset = await plannedInput(plan, options);
  const known = new Map<string, string>();
  const memory = shardMemory();
  for (const shard of options.shards ?? plan.shards.map(({ i }) => i)) {
    options.signal?.throwIfAborted();
    const part = await scoreShard(plan, shard, { ...options, input, memory });
    if (part.sha256 !== undefined) known.set(part.name, part.sha256);
    options.onPart?.(part);
  }
  return finishJob(plan, options.folder, known);
}

/**
 * Writes `_SUCCESS` when every part is there; undefined otherwise. Two writers write equal bytes. `known`: hashes of parts
 * that this process wrote, by name, which are not taken again.
 */
export async function finishJob(
  plan: ScorePlan,
  folder: string,
  known: ReadonlyMap<string, string> = new Map(),
): Promise<Success | undefined> {
  const parts: FinishedPart[] = [];
  for (const { i } of plan.shards) {
    const part = await finishedPart(folder, plan, i);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  const listed = [];
  for (const { name, rows } of parts)
    listed.push({ name, rows, sha256: known.get(name) ?? (await sha256Of(join(folder, name))) });
  const success: Success = {
    v: 1,
    plan: plan.hash,
    rows: parts.reduce((sum, { rows }) => sum + rows, 0),
    quarantined: parts.reduce((sum, { quarantined }) => sum + quarantined, 0),
    parts: listed,
  };
  await using out = sink.text(join(folder, SUCCESS_FILE));
  await out.write({ text: [`${JSON.stringify(success, null, 2)}\n`] });
  await out.commit();
  return success;
}

/** The shards whose parts are not there. */
export async function missingShards(plan: ScorePlan, folder: string): Promise<number[]> {
  const missing: number[] = [];
  for (const { i } of plan.shards) if ((await finishedPart(folder, plan, i)) === undefined) missing.push(i);
  return missing;
}

/** The `_SUCCESS` of this plan where somebody has written it. */
export async function readSuccess(plan: ScorePlan, folder: string): Promise<Success | undefined> {
  try {
    const success = JSON.parse(await readFile(join(folder, SUCCESS_FILE), "utf8")) as Success;
    return success.plan === plan.hash ? success : undefined;
  } catch {
    return undefined; // none, or none that can be read: it is written again
  }
}

export const SUCCESS_FILE = "_SUCCESS";
