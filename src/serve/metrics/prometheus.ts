/** The metrics page: Prometheus text under Triton's names, and histograms of ours. */
import { cpus, freemem, totalmem } from "node:os";
import type { ServedModel } from "../served-model.js";
import type { Processes } from "./processes.js";
import { type FailureReason, type Histogram, type StatisticsSnapshot, statisticsOf } from "./statistics.js";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly of: (snapshot: StatisticsSnapshot, model: ServedModel) => number;
}

type Counted = keyof StatisticsSnapshot["inference_stats"];

function counter(name: string, help: string, of: Metric["of"]): Metric {
  return { name, help, type: "counter", of };
}

/** How often something happened. */
function times(name: string, what: Counted, help: string): Metric {
  return counter(name, help, (s) => s.inference_stats[what].count);
}

/** How long it took together. */
function microseconds(name: string, what: Counted, help: string): Metric {
  return counter(name, `${help}, in microseconds.`, (s) => Math.round(s.inference_stats[what].ns / 1000));
}

/** One series for each model. */
// biome-ignore format: a table is read by columns
const METRICS: readonly Metric[] = [
  times("nv_inference_request_success", "success", "Requests that were answered."),
  counter("nv_inference_count", "Rows that were run.", (s) => s.inference_count),
  counter("nv_inference_exec_count", "Runs of the model.", (s) => s.execution_count),
  microseconds("nv_inference_request_duration_us",        "success",        "Time of answered requests"),
  microseconds("nv_inference_queue_duration_us",          "queue",          "Time of requests in the queue"),
  microseconds("nv_inference_compute_input_duration_us",  "compute_input",  "Time of preparing inputs"),
  microseconds("nv_inference_compute_infer_duration_us",  "compute_infer",  "Time of running the model"),
  microseconds("nv_inference_compute_output_duration_us", "compute_output", "Time of preparing outputs"),
  times("nv_cache_num_hits_per_model",   "cache_hit",  "Answers from the response cache."),
  times("nv_cache_num_misses_per_model", "cache_miss", "Requests that were not in the response cache."),
  microseconds("nv_cache_hit_duration_per_model",  "cache_hit",  "Time of answers from the cache"),
  microseconds("nv_cache_miss_duration_per_model", "cache_miss", "Time of looking into and filling the cache"),
  {
    name: "nv_inference_pending_request_count",
    help: "Requests that wait.",
    type: "gauge",
    of: (_, model) => model.waiting,
  },
  {
    name: "nv_model_load_duration_secs",
    help: "Time of loading the model, in seconds.",
    type: "gauge",
    of: (_, model) => model.profile.loadMs / 1000,
  },
];

const FAILURES: readonly FailureReason[] = ["REJECTED", "CANCELED", "BACKEND", "OTHER"];

/** The page of all models that are loaded, and of the server's processes. */
export function metricsPage(served: readonly ServedModel[], processes: Processes): string {
  const models = served.map((model) => {
    const statistics = statisticsOf(model);
    return { model, statistics, snapshot: statistics.snapshot(), labels: labelsOf(model) };
  });
  const lines: string[] = [];
  const head = (name: string, help: string, type: string): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  };
  for (const { name, help, type, of } of METRICS) {
    head(name, help, type);
    for (const { model, snapshot, labels } of models) lines.push(`${name}{${labels}} ${of(snapshot, model)}`);
  }
  head("nv_inference_request_failure", "Requests that failed, by reason.", "counter");
  for (const { statistics, labels } of models) {
    for (const reason of FAILURES) {
      lines.push(`nv_inference_request_failure{${labels},reason="${reason}"} ${statistics.failures[reason]}`);
    }
  }
  const histogram = (name: string, help: string, of: (entry: (typeof models)[number]) => Histogram): void => {
    head(name, help, "histogram");
    for (const entry of models) lines.push(...histogramLines(name, entry.labels, of(entry)));
  };
  histogram(
    "tenon_request_duration_seconds",
    "Time of answered requests.",
    ({ statistics }) => statistics.requestSeconds,
  );
  histogram(
    "tenon_queue_duration_seconds",
    "Time of requests in the queue.",
    ({ statistics }) => statistics.queueSeconds,
  );
  histogram(
    "tenon_batch_size",
    "Rows of the batches that were run.",
    ({ statistics }) => statistics.batchRows,
  );
  histogram(
    "tenon_padding_ratio",
    "Lengths of the batches that were run, with what was filled up over without.",
    ({ statistics }) => statistics.paddingRatio,
  );
  for (const [name, help, value] of machine()) {
    head(name, help, "gauge");
    lines.push(`${name} ${value}`);
  }
  lines.push(...processes.lines());
  return `${lines.join("\n")}\n`;
}

/** Names of models need no escapes: they are letters, digits, dots, hyphens and underscores. */
function labelsOf({ name, version }: ServedModel): string {
  return `model="${name}",version="${version}"`;
}

function histogramLines(name: string, labels: string, { bounds, counts, count, sum }: Histogram): string[] {
  return [
    ...bounds.map((bound, i) => `${name}_bucket{${labels},le="${bound}"} ${counts[i]}`),
    `${name}_bucket{${labels},le="+Inf"} ${count}`,
    `${name}_sum{${labels}} ${sum}`,
    `${name}_count{${labels}} ${count}`,
  ];
}

let before = { idle: 0, total: 0 };

function machine(): readonly (readonly [string, string, number])[] {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.idle + times.user + times.nice + times.sys + times.irq;
  }
  const busy = total === before.total ? 0 : 1 - (idle - before.idle) / (total - before.total);
  before = { idle, total };
  return [
    ["nv_cpu_utilization", "Share of the processors that was busy since the last look, from 0 to 1.", busy],
    ["nv_cpu_memory_total_bytes", "Memory of the machine.", totalmem()],
    ["nv_cpu_memory_used_bytes", "Memory of the machine that is in use.", totalmem() - freemem()],
  ];
}
