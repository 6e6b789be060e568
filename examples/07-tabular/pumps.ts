/** The table as batches of tensors, parted into rows to train on and rows to test with. */
import { col, pack, parquet } from "tenon/data";
import { tensor } from "tenon/tensor";
import { auroc } from "tenon/train";
import type { Rows } from "./network.js";
import { READINGS } from "./table.js";

const BATCH = 256;
const PARTS = { train: 0.8, test: 0.2 };

/** Parted by the pumps' names, so that a pump is on the same side whatever else the table holds. */
function parted(path: string) {
  return parquet(path).split(PARTS, "pump");
}

export function openPumps(path: string, seed: number): { readonly train: Rows; readonly test: Rows } {
  const { train, test } = parted(path);
  const tensors = { readings: pack([...READINGS], "float32"), failed: col("failed", "int64") };
  return {
    train: train.tensors(tensors).shuffle({ seed, window: 20_000 }).batch(BATCH),
    test: test.tensors(tensors).batch(BATCH),
  };
}

/** The AUROC of the true chances on the rows of the test: what no model can be much better than. */
export async function bestOf(path: string): Promise<number> {
  const sums = auroc();
  const rows = parted(path).test.tensors({ risk: col("risk", "float32"), failed: col("failed", "int64") });
  for await (const { data } of rows.batch(BATCH)) {
    const risk = data.risk.data as unknown as Float32Array; // asked for as float32
    // One score a row is taken as a logit of class 1; any rising function of the chance ranks alike.
    sums.add(tensor(risk, { dtype: "float32" }), data.failed);
  }
  return sums.value();
}
