/** SearchIndex: the nearest rows of a matrix of vectors, exactly, without a database. */
import { TenonError } from "../../base/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import { Best } from "./best.js";
import { type Query, SCANNED, type SearchStorage, Segment, STORAGES } from "./segment.js";

export const SEARCH_METRICS = ["cosine", "dot"] as const;
export type SearchMetric = (typeof SEARCH_METRICS)[number];

export interface SearchIndexOptions {
  /** Default `cosine`: rows and queries are brought to length 1, and a vector of zeros scores 0. */
  readonly metric?: SearchMetric;
  /**
   * Default `float32`. `int8`: rows are held as bytes too, which finds the same rows in less time. `binary`: rows are found
   * by their signs, which is an approximation, and then scored by their numbers.
   */
  readonly storage?: SearchStorage;
  /** A name for each row. */
  readonly ids?: readonly string[];
}

/** Rows of float32: an `EmbedMatrix`, or anything of this form. */
export interface VectorRows {
  readonly data: ArrayLike<number>;
  readonly rows: number;
  readonly dims: number;
}

export interface SearchOptions {
  /** Most hits. Default 10. */
  readonly topK?: number;
  /** Of a `binary` index: how many times `topK` rows are scored by their numbers. Default 10. */
  readonly oversample?: number;
}

export interface SearchHit {
  readonly row: number;
  /** The product with the query, of vectors of length 1 where the metric is `cosine`. */
  readonly score: number;
  readonly id?: string;
}

/** Memory of a segment beyond the first; a matrix that is larger gets one of its size. */
const SEGMENT_BYTES = 64 * 2 ** 20;
const MOST_SEGMENT_BYTES = 2 ** 30;
/** Of a product of integers: 127 times the largest of the query, so many times, stays below 2^31. */
const MOST_SUM = 2 ** 31 - 1;
/** Bits that differ are counted in 16 bits. */
const MOST_DIMS = 65_535;

/**
 * An index over vectors, which are copied. Throws USAGE, DIMS_MISMATCH, INPUT_VALUE for numbers that are not finite.
 *
 * ```ts
 * const index = searchIndex(await model.passages(texts), { storage: "int8" });
 * const hits = index.search(await model.query("which panda?"), { topK: 10 }); // { row, score }, best first
 * ```
 */
export function searchIndex(vectors: VectorRows, options: SearchIndexOptions = {}): SearchIndex {
  const index = new SearchIndex(vectors.dims, options);
  index.add(vectors, options.ids);
  return index;
}

const FORMAT = "tenon-search-1";

/** An index that `save` wrote. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function loadIndex(path: string): Promise<SearchIndex> {
  const { materialize, openWeights } = await import("../../torch/index.js"); // many files, for loading and saving alone
  const { tensors, metadata } = await openWeights(path);
  const invalid = (given: string): TenonError =>
    new TenonError("FILE_INVALID", { problem: `${path} is no search index`, given, expected: FORMAT });
  if (metadata.get("format") !== FORMAT) throw invalid(`format ${metadata.get("format")?.slice(0, 40)}`);
  const metric = SEARCH_METRICS.find((known) => known === metadata.get("metric"));
  const storage = STORAGES.find((known) => known === metadata.get("storage"));
  const dims = Number(metadata.get("dims"));
  if (metric === undefined || storage === undefined) throw invalid("an unknown metric or storage");
  if (!Number.isInteger(dims) || dims < 1 || dims > MOST_DIMS) throw invalid(`dims ${dims}`);
  const named = tensors.get("ids");
  let ids: unknown;
  if (named !== undefined) {
    if (named.dtype !== "uint8") throw invalid(`ids: ${named.dtype}`);
    try {
      ids = JSON.parse(new TextDecoder().decode(materialize(named).data as unknown as Uint8Array)); // of uint8
    } catch (cause) {
      throw new TenonError("FILE_INVALID", { problem: `${path} is no search index`, given: "ids", cause });
    }
    if (!Array.isArray(ids) || !ids.every((id) => typeof id === "string")) throw invalid("ids");
  }
  const index = new SearchIndex(dims, { metric, storage });
  let at = 0;
  let part = 0;
  for (; ; part++) {
    const ref = tensors.get(`vectors.${part}`);
    if (ref === undefined) break;
    if (ref.dtype !== "float32" || ref.shape.length !== 2 || ref.shape[1]! !== dims)
      throw invalid(`vectors.${part}: ${ref.dtype} [${ref.shape.join(", ")}]`);
    const rows = ref.shape[0]!;
    const data = materialize(ref).data as unknown as Float32Array; // of float32
    const names = (ids as readonly string[] | undefined)?.slice(at, at + rows); // an array of strings
    if (names !== undefined && names.length !== rows) throw invalid("another number of ids");
    try {
      index.add({ data, rows, dims }, names, true);
    } catch (cause) {
      // Of a file, numbers that are not finite are the file's fault.
      if (cause instanceof TenonError && cause.code === "INPUT_VALUE")
        throw new TenonError("FILE_INVALID", {
          problem: `${path} is no search index`,
          given: `vectors.${part}`,
          cause,
        });
      throw cause;
    }
    at += rows;
  }
  if (part + (named === undefined ? 0 : 1) !== tensors.size) throw invalid("tensors that are not in a row");
  if (ids !== undefined && (ids as readonly string[]).length !== at) throw invalid("another number of ids");
  return index;
}

/** Made by `searchIndex` and `loadIndex`. */
export class SearchIndex {
  readonly dims: number;
  readonly metric: SearchMetric;
  readonly storage: SearchStorage;
  readonly #segments: Segment[] = [];
  #ids: string[] | undefined;
  #rows = 0;

