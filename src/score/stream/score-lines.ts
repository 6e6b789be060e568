/** A stream of JSON lines scored: each line comes back with the model's outputs, in order. */
import { isTenonError, TenonError, toTenonError } from "../../base/index.js";
import { expandColumns, type Mapping, specsFor } from "../mapping.js";
import type { OnError } from "../plan.js";
import { type RowRun, scoreBatch } from "../rows.js";
import { fixedRows, type OutputColumn, outputColumns, type Scorer } from "../scorer.js";
import { type JsonLine, readLine } from "./json-line.js";
import { rowTexts } from "./json-text.js";
import { checkLine, lineColumns, schemaOf } from "./line-columns.js";
import { LineSplitter } from "./split-lines.js";

export interface LinesOptions {
  readonly scorer: Scorer;
  readonly map: Mapping;
  /** Fields in front of the outputs, as they were written; `all`: those that no input uses. */
  readonly keep: "all" | "none" | readonly string[];
  /** Most lines of a run; fewer where no more have come yet. */
  readonly batch: number;
  readonly onError: OnError;
  /** Only so many lines; default: all. */
  readonly limit?: number | undefined;
  /** Runs under way at once; default 2. */
  readonly inFlight?: number;
  readonly write: (text: string) => Promise<void>;
  /** A line that was set aside; lines count from 0, empty ones too. */
  readonly onBad: (bad: BadLine) => void;
}

export interface BadLine {
  readonly row: number;
  readonly code: string;
  readonly message: string;
}

export interface LinesSummary {
  readonly rows: number;
  readonly quarantined: number;
}

/**
 * Reads lines until their end. What has come is run as soon as nothing else runs, so that a caller who waits for an answer
 * before the next line gets one. Throws USAGE and INPUT_UNKNOWN where the first lines do not fit the model,
 * ROWS_REFUSED under `onError: "fail"`.
 */
export async function scoreLines(
  input: AsyncIterable<Uint8Array>,
  options: LinesOptions,
): Promise<LinesSummary> {
  const stream = new LineStream(options);
  const splitter = new LineSplitter();
  for await (const chunk of input) {
    for (const line of splitter.push(chunk)) stream.push(line);
    await stream.room();
    if (stream.full) break;
  }
  const rest = splitter.end();
  if (rest !== undefined) stream.push(rest);
  return stream.end();
}

interface Line {
  readonly row: number;
  readonly bytes: Uint8Array;
}

/** How lines become runs, known once the first of them are there. */
interface Layout extends RowRun {
  readonly output: { readonly columns: readonly OutputColumn[] };
  readonly used: ReadonlySet<string>;
  readonly kept: readonly string[] | undefined;
}

