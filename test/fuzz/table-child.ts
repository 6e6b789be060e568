/** Reads one damaged table after the other with an engine, in a process that may die of it; tells its parent what came. */
import { isTenonError } from "tenon/base";
import { type ParquetOptions, parquet } from "tenon/data";

const engine = process.argv[2] as NonNullable<ParquetOptions["engine"]>; // given by tables.ts

process.on("message", (path: string) => {
  void read(path).then((came) => process.send?.(came));
});
process.send?.("ready");

async function read(path: string): Promise<string> {
  try {
    for await (const { rows } of parquet(path, { engine }).batch(16))
      if (rows < 1 || rows > 16) return `defect: a batch of ${rows} rows`;
    return "read";
  } catch (error) {
    return isTenonError(error)
      ? error.code
      : `defect ${error instanceof Error ? error.stack : String(error)}`;
  }
}