  constructor(dims: number, { metric = "cosine", storage = "float32" }: SearchIndexOptions) {
    if (!SEARCH_METRICS.includes(metric)) throw usage("metric", metric, SEARCH_METRICS.join(", "));
    if (!STORAGES.includes(storage)) throw usage("storage", storage, STORAGES.join(", "));
    if (!Number.isInteger(dims) || dims < 1 || dims > MOST_DIMS)
      throw usage("dims", dims, `1 to ${MOST_DIMS}`);
    this.dims = dims;
    this.metric = metric;
    this.storage = storage;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes that the index holds. */
  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /**
   * Puts rows behind those that are there: all of them or, where one is refused, none. `asTheyAre`: rows have length 1
   * already.
   */
  add(vectors: VectorRows, ids?: readonly string[], asTheyAre = false): void {
    const { data, rows, dims } = vectors;
    if (dims !== this.dims) throw this.#otherDims(dims);
    checkRows(vectors);
    this.#checkIds(rows, ids);
    const lengths = lengthsOf(data, rows, dims);
    this.#reserve(rows);
    const values = new Float32Array(dims);
    let into = this.#segments.findIndex((segment) => segment.count < segment.capacity);
    for (let row = 0; row < rows; row++) {
      const full = this.#segments[into]!;
      if (full.count === full.capacity) into++;
      const segment = this.#segments[into]!;
      const length = lengths[row]!;
      const isUnit = this.metric === "dot" || asTheyAre;
      const scale = isUnit || length === 0 ? 1 : 1 / length;
      for (let j = 0; j < dims; j++) values[j] = data[row * dims + j]! * scale;
      segment.push(values, isUnit ? length : Math.min(length, 1) * (1 + 1e-6));
    }
    this.#rows += rows;
    if (ids !== undefined) for (const id of ids) (this.#ids ??= []).push(id);
  }

  /** The rows that are nearest to a vector, best first, equal scores by row. Throws DIMS_MISMATCH, INPUT_VALUE, USAGE. */
  search(query: ArrayLike<number>, options?: SearchOptions): SearchHit[];
  /** The same for each row of a matrix. */
  search(queries: VectorRows, options?: SearchOptions): SearchHit[][];
  search(given: ArrayLike<number> | VectorRows, options: SearchOptions = {}): SearchHit[] | SearchHit[][] {
    const { topK = 10, oversample = 10 } = options;
    if (!Number.isInteger(topK) || topK < 0) throw usage("topK", topK, "a whole number");
    if (!Number.isInteger(oversample) || oversample < 1) throw usage("oversample", oversample, "1 or more");
    const isOne = !("rows" in given);
    const { data, rows, dims } = isOne ? { data: given, rows: 1, dims: given.length } : given;
    if (dims !== this.dims) throw this.#otherDims(dims);
    checkRows({ data, rows, dims });
    const lengths = lengthsOf(data, rows, dims);
    const most = Math.min(topK, this.#rows);
    const all = Array.from({ length: rows }, (_, at): SearchHit[] => {
      const values = Float32Array.from({ length: dims }, (_, j) => data[at * dims + j]!);
      const hits = most === 0 ? [] : this.#nearest(this.#query(values, lengths[at]!), most, oversample);
      return hits.map((hit) => (this.#ids === undefined ? hit : { ...hit, id: this.#ids[hit.row]! }));
    });
    return isOne ? all[0]! : all;
  }

  /** A row as it is held. Throws USAGE for one that is not there. */
  row(index: number): Float32Array {
    let at = index;
    for (const segment of this.#segments) {
      if (Number.isInteger(at) && at >= 0 && at < segment.count) return segment.row(at).slice();
      at -= segment.count;
    }
    throw usage("row", index, `0 to ${this.#rows - 1}`);
  }

  /** Writes one safetensors file, which appears complete or not at all. */
  async save(path: string): Promise<void> {
    const tensors: Record<string, Tensor> = {};
    this.#segments.forEach((segment, part) => {
      const { rows, rowLength, count } = segment;
      const whole = tensorFromStorage("float32", [count, rowLength], rows);
      const cut = rowLength === this.dims ? whole : whole.slice(null, [0, this.dims]).clone();
      tensors[`vectors.${part}`] = cut as Tensor;
    });
    if (this.#ids !== undefined) {
      const bytes = new TextEncoder().encode(JSON.stringify(this.#ids));
      tensors.ids = tensorFromStorage("uint8", [bytes.length], bytes) as Tensor;
    }
    const { metric, storage, dims } = this;
    const { saveSafetensors } = await import("../../torch/index.js");
    await saveSafetensors(path, tensors, {
      metadata: { format: FORMAT, metric, storage, dims: String(dims) },
    });
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  #nearest(query: Query, most: number, oversample: number): SearchHit[] {
    if (this.storage === "binary") return this.#bySigns(query, most, most * oversample);
    const best = new Best(most);
    this.#scan(query, (segment, from, count, first) => {
      if (this.storage === "float32") {
        const scores = segment.products(from, count);
        for (let i = 0; i < count; i++) if (scores[i]! > best.least) best.offer(first + i, scores[i]!);
        return;
      }
      // Kept, because each score that is asked for takes the place of the scan's results.
      const bounds = segment.bounds(from, count, query).slice();
      for (let i = 0; i < count; i++)
        if (bounds[i]! > best.least) best.offer(first + i, segment.product(from + i));
    });
    return best.take();
  }

  /** Rows whose signs are most like the query's, scored by their numbers. */
  #bySigns(query: Query, most: number, candidates: number): SearchHit[] {
    const all = new Uint16Array(this.#rows);
    const counts = new Uint32Array(this.dims + 1);
    this.#scan(query, (segment, from, count, first) => {
      const distances = segment.distances(from, count);
      for (let i = 0; i < count; i++) {
        all[first + i] = distances[i]!;
        counts[distances[i]!]!++;
      }
    });
    let limit = 0;
    let within = 0;
    while (limit < this.dims && within + counts[limit]! < candidates) within += counts[limit++]!;
    let atLimit = candidates - within;
    const best = new Best(most);
    let first = 0;
    for (const segment of this.#segments) {
      for (let i = 0; i < segment.count; i++) {
        const distance = all[first + i]!;
        if (distance > limit || (distance === limit && atLimit-- <= 0)) continue;
        best.offer(first + i, segment.product(i));
      }
      first += segment.count;
    }
    return best.take();
  }

  #scan(query: Query, visit: (segment: Segment, from: number, count: number, first: number) => void): void {
    let first = 0;
    for (const segment of this.#segments) {
      segment.setQuery(query);
      for (let from = 0; from < segment.count; from += SCANNED)
        visit(segment, from, Math.min(SCANNED, segment.count - from), first + from);
      first += segment.count;
    }
  }

