/** Processor time and memory of the server's processes, those of models left out. */

export interface FrontsUsage {
  readonly running: number;
  /** How often one was replaced. */
  readonly restarts: number;
  /** Used so far, by those that have ended, too. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

export class Processes {
  /** What the fronts use together, where there are some. */
  fronts: (() => FrontsUsage) | undefined;

  /** Lines of the metrics page. */
  lines(): string[] {
    const { user, system } = process.cpuUsage();
    const own = { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss() };
    const fronts = this.fronts?.();
    const rows = [["server", own] as const, ...(fronts === undefined ? [] : [["fronts", fronts] as const])];
    const lines = [
      "# HELP tenon_process_cpu_seconds_total Processor time used, in seconds.",
      "# TYPE tenon_process_cpu_seconds_total counter",
      ...rows.map(([name, use]) => `tenon_process_cpu_seconds_total{process="${name}"} ${use.cpuSeconds}`),
      "# HELP tenon_process_resident_memory_bytes Resident memory.",
      "# TYPE tenon_process_resident_memory_bytes gauge",
      ...rows.map(
        ([name, use]) => `tenon_process_resident_memory_bytes{process="${name}"} ${use.residentBytes}`,
      ),
    ];
    if (fronts === undefined) return lines;
    return [
      ...lines,
      "# HELP tenon_fronts Processes that speak HTTP in front of the server.",
      "# TYPE tenon_fronts gauge",
      `tenon_fronts ${fronts.running}`,
      "# HELP tenon_front_restarts_total Fronts that were started in place of one that ended.",
      "# TYPE tenon_front_restarts_total counter",
      `tenon_front_restarts_total ${fronts.restarts}`,
    ];
  }
}
