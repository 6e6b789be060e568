/** The official test cases, as the pinned onnx package carries them: a model and its recorded inputs and outputs. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { OnnxModel, ValueType } from "tenon/onnx";
import { type CaseValue, readCaseValue } from "./case-data.js";

export interface DataSet {
  readonly inputs: readonly CaseValue[];
  readonly outputs: readonly CaseValue[];
}

/** `test_relu` of `…/test_relu/model.onnx`. */
export function caseName(modelPath: string): string {
  return dirname(modelPath).split("/").at(-1)!;
}

/** The data sets beside a model. A file stands for the graph's input or output of its number. */
export async function readDataSets(modelPath: string, model: OnnxModel): Promise<DataSet[]> {
  const folder = dirname(modelPath);
  const sets: DataSet[] = [];
  for (const name of readdirSync(folder)
    .filter((entry) => entry.startsWith("test_data_set_"))
    .sort()) {
    const read = (kind: string, values: OnnxModel["graph"]["inputs"]): Promise<CaseValue[]> =>
      readAll(
        join(folder, name),
        kind,
        values.map(({ type }) => type),
      );
    sets.push({
      inputs: await read("input", model.graph.inputs),
      outputs: await read("output", model.graph.outputs),
    });
  }
  return sets;
}

async function readAll(
  folder: string,
  kind: string,
  types: readonly (ValueType | undefined)[],
): Promise<CaseValue[]> {
  const values: CaseValue[] = [];
  for (const [i, type] of types.entries()) {
    const path = join(folder, `${kind}_${i}.pb`);
    if (!existsSync(path)) break;
    values.push(await readCaseValue(new Uint8Array(readFileSync(path)), type));
  }
  return values;
}
