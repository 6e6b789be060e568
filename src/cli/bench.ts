/** `tenon bench`: latency and throughput of one model per number of lanes and batch size, and the knee. */
import { Command } from "commander";
import { formatCount, formatDuration, parseCount, parseDuration, TenonError } from "../base/index.js";
import type { OnnxModel } from "../onnx/index.js";
import type { Engine, Model } from "../runtime/index.js";
import type { Tensor } from "../tensor/index.js";
import { addSettings, resolveSettings } from "./settings.js";
import { print, printJson, progress, table } from "./terminal.js";

/** One measured cell. */
export interface BenchPoint {
  readonly lanes: number;
  readonly batch: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rowsPerSecond: number;
  /** Processor time of this process per row. */
  readonly cpuMsPerRow: number;
}

type RowsOf = (rows: number) => Record<string, Tensor>;

/** A batch within this factor of the best throughput is as good, and answers sooner. */
const KNEE_FACTOR = 1.15;
const SLOWEST_MS = 2000;

interface BenchOptions {
  readonly input: readonly string[];
  readonly dim: readonly string[];
  readonly maxBatch?: string;
  readonly time: string;
}

export function benchCommand(): Command {
  const command = new Command("bench")
    .description("measure a model: latency and throughput per number of lanes and batch size")
    .argument("<model>", "model file, exported program (.pt2), or folder of a Hugging Face model")
    .option("--input <name=value>", "one row to measure with, as for tenon run; repeatable", gather, [])
    .option("--dim <name=size>", "size of a symbolic dimension of made-up inputs; repeatable", gather, [])
    .option("--max-batch <count>", "largest batch size; default 64 where the model can be batched")
    .option("--time <duration>", "time per measurement", "500ms");
  addSettings(command, ["lanes", "cache", "cacheMax", "ortLib", "log"]);
  return command.action(async (file: string, options: BenchOptions) => {
    const { values, json } = await resolveSettings(command);
    const timeMs = parseDuration(options.time);
    const maxBatch = options.maxBatch === undefined ? 64 : parseCount(options.maxBatch);
    if (maxBatch < 1)
      throw new TenonError("USAGE", { given: `--max-batch ${maxBatch}`, expected: "1 or more" });
    const [{ openEngine }, { openModel }] = await Promise.all([
      import("./engine.js"),
      import("./open-model.js"),
    ]);
    const source = await openModel(file);
    const bar = progress();
    const points: BenchPoint[] = [];
    await using widest = await openEngine(values);
    const { lanes } = widest.capacity;
    const base = await widest.load(source, {
      name: "base",
      batch: { max: Math.max(2, maxBatch) },
      calibrate: false,
    });
    const rowsOf = await rowMaker(base, options);
    const batched = base.maxBatch > 0;
    for (const count of steps(lanes)) {
      await using engine = await openEngine(values, { lanes: count });
      for (const batch of steps(batched ? maxBatch : 1)) {
        bar.show(`${count} lanes, batch ${batch} …`);
        const point = await measure(engine, source, rowsOf, { lanes: count, batch, timeMs, batched });
        points.push(point);
        if (point.p50Ms > SLOWEST_MS) break;
      }
    }
    bar.clear();
    const knee = kneeOf(points.filter((point) => point.lanes === lanes));
    if (json) {
      printJson({ schema: "tenon.bench/1", model: file, batching: base.profile.batch, points, knee });
      return;
    }
    print(report(points));
    print("");
    print(
      batched
        ? `knee: batch ${knee.batch} on ${knee.lanes} lanes, ${formatCount(knee.rowsPerSecond)} rows/s, p50 ${formatDuration(knee.p50Ms)}`
        : `not batched: ${base.profile.batch.reason ?? "one request a run"}`,
    );
  });
}

function gather(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

/** 1, 2, 4, … and `last`. */
export function steps(last: number): number[] {
  const powers: number[] = [];
  for (let n = 1; n < last; n *= 2) powers.push(n);
  return [...powers, last];
}

/** The smallest batch whose throughput is nearly the best one. */
export function kneeOf(points: readonly BenchPoint[]): BenchPoint {
  const best = Math.max(...points.map(({ rowsPerSecond }) => rowsPerSecond));
  return points.find(({ rowsPerSecond }) => rowsPerSecond * KNEE_FACTOR >= best)!;
}

/** Rows for any batch size: the row that was given, repeated, or made-up ones. */
async function rowMaker(model: Model, options: BenchOptions): Promise<RowsOf> {
  const batched = model.maxBatch > 0;
  if (options.input.length === 0) {
    const { parseDims, sampleInputs } = await import("./sample-inputs.js");
    const dims = parseDims(options.dim, model.signature);
    return (rows) => sampleInputs(model.signature, { rows, batched, dims });
  }
  const { readInputs } = await import("./values.js");
  const given = await readInputs(options.input, model.signature, process.cwd());
  return (rows) =>
    Object.fromEntries(
      Object.entries(given).map(([name, value]) => {
        const wanted = [rows, ...value.shape.slice(1)];
        return [name, batched && value.shape[0] === 1 ? value.broadcastTo(wanted).contiguous() : value];
      }),
    );
}

async function measure(
  engine: Engine,
  source: string | OnnxModel,
  rowsOf: RowsOf,
  { lanes, batch, timeMs, batched }: { lanes: number; batch: number; timeMs: number; batched: boolean },
): Promise<BenchPoint> {
  // Requests of exactly the largest batch are never joined with others.
  const model = await engine.load(source, {
    name: `batch-${batch}`,
    batch: { max: batch },
    calibrate: false,
  });
  const inputs = rowsOf(batched ? batch : 1);
  (await model.run(inputs))[Symbol.dispose]();
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const client = async (): Promise<void> => {
    do {
      const sentAt = performance.now();
      (await model.run(inputs))[Symbol.dispose]();
      latencies.push(performance.now() - sentAt);
    } while (performance.now() - startedAt < timeMs);
  };
  await Promise.all(Array.from({ length: lanes }, client));
  const elapsedMs = performance.now() - startedAt;
  const used = process.cpuUsage(cpu);
  await model.unload();
  latencies.sort((a, b) => a - b);
  const rows = latencies.length * (batched ? batch : 1);
  return {
    lanes,
    batch,
    p50Ms: latencies[latencies.length >> 1]!,
    p99Ms: latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * 0.99))]!,
    rowsPerSecond: (rows / elapsedMs) * 1000,
    cpuMsPerRow: (used.user + used.system) / 1000 / rows,
  };
}

function report(points: readonly BenchPoint[]): string {
  const rows = points.map((point) => [
    String(point.lanes),
    String(point.batch),
    formatDuration(point.p50Ms),
    formatDuration(point.p99Ms),
    formatCount(point.rowsPerSecond),
    formatDuration(point.cpuMsPerRow),
  ]);
  return table([["lanes", "batch", "p50", "p99", "rows/s", "CPU/row"], ...rows], [0, 1, 2, 3, 4, 5]);
}
