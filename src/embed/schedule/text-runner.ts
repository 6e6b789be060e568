/** TextRunner: texts of many calls through one graph; each call gets one row a text, in its order. */
import { parseBytes, type TenonError } from "../../base/index.js";
import type { Model } from "../../runtime/index.js";
import type { TokenInput } from "../graph/names.js";
import type { MatrixData } from "../matrix.js";
import type { OpenedModel } from "../opened.js";
import type { TextEncoder, Tokens } from "../text.js";
import { TokenBudget } from "./budget.js";
import {
  assertFits,
  assertRows,
  EncoderRun,
  type EncoderRunOptions,
  paddingId,
  type TokenRows,
} from "./encoder-run.js";
import { Pending } from "./pending.js";
import { EmbedQueue } from "./queue.js";
import { Slices } from "./slices.js";
import { spend, type TextTimes, type Timed } from "./text-times.js";
import { type Waiting, WINDOW_TEXTS, Window } from "./window.js";

/** What callers bound a runner by. */
export interface RunnerLimits {
  /** What one batch may take beside the weights, `"1GiB"` or bytes. Default 1 GiB. */
  readonly memory?: string | number;
  /** Most tokens of a batch. Default: found out while texts run, from 128 to 512. */
  readonly budget?: number;
}

/** What a graph and its folder say of how texts are run. */
export interface RunnerParts {
  readonly config: Readonly<Record<string, unknown>>;
  readonly text: TextEncoder;
  readonly inputs: readonly TokenInput[];
  readonly poolingMask: boolean;
  /** Token ids that the graph has a row for; undefined where it does not tell. */
  readonly rows?: number | undefined;
  /** The output with a row a text. */
  readonly output: string;
  readonly limits: RunnerLimits;
}

/** A runner for the graph of a folder. Throws CONFIG_INVALID for limits that are none. */
export function textRunner({ engine, model }: OpenedModel, parts: RunnerParts): TextRunner {
  const { config, text, inputs, poolingMask, output } = parts;
  const { memory = "1GiB", budget } = parts.limits;
  const { tokenizer } = text;
  const rows = parts.rows ?? Number.POSITIVE_INFINITY;
  const padId = paddingId(config, (token) => tokenizer.idOf(token));
  return new TextRunner({
    model,
    output,
    inputs,
    poolingMask,
    // Padding is not seen: any id does that the model has.
    padId: padId < rows ? padId : 0,
    rows:
      tokenizer.vocabularySize > rows ? { count: rows, tokenOf: (id) => tokenizer.tokenOf(id) } : undefined,
    lanes: engine.capacity.lanes,
    heads: headsOf(config),
    memory: typeof memory === "number" ? memory : parseBytes(memory),
    budget: new TokenBudget(budget),
  });
}

interface TextRunnerOptions extends EncoderRunOptions {
  /** The model as it is loaded now. */
  readonly model: () => Model;
  /** The output with a row a text. */
  readonly output: string;
  readonly lanes: number;
  readonly budget: TokenBudget;
  /** Most bytes of a text's attention. */
  readonly memory: number;
  /** Attention heads. */
  readonly heads: number;
  /** Of a model with fewer rows than its tokenizer has ids. */
  readonly rows: TokenRows | undefined;
}

export interface CollectOptions extends Timed {
  readonly signal?: AbortSignal;
  /** Called as rows are ready. */
  readonly onProgress?: (done: number) => void;
}

export interface Rows {
  /** `data` gets row i at `i * width`, of a longer one its beginning. */
  readonly data: MatrixData;
  readonly width: number;
  readonly count: number;
  /** Called once for each row, in order, unless `keyOf` gives the key of an earlier one. */
  tokensOf(row: number): Tokens;
  /** Rows of equal keys are computed once in a window. */
  keyOf?(row: number): string;
}

/** Calls of at most so many texts go ahead of longer ones. */
const SHORT_CALL = 16;

export class TextRunner {
  readonly #options: TextRunnerOptions;
  readonly #run: EncoderRun;
  readonly #queue: EmbedQueue<Waiting>;
  #closed: TenonError | undefined;

