/** Where batches of an epoch come from: arrays in memory, a dataset of `tenon/data`, or a function; each with its cursor. */
import { createHash } from "node:crypto";
import { TenonError } from "../../base/index.js";
import { Dataset, type Position } from "../../data/index.js";
import { type NumericArray, storageLengthOf, Tensor, tensor, tensorFromStorage } from "../../tensor/index.js";
import { keyOf, permutation } from "../random.js";
import type { Batch, BatchValue } from "../step/batch.js";

/** Rows by name, all with the same number of rows along their first axis. Typed arrays of labels are one row each. */
export type Arrays = Readonly<Record<string, BatchValue>>;

/** Batches of an epoch. Called again for each epoch, and on resume from its start. */
export type BatchFunction = (epoch: number) => AsyncIterable<Batch> | Iterable<Batch>;

/** Rows of tensors of a dataset, with the batch size that it says. */
export type TrainData = Dataset<Readonly<Record<string, Tensor>>> | Arrays | BatchFunction;

/** Where an epoch goes on: batches given, and a dataset's own position. */
export interface Cursor {
  readonly batches: number;
  readonly position?: Position;
}

export interface Served {
  readonly batch: Batch;
  readonly next: Cursor;
}

export interface Source {
  /** Batches of one epoch, where that is known beforehand. */
  readonly batches: number | undefined;
  /** What tells this data from other data; undefined for a function, which cannot be told apart. */
  readonly fingerprint: string | undefined;
  epoch(epoch: number, from: Cursor | undefined): AsyncGenerator<Served, void>;
}

export interface SourceOptions {
  /** Rows per batch of arrays. */
  readonly batch: number;
  readonly shuffle: boolean;
  readonly dropLast: boolean;
  readonly seed: number;
}

export function sourceOf(data: TrainData, options: SourceOptions): Source {
  if (data instanceof Dataset) return datasetSource(data);
  if (typeof data === "function") return functionSource(data);
  if (Array.isArray(data)) {
    throw new TenonError("USAGE", {
      problem: "the data is a list",
      expected: "arrays by name, a dataset, or a function of the epoch that gives batches",
      do: "for a list of batches give () => batches",
    });
  }
  return arraySource(data, options);
}

function datasetSource(data: Dataset<Readonly<Record<string, Tensor>>>): Source {
  return {
    batches: undefined,
    // A position knows its files and its plan, and is refused for others.
    fingerprint: undefined,
    async *epoch(epoch, from) {
      const position = from?.position;
      let batches = from?.batches ?? 0;
      for await (const batch of data.epoch(epoch).iterate(position === undefined ? {} : { from: position })) {
        batches++;
        yield { batch, next: { batches, position: batch.next } };
        batch.release();
      }
    },
  };
}

function functionSource(make: BatchFunction): Source {
  return {
    batches: undefined,
    fingerprint: undefined,
    async *epoch(epoch, from) {
      let batches = 0;
      for await (const batch of make(epoch)) {
        batches++;
        if (batches > (from?.batches ?? 0)) yield { batch, next: { batches } };
      }
    },
  };
}

interface Column {
  readonly name: string;
  readonly values: Tensor;
  /** Storage entries of a row. */
  readonly width: number;
}

function arraySource(arrays: Arrays, options: SourceOptions): Source {
  const columns = Object.entries(arrays).map(([name, value]): Column => {
    const values = (value instanceof Tensor ? value : tensor(value)).contiguous();
    if (values.dtype === "string" || values.rank === 0) {
      throw new TenonError("USAGE", {
        problem: `"${name}" cannot be trained on`,
        given: values.rank === 0 ? "a single value" : "strings",
        expected: "rows of numbers",
      });
    }
    const rows = values.shape[0]!;
    return { name, values, width: rows === 0 ? 0 : storageLengthOf(values.dtype, values.size) / rows };
  });
  const rows = columns[0]?.values.shape[0] ?? 0;
  const uneven = columns.find(({ values }) => values.shape[0] !== rows);
  if (rows === 0 || uneven !== undefined) {
    throw new TenonError("USAGE", {
      problem: "the arrays do not have the same rows",
      given:
        columns.map(({ name, values }) => `${name} [${values.shape.join(", ")}]`).join(", ") || "no arrays",
      expected: "tensors with one row per sample, one at least",
    });
  }
  const whole = options.dropLast ? Math.floor(rows / options.batch) : Math.ceil(rows / options.batch);
  if (whole === 0)
    throw new TenonError("USAGE", {
      problem: "there are fewer rows than one batch has",
      given: String(rows),
    });
  return {
    batches: whole,
    fingerprint: fingerprintOf(columns, options),
    async *epoch(epoch, from) {
      const order = options.shuffle ? permutation(rows, keyOf(options.seed, epoch)) : undefined;
      for (let at = from?.batches ?? 0; at < whole; at++) {
        const [start, end] = [at * options.batch, Math.min(rows, (at + 1) * options.batch)];
        const batch = Object.fromEntries(
          columns.map((column) => [column.name, rowsOf(column, start, end, order)]),
        );
        yield { batch, next: { batches: at + 1 } };
      }
    },
  };
}

function rowsOf(
  { values, width }: Column,
  start: number,
  end: number,
  order: Uint32Array | undefined,
): Tensor {
  const data = values.data as unknown as NumericArray;
  const shape = [end - start, ...values.shape.slice(1)];
  if (order === undefined)
    return tensorFromStorage(values.dtype, shape, data.subarray(start * width, end * width) as never);
  const picked = data.slice(0, (end - start) * width);
  for (let row = start; row < end; row++) {
    const from = order[row]! * width;
    picked.set(data.subarray(from, from + width) as never, (row - start) * width);
  }
  return tensorFromStorage(values.dtype, shape, picked as never);
}

function fingerprintOf(columns: readonly Column[], { batch, shuffle, dropLast }: SourceOptions): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify({ batch, shuffle, dropLast }));
  for (const { name, values } of columns) {
    hash.update(JSON.stringify([name, values.dtype, values.shape]));
    hash.update(values.bytes);
  }
  return hash.digest("hex").slice(0, 32);
}