  #query(values: Float32Array, length: number): Query {
    if (this.metric === "cosine" && length > 0)
      for (let j = 0; j < values.length; j++) values[j] = values[j]! / length;
    let most = 0;
    let square = 0;
    for (const value of values) {
      most = Math.max(most, Math.abs(value));
      square += value * value;
    }
    const range = Math.min(32767, Math.floor(MOST_SUM / (127 * this.dims)));
    const step = most / range;
    const integers = Int16Array.from(values, (value) => (step === 0 ? 0 : Math.round(value / step)));
    let left = 0;
    for (let j = 0; j < values.length; j++) left += (values[j]! - integers[j]! * step) ** 2;
    return { values, integers, step, error: Math.sqrt(left), length: Math.sqrt(square) };
  }

  /** Makes room for so many rows more; all of it, or none. */
  #reserve(rows: number): void {
    const before = this.#segments.length;
    const last = this.#segments.at(-1);
    const each = this.dims * (this.storage === "int8" ? 5 : 4) + 16;
    const largest = Math.max(1, Math.floor(MOST_SEGMENT_BYTES / each));
    let left = rows - (last === undefined ? 0 : last.capacity - last.count);
    try {
      while (left > 0) {
        const usual = this.#segments.length === 0 ? left : Math.ceil(SEGMENT_BYTES / each);
        const capacity = Math.max(1, Math.min(Math.max(left, usual), largest));
        this.#segments.push(new Segment(this.dims, this.storage, capacity));
        left -= capacity;
      }
    } catch (cause) {
      this.#segments.length = before;
      throw new TenonError("USAGE", {
        problem: "the process cannot have the memory for these vectors",
        given: `${rows} rows of ${this.dims}`,
        cause,
      });
    }
  }

  #checkIds(rows: number, ids: readonly string[] | undefined): void {
    const wanted = this.#rows === 0 ? ids !== undefined : this.#ids !== undefined;
    if (rows > 0 && wanted !== (ids !== undefined))
      throw usage(
        "ids",
        wanted ? "none" : "some",
        wanted ? "an id for each row" : "none: other rows have none",
      );
    if (ids === undefined) return;
    if (ids.length !== rows) throw usage("ids", ids.length, `${rows}, one a row`);
    const wrong = ids.findIndex((id) => typeof id !== "string");
    if (wrong >= 0) throw usage(`id ${wrong}`, typeof ids[wrong], "a string");
  }

  #otherDims(dims: number): TenonError {
    return new TenonError("DIMS_MISMATCH", {
      problem: "vectors of another size than the index's",
      given: String(dims),
      expected: String(this.dims),
    });
  }
}

