/** Rows kept as a Parquet file: a slow source is read once, and again only when it or the plan changed. */
import { resolve } from "node:path";
import { isTenonError, TenonError } from "../base/index.js";
import type { Columns } from "./column.js";
import { openPlan } from "./open.js";
import { ParquetFile } from "./parquet/file.js";
import type { Plan } from "./plan.js";
import { filesHash } from "./position.js";
import { AtomicFile } from "./sink/atomic-file.js";
import { ParquetFormat } from "./sink/parquet.js";
import { fileSink } from "./sink/sink.js";

const KEY = "tenon.cache";

/** Writes the rows to `path` unless they are there. `batches` gives the plan's columns. */
export async function writeCache(
  plan: Plan,
  path: string,
  batches: AsyncIterable<{ readonly data: Columns }>,
): Promise<void> {
  const { scan, hash, release } = await openPlan(plan);
  let key: string;
  let schema: typeof scan.schema;
  try {
    if (scan.files.length === 0)
      throw new TenonError("USAGE", { problem: "a stream has no files by which a cache is known" });
    if (scan.files.some(({ name }) => resolve(name) === resolve(path)))
      throw new TenonError("USAGE", { problem: "a cache would take the place of its source", given: path });
    const { select, take } = plan;
    key = `${hash} ${filesHash(scan.files)} ${plan.epoch} ${plan.repeat} ${take}`;
    schema = select === null ? scan.schema : new Map(select.map((name) => [name, scan.schema.get(name)!]));
  } finally {
    await release();
  }
  if ((await keyOf(path)) === key) return;
  const format = new ParquetFormat({ schema: nullable(schema), metadata: { [KEY]: key } });
  await using out = fileSink(() => AtomicFile.create(path), format);
  for await (const { data } of batches) await out.write(data);
  await out.commit();
}

/** Later blocks of text may have nulls where the first has none. */
function nullable(schema: Awaited<ReturnType<typeof openPlan>>["scan"]["schema"]) {
  return new Map([...schema].map(([name, field]) => [name, { ...field, nullable: true }]));
}

async function keyOf(path: string): Promise<string | undefined> {
  try {
    const file = await ParquetFile.open(path);
    await file.close();
    return file.footer.keyValues.get(KEY);
  } catch (error) {
    if (isTenonError(error, "FILE_NOT_FOUND") || isTenonError(error, "FILE_INVALID")) return undefined;
    throw error;
  }
}
