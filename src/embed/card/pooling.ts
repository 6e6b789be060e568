/** The ways to make one vector of many, as sentence-transformers names and orders them (its Pooling module). */
import { TenonError } from "../../base/index.js";
import { type Fields, flagAt, invalidFile } from "./files.js";

/** In the order in which several of them are put behind each other. */
export const POOLINGS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"] as const;

export type PoolingMode = (typeof POOLINGS)[number];

const FLAGS: Readonly<Record<PoolingMode, string>> = {
  cls: "pooling_mode_cls_token",
  max: "pooling_mode_max_tokens",
  mean: "pooling_mode_mean_tokens",
  mean_sqrt_len_tokens: "pooling_mode_mean_sqrt_len_tokens",
  weightedmean: "pooling_mode_weightedmean_tokens",
  lasttoken: "pooling_mode_lasttoken",
};

function isPooling(value: unknown): value is PoolingMode {
  return POOLINGS.includes(value as PoolingMode);
}

/** The modes of a `1_Pooling/config.json`. Throws UNKNOWN_POOLING for a mode that is not in the table. */
export function poolingOf(config: Fields, file: string): readonly PoolingMode[] {
  const named = config.pooling_mode;
  if (named !== undefined && named !== null) return checkedPooling(named, file);
  const unknown = Object.keys(config).find(
    (key) => key.startsWith("pooling_mode_") && config[key] === true && !Object.values(FLAGS).includes(key),
  );
  if (unknown !== undefined) throw unknownPooling(`"${unknown}"`, [file]);
  const modes = POOLINGS.filter((mode) => flagAt(config, FLAGS[mode], file) === true);
  if (modes.length === 0) throw invalidFile(file, "no pooling mode that is true", POOLINGS.join(", "));
  return modes;
}

/** One mode or several, checked. */
export function checkedPooling(value: unknown, where: string): readonly PoolingMode[] {
  const modes: readonly unknown[] = Array.isArray(value) ? value : [value];
  const wrong = modes.find((mode) => !isPooling(mode));
  if (modes.length > 0 && wrong === undefined) return modes as readonly PoolingMode[];
  throw unknownPooling(JSON.stringify(wrong ?? value), [where]);
}

/** How tokens become one vector is not known, and a guess would give wrong vectors. */
export function unknownPooling(
  given: string,
  files: readonly string[],
  advice = 'give it, as the model\'s authors say: embedder(folder, { pooling: "mean" })',
): TenonError {
  return new TenonError("UNKNOWN_POOLING", {
    problem: "how the model pools its tokens is not known",
    given: `${given}; looked at ${files.join(", ")}`,
    expected: POOLINGS.join(", "),
    do: advice,
  });
}
