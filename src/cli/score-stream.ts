/** `tenon score --stdin --stdout`: JSON lines in, JSON lines out, for pipes of other programs. */
import { once } from "node:events";
import { formatCount, formatDuration, TenonError } from "../base/index.js";
import { keepOf, positive, type ScoreOptions } from "./score-options.js";
import type { Settings } from "./settings.js";
import { note, styled, toJson } from "./terminal.js";

/** Options of jobs, which a stream has no use for. */
const OF_JOBS = ["output", "where", "shard", "workers", "queue", "resume", "planOnly"] as const;
const AUTO_BATCH = 256;

export async function scoreStream(
  file: string,
  options: ScoreOptions,
  { values, json }: Settings,
): Promise<void> {
  if (options.stdin !== true || options.stdout !== true)
    throw new TenonError("USAGE", { problem: "--stdin and --stdout go together" });
  const other =
    OF_JOBS.find((name) => options[name] !== undefined) ?? (options.input.length > 0 ? "input" : undefined);
  if (other !== undefined)
    throw new TenonError("USAGE", {
      problem: "rows of stdin go to stdout",
      given: `--${other === "planOnly" ? "plan-only" : other}`,
    });
  const [score, { openEngine }, { loadScoringModel }] = await Promise.all([
    import("../score/index.js"),
    import("./engine.js"),
    import("./score-model.js"),
  ]);
  await using engine = await openEngine(values, { isolation: values.isolation });
  const model = await loadScoringModel(
    engine,
    file,
    values.runDeadline,
    Object.keys(score.parseMapping(options.map)),
  );
  const start = performance.now();
  const summary = await score.scoreLines(process.stdin, {
    scorer: model.scorer,
    map: score.parseMapping(options.map),
    keep: keepOf(options.keep),
    batch: options.batch === "auto" ? AUTO_BATCH : positive("--batch", options.batch),
    onError: options.onError,
    limit: options.limit === undefined ? undefined : positive("--limit", options.limit),
    inFlight: 2 * model.lanes,
    write: async (text) => {
      if (!process.stdout.write(text)) await once(process.stdout, "drain");
    },
    onBad: (bad) => note(toJson({ file: "stdin", ...bad })),
  });
  const milliseconds = performance.now() - start;
  if (json) note(toJson({ schema: "tenon.score.stream/1", ...summary, milliseconds }));
  else
    note(
      styled(
        "dim",
        `${formatCount(summary.rows)} rows, ${summary.quarantined} set aside; ${formatDuration(milliseconds)}, ${formatCount((1000 * summary.rows) / milliseconds)} rows/s`,
        process.stderr,
      ),
    );
}
