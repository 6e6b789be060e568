/** The metrics page: Prometheus text under Triton's names, and histograms of ours. */
import { cpus, freemem, totalmem } from "node:os";
import type { Engine, Model } from "../../runtime/index.js";
import { type FailureReason, type Histogram, type StatisticsSnapshot, statisticsOf } from "./statistics.js";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly of: (snapshot: StatisticsSnapshot, model: Model) => number;
}

const microseconds = (ns: number): number => Math.round(ns / 1000);

/** One series for each model. */
const METRICS: readonly Metric[] = [
  {
    name: "nv_inference_request_success",
    help: "Requests that were answered.",
    type: "counter",
    of: (s) => s.inference_stats.success.count,
  },
  { name: "nv_inference_count", help: "Rows that were run.", type: "counter", of: (s) => s.inference_count },
  {
    name: "nv_inference_exec_count",
    help: "Runs of the model.",
    type: "counter",
    of: (s) => s.execution_count,
  },
  {
    name: "nv_inference_request_duration_us",
    help: "Time of answered requests, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.success.ns),
  },
  {
    name: "nv_inference_queue_duration_us",
    help: "Time of requests in the queue, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.queue.ns),
  },
  {
    name: "nv_inference_compute_input_duration_us",
    help: "Time of preparing inputs, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.compute_input.ns),
  },
  {
    name: "nv_inference_compute_infer_duration_us",
    help: "Time of running the model, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.compute_infer.ns),
  },
  {
    name: "nv_inference_compute_output_duration_us",
    help: "Time of preparing outputs, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.compute_output.ns),
  },
  {
    name: "nv_cache_num_hits_per_model",
    help: "Answers from the response cache.",
    type: "counter",
    of: (s) => s.inference_stats.cache_hit.count,
  },
  {
    name: "nv_cache_num_misses_per_model",
    help: "Requests that were not in the response cache.",
    type: "counter",
    of: (s) => s.inference_stats.cache_miss.count,
  },
  {
    name: "nv_cache_hit_duration_per_model",
    help: "Time of answers from the cache, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.cache_hit.ns),
  },
  {
    name: "nv_cache_miss_duration_per_model",
    help: "Time of looking into and filling the cache, in microseconds.",
    type: "counter",
    of: (s) => microseconds(s.inference_stats.cache_miss.ns),
  },
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

/** The page of all models that are loaded. */
export function metricsPage(engine: Engine): string {
  const models = engine.models().map((model) => {
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
  for (const [name, help, value] of machine()) {
    head(name, help, "gauge");
    lines.push(`${name} ${value}`);
  }
  return `${lines.join("\n")}\n`;
}

/** Names of models need no escapes: they are letters, digits, dots, hyphens and underscores. */
function labelsOf({ name, version }: Model): string {
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
