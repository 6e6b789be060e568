/** What is proved of a model by running it, once for its content and this machine's kernels. */
import { type BatchAxis, declaredObstacle, proveBatchAxis } from "./batch-axis.js";
import { BufferPool } from "./buffers.js";
import type { ModelCache } from "./cache.js";
import type { LoadOptions } from "./engine-options.js";
import type { Loaded } from "./load.js";
import { OutputShapes } from "./output-shapes.js";
import { provePadding } from "./padding.js";
import type { RunLane } from "./session.js";
import type { Signature } from "./signature.js";

/** Raised when what is proved of padding changes. */
const PADDING_NOTE = "padding-2";

/** Whether requests may share a run, and whether they may be filled up for it. Remembered in `cache`. */
export async function axisOf(
  loaded: Loaded,
  cache: ModelCache | undefined,
  options: LoadOptions,
): Promise<BatchAxis> {
  if (options.batch?.max === 1)
    return { batchable: false, reason: "batching is switched off (batch.max is 1)" };
  const obstacle = declaredObstacle(loaded.signature);
  if (obstacle !== undefined) return { batchable: false, reason: obstacle };
  const { signature } = loaded.session;
  const axis = await proved(loaded, cache, "batch-axis", (lane) => proveBatchAxis(signature, lane));
  // Rules for batches say which requests share a run.
  if (!axis.batchable || options.batch?.explicit !== undefined) return axis;
  const padding = await proved(loaded, cache, PADDING_NOTE, (lane) =>
    provePadding(signature, lane, probedLength(signature, axis)),
  );
  return { ...axis, padding };
}

async function proved<T>(
  loaded: Loaded,
  cache: ModelCache | undefined,
  note: string,
  prove: (lane: RunLane) => Promise<T>,
): Promise<T> {
  const known = await cache?.readNote<T>(loaded.key, note);
  if (known !== undefined) return known;
  const lane = loaded.session.lane(new OutputShapes(loaded.session.signature), new BufferPool(0));
  try {
    const proof = await prove(lane);
    await cache?.writeNote(loaded.key, note, proof);
    return proof;
  } finally {
    lane.dispose();
  }
}

/** The size of free dims at which the batch axis was proved; 8 where none is free. */
function probedLength(signature: Signature, { probe }: BatchAxis): number {
  const sizes = signature.inputs.flatMap(({ dims }, i) =>
    dims!.flatMap((dim, axis) => (axis > 0 && typeof dim !== "number" ? [probe![i]![axis]!] : [])),
  );
  return sizes[0] ?? 8;
}
