/** Checkpoints: a folder per step with parameters, optimiser state and everything else that a bit-exact resume needs. */
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { tensorFromStorage } from "../../tensor/index.js";
import { materialize, openWeights, saveSafetensors } from "../../torch/index.js";
import type { Parallel, StepCounters } from "../step/results.js";
import type { TrainStep } from "../step/step.js";
import type { Cursor } from "./source.js";

/** What `state.json` holds. */
export interface FitState {
  readonly format: 1;
  readonly counters: StepCounters;
  readonly epoch: number;
  /** Absent at the start of an epoch. */
  readonly cursor?: Cursor;
  /** Sums of the epoch so far. */
  readonly epochLoss: { readonly sum: number; readonly rows: number };
  readonly best: { readonly value: number; readonly step: number } | null;
  /** Evaluations since the best. */
  readonly waited: number;
  readonly ended: boolean;
  readonly totalSteps: number | null;
  /** Lines of the run's metrics.jsonl. */
  readonly logged: number;
  readonly made: {
    readonly model: string;
    readonly config: string;
    readonly data: string | null;
    readonly threads: number;
  };
  /** How the threads are used, where that was decided. */
  readonly parallel?: Parallel;
  readonly versions: Readonly<Record<string, string>>;
}

const FOLDER = /^step-(\d{6,})$/;
const TEMPORARY = /^\.step-\d{6,}-[0-9a-f-]{36}$/;

const nameOf = (step: number): string => `step-${String(step).padStart(6, "0")}`;

/** Steps of the checkpoints in a folder, rising; none where the folder does not exist. */
export async function checkpointsIn(dir: string): Promise<number[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names
    .flatMap((name) => FOLDER.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Writes a checkpoint, which appears complete or not at all; one of the same step gives way. Returns its path. */
export async function writeCheckpoint(dir: string, step: TrainStep, state: FitState): Promise<string> {
  await mkdir(dir, { recursive: true });
  const name = nameOf(state.counters.step);
  const temporary = join(dir, `.${name}-${randomUUID()}`);
  await mkdir(temporary);
  try {
    const { memory, model, optimizer } = step;
    const shaped = (of: string, values: Float32Array): ReturnType<typeof tensorFromStorage> =>
      tensorFromStorage("float32", model.shapeOf(of), values);
    const parameters = memory.names.map((of) => [of, shaped(of, memory.parameter(of))] as const);
    const buffers = [...step.buffers].map(([of, values]) => [of, shaped(of, values)] as const);
    await saveSafetensors(join(temporary, "params.safetensors"), new Map([...parameters, ...buffers]));
    const sections = sectionsOf(step);
    const states = sections.flatMap((section) =>
      memory.names.map((of) => [`${section}/${of}`, shaped(of, memory.state(of, section))] as const),
    );
    await saveSafetensors(join(temporary, "optimizer.safetensors"), new Map(states), {
      metadata: { optimizer: optimizer.name },
    });
    await writeSynced(join(temporary, "state.json"), `${JSON.stringify(state, null, 2)}\n`);
    await syncFolder(temporary);
    await rm(join(dir, name), { recursive: true, force: true });
    await rename(temporary, join(dir, name));
    await syncFolder(dir);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  return join(dir, name);
}

/** Sections beside the parameters that a resume needs. */
function sectionsOf({ optimizer, options }: TrainStep): string[] {
  return [
    ...optimizer.state,
    ...((options.accumulate ?? 1) > 1 ? ["sum"] : []),
    ...(options.average === undefined ? [] : ["average"]),
  ];
}

/** The state of a checkpoint. Throws FILE_INVALID for one that is damaged. */
export async function readState(folder: string): Promise<FitState> {
  const path = join(folder, "state.json");
  try {
    const state = JSON.parse(await readFile(path, "utf8")) as Partial<FitState>;
    if (state.format === 1 && typeof state.counters?.step === "number" && state.made !== undefined)
      return state as FitState;
  } catch (cause) {
    if (!(cause instanceof SyntaxError))
      throw new TenonError("FILE_NOT_FOUND", { problem: "no checkpoint", given: path, cause });
  }
  throw new TenonError("FILE_INVALID", { problem: "the state of a checkpoint is damaged", given: path });
}

/** Reads parameters, statistics and optimiser state into a step. Throws FILE_INVALID when they are not the step's. */
export async function readArrays(folder: string, step: TrainStep): Promise<void> {
  const { memory } = step;
  const wanted = new Map<string, Float32Array>(memory.names.map((of) => [of, memory.parameter(of)]));
  for (const [of, values] of step.buffers) wanted.set(of, values);
  await readInto(join(folder, "params.safetensors"), wanted);
  const states = sectionsOf(step).flatMap((section) =>
    memory.names.map((of) => [`${section}/${of}`, memory.state(of, section)] as const),
  );
  await readInto(join(folder, "optimizer.safetensors"), new Map(states));
}

async function readInto(path: string, wanted: ReadonlyMap<string, Float32Array>): Promise<void> {
  const { tensors } = await openWeights(path);
  const missing = [...wanted.keys()].filter((name) => !tensors.has(name));
  const strange = [...tensors.keys()].filter((name) => !wanted.has(name));
  for (const [name, values] of wanted) {
    const found = tensors.get(name);
    if (found === undefined) continue;
    const size = found.shape.reduce((product, dim) => product * dim, 1);
    if (found.dtype !== "float32" || size !== values.length) missing.push(name);
    else
      values.set(materialize(found, { maxBytes: Number.POSITIVE_INFINITY }).data as unknown as Float32Array);
  }
  if (missing.length + strange.length === 0) return;
  throw new TenonError("FILE_INVALID", {
    problem: "the arrays of a checkpoint are not those of this model and optimiser",
    given: `${path}: ${[...missing, ...strange].slice(0, 5).join(", ")}`,
  });
}

/** Removes all checkpoints but the newest `keep`, those of `best`, and what interrupted writes left. */
export async function prune(dir: string, keep: number, best: number | undefined): Promise<void> {
  const steps = await checkpointsIn(dir);
  const last = new Set(steps.slice(-keep));
  for (const step of steps)
    if (!last.has(step) && step !== best) await rm(join(dir, nameOf(step)), { recursive: true, force: true });
  for (const name of await readdir(dir))
    if (TEMPORARY.test(name)) await rm(join(dir, name), { recursive: true, force: true });
}

/** Folder of the newest checkpoint; undefined where there is none. */
export async function newestCheckpoint(dir: string): Promise<string | undefined> {
  const step = (await checkpointsIn(dir)).at(-1);
  return step === undefined ? undefined : join(dir, nameOf(step));
}

async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