class LineStream {
  readonly #options: LinesOptions;
  readonly #batch: number;
  readonly #most: number;
  #layout: Layout | undefined;
  #waiting: Line[] = [];
  #seen = 0;
  #taken = 0;
  #running = 0;
  #ended = false;
  #failure: unknown;
  #rows = 0;
  #quarantined = 0;
  /** Answers are written in the order of their lines. */
  #written: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  constructor(options: LinesOptions) {
    this.#options = options;
    this.#batch = fixedRows(options.scorer.signature) ?? options.batch;
    this.#most = options.inFlight ?? 2;
  }

  /** True when as many lines were taken as are wanted. */
  get full(): boolean {
    return this.#taken >= (this.#options.limit ?? Number.POSITIVE_INFINITY);
  }

  push(bytes: Uint8Array): void {
    const row = this.#seen++;
    if (this.full || bytes.every((byte) => byte === 32 || byte === 9)) return;
    this.#taken++;
    this.#waiting.push({ row, bytes });
    if (this.#waiting.length >= this.#batch) this.#pump();
  }

  /** Waits while more lines wait than are good for the memory. */
  async room(): Promise<void> {
    this.#pump();
    while (this.#failure === undefined && this.#waiting.length >= 4 * this.#batch) await this.#change();
    if (this.#failure !== undefined) await this.end();
  }

  async end(): Promise<LinesSummary> {
    this.#ended = true;
    this.#pump();
    while (this.#running > 0 || (this.#waiting.length > 0 && this.#failure === undefined))
      await this.#change();
    if (this.#failure !== undefined) throw this.#failure;
    return { rows: this.#rows, quarantined: this.#quarantined };
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #pump(): void {
    while (
      this.#failure === undefined &&
      this.#running < this.#most &&
      this.#waiting.length > 0 &&
      (this.#waiting.length >= this.#batch || this.#running === 0 || this.#ended)
    ) {
      const lines = this.#waiting.splice(0, this.#batch);
      this.#running++;
      const before = this.#written;
      const answer = this.#answer(lines);
      this.#written = answer.then(async ({ text, bad }) => {
        await before;
        if (this.#failure !== undefined) return;
        for (const line of bad) this.#options.onBad(line);
        if (text !== "") await this.#options.write(text);
      });
      this.#written
        .catch((error: unknown) => {
          this.#failure ??= error;
        })
        .finally(() => {
          this.#running--;
          this.#pump();
          this.#wake();
        });
    }
  }

  /** The lines that answer these, and those of them that are bad. */
  async #answer(
    lines: readonly Line[],
  ): Promise<{ readonly text: string; readonly bad: readonly BadLine[] }> {
    const { scorer, onError } = this.#options;
    const bad = new Map<number, Omit<BadLine, "row">>();
    const read: { readonly at: number; readonly line: JsonLine }[] = [];
    for (const [at, { bytes }] of lines.entries())
      this.#guarded(bad, at, () => void read.push({ at, line: readLine(bytes) }));
    if (read.length > 0) this.#layout ??= this.#plan(read.map(({ line }) => line));
    const layout = this.#layout;
    const good: typeof read = [];
    if (layout !== undefined)
      for (const each of read)
        this.#guarded(bad, each.at, () => {
          checkLine(each.line, layout.tensors);
          checkNames(layout, each.line);
          good.push(each);
        });
    const texts = new Array<string>(lines.length).fill("");
    if (layout !== undefined && good.length > 0) {
      const columns = lineColumns(
        good.map(({ line }) => line),
        layout.tensors,
      );
      const scored = await scoreBatch(scorer, layout, columns, good.length);
      for (const { row, code, message } of scored.bad) bad.set(good[row]!.at, { code, message });
      const outputs = layout.output.columns.map((column) => {
        const tensor = scored.outputs?.[column.name];
        return tensor === undefined ? [] : rowTexts(tensor, column);
      });
      (scored.good ?? good.map((_, i) => i)).forEach((row, i) => {
        const { at, line } = good[row]!;
        texts[at] = lineText(
          layout,
          line,
          outputs.map((column) => column[i]!),
        );
      });
    }
    const listed = [...bad].sort(([a], [b]) => a - b);
    for (const [at] of listed) {
      if (onError === "null" && layout !== undefined)
        texts[at] = lineText(
          layout,
          read.find((each) => each.at === at)?.line,
          layout.output.columns.map(() => "null"),
        );
    }
    this.#rows += lines.length;
    this.#quarantined += bad.size;
    return {
      text: texts.join(""),
      bad: listed.map(([at, problem]) => ({ row: lines[at]!.row, ...problem })),
    };
  }

  /** Notes an error of the line; throws where the stream is to fail then. */
  #guarded(bad: Map<number, Omit<BadLine, "row">>, at: number, read: () => void): void {
    try {
      read();
    } catch (error) {
      if (!isTenonError(error)) throw error;
      if (this.#options.onError === "fail")
        throw new TenonError("ROWS_REFUSED", {
          problem: `a line cannot be scored: ${error.problem}`,
          ...(error.given === undefined ? {} : { given: error.given }),
          do: "set such lines aside with --on-error quarantine",
          cause: error,
        });
      const { code, problem, given } = toTenonError(error);
      bad.set(at, { code, message: given === undefined ? problem : `${problem}; given: ${given}` });
    }
  }

  #plan(lines: readonly JsonLine[]): Layout {
    const { scorer, map, keep, onError } = this.#options;
    const { signature } = scorer;
    const schema = schemaOf(lines);
    const tensors = specsFor(signature, schema, map);
    const columns = outputColumns(signature);
    const used = new Set(Object.values(tensors).flatMap((spec) => spec.columns));
    const kept =
      keep === "all" ? undefined : keep === "none" ? [] : keep.flatMap((text) => expandColumns(text, schema));
    const names = kept ?? [...schema.keys()].filter((name) => !used.has(name));
    const twice = names.find((name) => columns.some((column) => column.name === name));
    if (twice !== undefined)
      throw new TenonError("USAGE", {
        problem: `field "${twice}" has the name of an output`,
        do: "name the fields to keep: --keep a,b,…",
      });
    const fixed = fixedRows(signature) !== undefined;
    return { tensors, run: { batch: this.#batch, fixed, onError }, output: { columns }, used, kept };
  }
}

/** Throws INPUT_DUPLICATE for a field that would have to stand beside an output of its name. */
function checkNames({ kept, used, output }: Layout, { texts }: JsonLine): void {
  if (kept !== undefined) return;
  const twice = output.columns.find(({ name }) => texts.has(name) && !used.has(name));
  if (twice !== undefined)
    throw new TenonError("INPUT_DUPLICATE", { problem: `field "${twice.name}" has the name of an output` });
}

/** The kept fields of a line, then the outputs. */
function lineText(
  { kept, used, output }: Layout,
  line: JsonLine | undefined,
  values: readonly string[],
): string {
  const fields: string[] = [];
  const taken = new Set(output.columns.map(({ name }) => name));
  if (line !== undefined)
    for (const name of kept ?? line.texts.keys())
      if (!taken.has(name) && (kept !== undefined || !used.has(name)))
        fields.push(`${JSON.stringify(name)}:${line.texts.get(name) ?? "null"}`);
  output.columns.forEach(({ name }, i) => void fields.push(`${JSON.stringify(name)}:${values[i]!}`));
  return `{${fields.join(",")}}\n`;
}