/** Throws USAGE for another number of values than rows have, and for vectors that are packed as smaller numbers. */
function checkRows({ data, rows, dims }: VectorRows): void {
  if (!Number.isInteger(rows) || rows < 0 || data.length !== rows * dims)
    throw usage("vectors", `${data.length} numbers`, `${rows} rows of ${dims}`);
  if (data instanceof Uint16Array || data instanceof Uint8Array || data instanceof Int8Array)
    throw usage("vectors", data.constructor.name, "vectors of float32, as embedder gives them by default");
}

/** Euclidean lengths. Throws INPUT_VALUE for rows that are not finite, or whose products would not be. */
function lengthsOf(data: ArrayLike<number>, rows: number, dims: number): Float64Array {
  const lengths = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let square = 0;
    for (let j = row * dims; j < (row + 1) * dims; j++) square += data[j]! * data[j]!;
    if (!(square < 3e38)) {
      throw new TenonError("INPUT_VALUE", {
        problem: `row ${row} has no finite length`,
        given: Number.isNaN(square) ? "NaN" : String(square),
        expected: "finite numbers, whose squares add up to less than 3e38",
        details: { row },
      });
    }
    lengths[row] = Math.sqrt(square);
  }
  return lengths;
}

function usage(problem: string, given: unknown, expected: string): TenonError {
  return new TenonError("USAGE", { problem, given: String(given), expected });
}
