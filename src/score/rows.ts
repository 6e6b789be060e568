/** One batch scored: its good rows with their outputs, and for each bad row the reason. */
import { isTenonError, TenonError, toTenonError } from "../base/index.js";
import { BatchMemory, buildTensors, type Columns } from "../data/index.js";
import { concat, type NumericArray, type Tensor } from "../tensor/index.js";
import { labelsOf } from "./labels.js";
import type { OnError, ScorePlan } from "./plan.js";
import type { OutputColumn, Scorer } from "./scorer.js";

/** What a batch is scored by; a plan has it, and so has a stream. */
export interface RowRun {
  readonly tensors: ScorePlan["tensors"];
  readonly run: { readonly batch: number; readonly fixed: boolean; readonly onError: OnError };
  readonly output: { readonly columns: readonly Pick<OutputColumn, "name" | "labels" | "labelOf">[] };
}

export interface BadRow {
  /** Row within the batch. */
  readonly row: number;
  readonly code: string;
  readonly message: string;
}

export interface Scored {
  /** Rows of the batch that have outputs, in order; null: all. */
  readonly good: readonly number[] | null;
  /** Outputs of the good rows, `[rows, …]` each; absent where no row is good. */
  readonly outputs: Readonly<Record<string, Tensor>> | undefined;
  readonly bad: readonly BadRow[];
}

/** Errors that lie in a row's values or in what the model does with them: the row is set aside, the job goes on. */
const OF_THE_ROW: ReadonlySet<string> = new Set([
  "TENSOR_VALUE",
  "TENSOR_SHAPE",
  "INPUT_VALUE",
  "INPUT_SHAPE",
  "INPUT_QUARANTINED",
  "ENGINE_FAILED",
  "MODEL_CRASHED",
  "DEADLINE",
]);

/** `memory` holds the inputs of batches that are scored one after the other. */
export async function scoreBatch(
  scorer: Scorer,
  plan: RowRun,
  columns: Columns,
  rows: number,
  memory: BatchMemory = new BatchMemory(),
): Promise<Scored> {
  const taken: NumericArray[] = [];
  try {
    const outputs = await runRows(scorer, plan, columns, 0, rows, (dtype, entries) => {
      const values = memory.take(dtype, entries);
      taken.push(values);
      return values;
    });
    // A run that failed may still read them.
    for (const values of taken) memory.give(values);
    return { good: null, outputs, bad: [] };
  } catch (error) {
    if (!isTenonError(error) || !OF_THE_ROW.has(error.code)) throw error;
    if (plan.run.onError === "fail") throw refused(error);
  }
  return singly(scorer, plan, columns, rows);
}

function refused(cause: TenonError): TenonError {
  return new TenonError("ROWS_REFUSED", {
    problem: `rows cannot be scored: ${cause.problem}`,
    ...(cause.given === undefined ? {} : { given: cause.given }),
    do: "set such rows aside with --on-error quarantine",
    cause,
  });
}

/** Each row by itself, so that the bad ones are found. */
async function singly(scorer: Scorer, plan: RowRun, columns: Columns, rows: number): Promise<Scored> {
  const bad: BadRow[] = [];
  const good: number[] = [];
  const parts: Readonly<Record<string, Tensor>>[] = [];
  for (let row = 0; row < rows; row++) {
    try {
      parts.push(await runRows(scorer, plan, columns, row, row + 1));
      good.push(row);
    } catch (error) {
      if (!isTenonError(error) || !OF_THE_ROW.has(error.code)) throw error;
      const { code, problem, given } = toTenonError(error);
      // Which row it is stands beside it, counted in the file.
      const shown = given?.replace(/ in row \d+$|^row \d+$/, "") ?? "";
      bad.push({
        row,
        code,
        message: shown === "" ? problem : `${problem}; given: ${shown}`,
      });
    }
  }
  const names = Object.keys(parts[0] ?? {});
  const outputs =
    parts.length === 0
      ? undefined
      : Object.fromEntries(
          names.map((name) => [
            name,
            concat(
              parts.map((part) => part[name]!),
              { axis: 0 },
            ),
          ]),
        );
  return { good, outputs, bad };
}

async function runRows(
  scorer: Scorer,
  plan: RowRun,
  columns: Columns,
  from: number,
  to: number,
  memory?: Parameters<typeof buildTensors>[4],
): Promise<Record<string, Tensor>> {
  const rows = to - from;
  const inputs = buildTensors(plan.tensors, columns, from, to, memory);
  const wanted = plan.run.fixed ? plan.run.batch : rows;
  for (const { name, dims } of scorer.signature.inputs) {
    let tensor = inputs[name]!;
    if (wanted > rows) tensor = padded(tensor, wanted);
    inputs[name] = shaped(tensor, dims, wanted);
  }
  const outputs = await scorer.run(inputs);
  const result: Record<string, Tensor> = {};
  for (const { name, labels, labelOf } of plan.output.columns) {
    if (labelOf !== undefined) {
      // The scores stand before their labels.
      result[name] = labelsOf(result[labelOf]!, labels!);
      continue;
    }
    const tensor = outputs[name]!;
    if (tensor.shape[0] !== wanted) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `output "${name}" does not have a row for each row of the input`,
        given: `[${tensor.shape.join(", ")}] for ${wanted} rows`,
      });
    }
    result[name] = wanted > rows ? tensor.slice([0, rows]) : tensor;
  }
  return result;
}

/** The last row again, until the model's fixed number of rows is full. */
function padded(tensor: Tensor, rows: number): Tensor {
  const have = tensor.shape[0]!;
  const last = tensor.slice([have - 1, have]);
  return concat([tensor, ...new Array<Tensor>(rows - have).fill(last)], { axis: 0 });
}

/** Values of a row in the shape that the input declares: `[rows, 3, 8]` of `[rows, 24]`. */
function shaped(tensor: Tensor, dims: readonly unknown[] | undefined, rows: number): Tensor {
  if (dims === undefined || dims.length === tensor.rank) return tensor;
  if (dims.length === 1) return tensor.reshape([rows]);
  const rest = dims.slice(1);
  const open = rest.findIndex((dim) => typeof dim !== "number");
  const shape = rest.map((dim, i) => (typeof dim === "number" ? dim : i === open ? -1 : 1));
  return tensor.reshape([rows, ...shape]);
}
