/** TextTimes: where the time of calls goes, text by text. */

/** Sums over texts, in milliseconds. What was not measured stays undefined. */
export interface TextTimes {
  /** Texts that have been made vectors or scores of. */
  texts: number;
  /** Texts to tokens. */
  tokenizeMs?: number;
  /** From a text's tokens to the start of its run. */
  queueMs?: number;
  /** The run that a text was in, its company's share included. */
  runMs?: number;
}

export interface Timed {
  /** What the call's time goes to is added here; a call that rejects may have added a part. */
  readonly times?: TextTimes;
}

export function spend(
  times: TextTimes | undefined,
  what: "tokenizeMs" | "queueMs" | "runMs",
  ms: number,
): void {
  if (times !== undefined) times[what] = (times[what] ?? 0) + ms;
}