  constructor(options: TextRunnerOptions) {
    this.#options = options;
    this.#run = new EncoderRun(options.model, options);
    const { budget, lanes } = options;
    this.#queue = new EmbedQueue<Waiting>({ budget: () => budget.tokens, lanes }, (items, bulk) =>
      this.#batch(items, bulk, budget.tokens),
    );
  }

  get counts(): EncoderRun["counts"] {
    return this.#run.counts;
  }

  get lanes(): number {
    return this.#options.lanes;
  }

  get budget(): number {
    return this.#options.budget.tokens;
  }

  /** Throws TEXT_TOO_LONG for a text that takes more memory than is allowed, INPUT_VALUE for a token without a row. */
  checked(tokens: Tokens, name: string): Tokens {
    const { heads, memory, rows } = this.#options;
    assertFits(tokens.ids.length, heads, memory, name);
    if (rows !== undefined) assertRows(tokens.ids, rows, name);
    return tokens;
  }

  /** A window of a long call. */
  submit(window: readonly Waiting[]): void {
    this.#assertOpen();
    this.#queue.bulk(window);
  }

  /** One run of one text, all of an output. */
  async single(tokens: Tokens, output: string, times?: TextTimes): Promise<Float32Array> {
    this.#assertOpen();
    const { outputs: made, ms } = await this.#run.run([tokens], false, output);
    using outputs = made;
    if (times !== undefined) times.texts++;
    spend(times, "runMs", ms);
    return (outputs[output]!.data as unknown as Float32Array).slice();
  }

  /** Fills the rows. Rejects with what `tokensOf` throws, CANCELLED, ENGINE_CLOSED or what the run fails with. */
  async collect(
    rows: Rows,
    options: CollectOptions = {},
  ): Promise<{ readonly tokens: Uint32Array; readonly truncated: readonly number[] }> {
    this.#assertOpen();
    const { data, width, count } = rows;
    const { times } = options;
    const job = new Pending(options.signal);
    const turn = new Slices();
    const lengths = new Uint32Array(count);
    const truncated: number[] = [];
    let outstanding = 0;
    let done = 0;
    let window = new Window();
    let targets = new Map<string, { readonly rows: number[]; readonly tokens: Tokens }>();
    const flush = (): void => {
      outstanding += window.items.length;
      if (count <= SHORT_CALL) this.#queue.soon(window.items);
      else this.#queue.bulk(window.items);
      window = new Window();
      targets = new Map();
    };
    const add = (row: number): void => {
      const key = rows.keyOf?.(row);
      const same = key === undefined ? undefined : targets.get(key);
      const start = performance.now();
      const tokens = same?.tokens ?? rows.tokensOf(row);
      const ready = performance.now();
      spend(times, "tokenizeMs", ready - start);
      lengths[row] = tokens.ids.length;
      if (tokens.truncated) truncated.push(row);
      if (same !== undefined) {
        same.rows.push(row);
        return;
      }
      const into = [row];
      if (key !== undefined) targets.set(key, { rows: into, tokens });
      window.add({
        tokens,
        length: tokens.ids.length,
        job,
        deliver: (vector, ran) => {
          const own = (vector as Float32Array).subarray(0, width); // of one kind
          for (const at of into) (data as Float32Array).set(own, at * width);
          outstanding--;
          done += into.length;
          if (times !== undefined) times.texts += into.length;
          spend(times, "queueMs", into.length * (ran.start - ready));
          spend(times, "runMs", into.length * ran.ms);
          options.onProgress?.(done);
          job.wake();
        },
      });
    };
    try {
      for (let row = 0; row < count; row++) {
        add(row);
        if (window.full) {
          flush();
          while (outstanding > WINDOW_TEXTS) await job.change();
        }
        if (turn.due()) {
          await turn.next();
          job.check();
        }
      }
      flush();
      while (outstanding > 0) await job.change();
      job.check();
    } finally {
      job.finish();
    }
    return { tokens: lengths, truncated };
  }

  /** Rejects what waits; resolves when what runs has ended. */
  async close(reason: TenonError): Promise<void> {
    this.#closed ??= reason;
    for (const { job } of this.#queue.drain()) if (!job.over) job.fail(reason);
    await this.#queue.idle();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw this.#closed;
  }

  async #batch(items: readonly Waiting[], bulk: boolean, budget: number): Promise<void> {
    const { output } = this.#options;
    const made = await this.#run.run(
      items.map(({ tokens }) => tokens),
      bulk,
      output,
    );
    using outputs = made.outputs;
    if (bulk) this.#options.budget.learn(budget, made.padded, made.ms);
    const values = outputs[output]!.data as unknown as MatrixData; // a numeric output
    const width = values.length / items.length;
    items.forEach(({ job, deliver }, row) => {
      if (!job.over) deliver(values.subarray(row * width, (row + 1) * width), made);
    });
  }
}

/** Attention heads as configs tell them. */
function headsOf(config: Readonly<Record<string, unknown>>): number {
  const heads = config.num_attention_heads ?? config.n_heads ?? config.n_head;
  return typeof heads === "number" ? heads : 16;
}
