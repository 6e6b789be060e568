/** What scores rows: a signature and a run. A loaded model is one; the command line makes others. */
import { TenonError } from "../base/index.js";
import type { Inputs, Outputs, Signature, ValueSignature } from "../runtime/index.js";
import type { DType } from "../tensor/index.js";

export interface Scorer {
  readonly signature: Signature;
  /** Runs rows that are together in one batch, alone: other rows must not change the result. */
  run(inputs: Inputs): Promise<Outputs>;
}

/** An output as a column of the result. */
export interface OutputColumn {
  readonly name: string;
  readonly dtype: DType;
  /** Elements per row: null for a scalar column, -1 for lists of a length that the model does not declare. */
  readonly list: number | null;
  /** Names of the elements, where the model knows its classes. */
  readonly labels?: readonly string[];
  /** The output of whose scores this column holds the likeliest class by name. */
  readonly labelOf?: string;
}

/** Rows that the model wants in every batch; undefined where any number will do. Throws MODEL_UNSUPPORTED. */
export function fixedRows(signature: Signature): number | undefined {
  let rows: number | undefined;
  for (const { name, dims } of signature.inputs) {
    const first = dims?.[0];
    if (dims !== undefined && dims.length === 0)
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `input "${name}" has no axis of rows`,
        given: "a scalar input",
      });
    if (typeof first !== "number") continue;
    if (rows !== undefined && rows !== first) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: "the inputs differ in their first dimension, which must be the rows",
        given: `${rows} and ${first}`,
      });
    }
    rows = first;
  }
  return rows;
}

/** A column per output, and behind one whose classes have names `NAME_label`, the likeliest of them. */
export function outputColumns(signature: Signature): OutputColumn[] {
  const names = new Set(signature.outputs.map(({ name }) => name));
  return signature.outputs.flatMap((output) => {
    const column = columnOf(output);
    const { name, labels, list } = column;
    const label = `${name}_label`;
    if (labels === undefined || list !== labels.length || names.has(label)) return [column];
    return [column, { name: label, dtype: "string", list: null, labels, labelOf: name }];
  });
}

function columnOf({ name, dtype, dims, labels }: ValueSignature): OutputColumn {
  const named = labels === undefined ? {} : { labels: labels.map(String) };
  if (dims === undefined) return { name, dtype, list: -1, ...named };
  if (dims.length === 0)
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `output "${name}" has no axis of rows`,
      given: "a scalar output",
    });
  const rest = dims.slice(1);
  if (rest.length === 0 || (rest.length === 1 && rest[0] === 1)) return { name, dtype, list: null };
  const fixed = rest.every((dim) => typeof dim === "number");
  return { name, dtype, list: fixed ? rest.reduce<number>((a, b) => a * Number(b), 1) : -1, ...named };
}
