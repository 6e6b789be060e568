/** Reads a Parquet file whole, as packed batches, and prints its rows, their sum and the most memory that was resident. */
import { readFileSync } from "node:fs";
import { pack, parquet } from "tenon/data";

const names = Array.from({ length: 16 }, (_, i) => `f${i}`);
let rows = 0;
let sum = 0;
for await (const batch of parquet(process.argv[2]!).tensors({ x: pack(names) })) {
  rows += batch.rows;
  sum += Number(batch.data.x.data[0]);
  batch.release();
}
const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]);
console.log(JSON.stringify({ rows, sum, megabytes: peak / 1000 }));
