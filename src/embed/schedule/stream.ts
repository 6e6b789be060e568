/** Vectors of a source of any length: as many texts are under way as fill the lanes, and no more are asked for. */
import type { TruncateSide } from "../card/card.js";
import type { MatrixData } from "../matrix.js";
import type { PromptOptions } from "../prompts.js";
import { checkTexts, type Tokens } from "../text.js";
import { Pending } from "./pending.js";
import { Slices } from "./slices.js";
import { type Waiting, WINDOW_TEXTS, Window } from "./window.js";

export interface StreamOptions<S> extends PromptOptions {
  /** The text of an item. Default: the item, which is a string then. */
  readonly text?: (item: S) => string;
  /** For texts of this call. */
  readonly truncate?: TruncateSide;
  /** False: vectors come as they are ready. Default true: in the order of the source. */
  readonly order?: boolean;
  readonly signal?: AbortSignal;
}

export interface StreamedVector<S> {
  readonly item: S;
  readonly vector: MatrixData;
  /** Position in the source. */
  readonly index: number;
}

export interface StreamParts {
  tokens(text: string, name: string): Tokens;
  submit(window: readonly Waiting[]): void;
}

/** Items that were taken from the source and not given on: one window that runs, and one that is filled meanwhile. */
const HELD = 2 * WINDOW_TEXTS;

export async function* streamed<S>(
  source: Iterable<S> | AsyncIterable<S>,
  options: StreamOptions<S>,
  parts: StreamParts,
): AsyncGenerator<StreamedVector<S>, void, undefined> {
  const textOf = options.text ?? ((item: S) => item as unknown as string); // checked below
  const inOrder = options.order ?? true;
  const job = new Pending(options.signal);
  const feed = new Feed(source, job);
  const turn = new Slices();
  const ready: StreamedVector<S>[] = [];
  let window = new Window();
  let taken = 0;
  let given = 0;
  const add = (item: S): void => {
    const text = textOf(item);
    checkTexts([text], taken);
    const index = taken++;
    const tokens = parts.tokens(text, `text ${index}`);
    window.add({
      tokens,
      length: tokens.ids.length,
      job,
      deliver: (vector) => {
        const answer = { item, vector: vector.slice(), index };
        if (inOrder) ready[index - given] = answer;
        else ready.push(answer);
        job.wake();
      },
    });
  };
  try {
    while (!feed.ended || given < taken) {
      job.check();
      while (taken - given < HELD && !window.full) {
        const next = await feed.next();
        if (next === undefined) break;
        add(next.item);
        if (turn.due()) await turn.next();
      }
      // A window that is not full goes too: the source has no more now.
      if (window.items.length > 0) {
        parts.submit(window.items);
        window = new Window();
      }
      while (ready[0] !== undefined) {
        const answer = ready.shift()!;
        given++;
        yield answer;
        job.check();
      }
      const isStuck = feed.ended || feed.waiting || taken - given >= HELD;
      if (isStuck && (given < taken || feed.waiting)) await job.change();
    }
  } finally {
    job.finish();
    await feed.close();
  }
}

/** A source that is asked for one item at a time, and not waited for longer than a turn of the event loop. */
class Feed<S> {
  readonly #iterator: Iterator<S> | AsyncIterator<S>;
  readonly #job: Pending;
  #came: IteratorResult<S> | undefined;
  waiting = false;
  ended = false;

  constructor(source: Iterable<S> | AsyncIterable<S>, job: Pending) {
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#job = job;
  }

  /** The next item; undefined where there is none, or none yet: the job is woken when it comes. */
  async next(): Promise<{ readonly item: S } | undefined> {
    if (this.ended) return undefined;
    if (this.#came === undefined && !this.waiting) {
      const asked = this.#iterator.next();
      if ("then" in asked) {
        this.waiting = true;
        const came = asked.then(
          (result) => {
            this.waiting = false;
            this.#came = result;
            this.#job.wake();
          },
          (error: unknown) => {
            this.waiting = false;
            this.ended = true;
            this.#job.fail(error);
          },
        );
        await Promise.race([came, new Promise((resolve) => setImmediate(resolve))]);
        this.#job.check();
      } else this.#came = asked;
    }
    const result = this.#came;
    this.#came = undefined;
    if (result === undefined) return undefined;
    if (result.done !== true) return { item: result.value };
    this.ended = true;
    return undefined;
  }

  async close(): Promise<void> {
    if (!this.ended) await this.#iterator.return?.();
  }
}
