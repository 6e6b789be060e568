/** MUVERA: one vector of fixed size for the many of a text, whose products come near to MaxSim (Dhulipala et al. 2024). */
import { TenonError } from "../../base/index.js";
import type { EmbedMatrix } from "../matrix.js";

export interface MuveraOptions {
  /** Numbers of a token's vector. */
  readonly dims: number;
  /** Planes that cut the space into `2 ^ planes` parts. Default 5. */
  readonly planes?: number;
  /** Numbers that a part's vector is projected to, at most `dims`. Default 16. */
  readonly projected?: number;
  /** How often this is done anew. Default 20. */
  readonly repetitions?: number;
  /** Of the random planes and projections. Default 42. */
  readonly seed?: number;
  /**
   * Planes and projections of another implementation, in place of the seed: `planes` [repetitions, dims, planes],
   * `projections` [repetitions, dims, projected] of 1 and -1.
   */
  readonly matrices?: { readonly planes: ArrayLike<number>; readonly projections: ArrayLike<number> };
}

type Vectors = Pick<EmbedMatrix<Float32Array>, "data" | "rows" | "dims">;

/**
 * Throws CONFIG_INVALID.
 *
 * ```ts
 * const fixed = muvera({ dims: model.dims });
 * const index = searchIndex({ data, rows, dims: fixed.size }, { metric: "dot" });
 * ```
 */
export function muvera(options: MuveraOptions): Muvera {
  return new Muvera(options);
}

/** Made by `muvera`. */
export class Muvera {
  /** Numbers of an encoding. */
  readonly size: number;
  readonly #dims: number;
  readonly #count: number;
  readonly #projected: number;
  readonly #repetitions: number;
  readonly #planes: Float64Array;
  readonly #projections: Float64Array;

  constructor(options: MuveraOptions) {
    const { dims, planes = 5, projected = 16, repetitions = 20, seed = 42, matrices } = options;
    const most = (name: string, value: number, limit: number): void => {
      if (Number.isInteger(value) && value >= 1 && value <= limit) return;
      throw new TenonError("CONFIG_INVALID", {
        problem: name,
        given: String(value),
        expected: `1 to ${limit}`,
      });
    };
    most("dims", dims, 65_536);
    most("planes", planes, 16);
    most("projected", projected, dims);
    most("repetitions", repetitions, 1000);
    this.#dims = dims;
    this.#count = planes;
    this.#projected = projected;
    this.#repetitions = repetitions;
    this.size = repetitions * 2 ** planes * projected;
    const [a, b] = [repetitions * dims * planes, repetitions * dims * projected];
    if (matrices === undefined) {
      const random = generator(seed);
      this.#planes = Float64Array.from({ length: a }, () => normal(random));
      this.#projections = Float64Array.from({ length: b }, () => (random() < 0.5 ? -1 : 1));
    } else {
      this.#planes = Float64Array.from(matrices.planes);
      this.#projections = Float64Array.from(matrices.projections);
    }
    if (this.#planes.length !== a || this.#projections.length !== b) {
      throw new TenonError("CONFIG_INVALID", {
        problem: "matrices",
        given: `${this.#planes.length} and ${this.#projections.length} numbers`,
        expected: `${a} and ${b}`,
      });
    }
  }

  /** Of a document: means of each part's vectors, and for an empty part the first vector of the part that is nearest. */
  document(vectors: Vectors): Float32Array {
    return this.#encode(vectors, true);
  }

  /** Of a query: sums of each part's vectors. */
  query(vectors: Vectors): Float32Array {
    return this.#encode(vectors, false);
  }

  #encode({ data, rows, dims }: Vectors, isDocument: boolean): Float32Array {
    if (dims !== this.#dims || rows === 0) {
      throw new TenonError("DIMS_MISMATCH", {
        problem: "these vectors cannot be encoded",
        given: `${rows} of ${dims}`,
        expected: `1 or more of ${this.#dims}`,
      });
    }
    const parts = 2 ** this.#count;
    const out = new Float32Array(this.size);
    const centres = new Float64Array(parts * dims);
    for (let turn = 0; turn < this.#repetitions; turn++) {
      const at = this.#partsOf(data, rows, turn);
      centres.fill(0);
      const counts = new Uint32Array(parts);
      const first = new Int32Array(parts).fill(-1);
      for (let row = 0; row < rows; row++) {
        const part = at[row]!;
        if (counts[part]!++ === 0) first[part] = row;
        for (let j = 0; j < dims; j++) centres[part * dims + j]! += data[row * dims + j]!;
      }
      if (isDocument) fill(centres, counts, first, data, dims);
      this.#project(centres, turn, out);
    }
    return out;
  }

  /** The part that each vector lies in: the sides of the planes as bits. */
  #partsOf(data: Float32Array, rows: number, turn: number): Uint32Array {
    const [dims, count] = [this.#dims, this.#count];
    const at = new Uint32Array(rows);
    for (let row = 0; row < rows; row++) {
      for (let plane = 0; plane < count; plane++) {
        let sum = 0;
        for (let j = 0; j < dims; j++)
          sum += data[row * dims + j]! * this.#planes[(turn * dims + j) * count + plane]!;
        if (sum > 0) at[row]! |= 1 << plane;
      }
    }
    return at;
  }

  #project(centres: Float64Array, turn: number, out: Float32Array): void {
    const [dims, projected] = [this.#dims, this.#projected];
    const parts = 2 ** this.#count;
    const scale = 1 / Math.sqrt(projected);
    for (let part = 0; part < parts; part++) {
      for (let k = 0; k < projected; k++) {
        let sum = 0;
        if (projected === dims) sum = centres[part * dims + k]!;
        else {
          for (let j = 0; j < dims; j++)
            sum += centres[part * dims + j]! * this.#projections[(turn * dims + j) * projected + k]!;
          sum *= scale;
        }
        out[(turn * parts + part) * projected + k] = sum;
      }
    }
  }
}

function fill(
  centres: Float64Array,
  counts: Uint32Array,
  first: Int32Array,
  data: Float32Array,
  dims: number,
): void {
  for (let part = 0; part < counts.length; part++) {
    if (counts[part]! > 0) {
      for (let j = 0; j < dims; j++) centres[part * dims + j]! /= counts[part]!;
      continue;
    }
    let nearest = -1;
    for (let other = 0; other < counts.length; other++)
      if (counts[other]! > 0 && (nearest < 0 || ones(other ^ part) < ones(nearest ^ part))) nearest = other;
    const row = first[nearest]!;
    for (let j = 0; j < dims; j++) centres[part * dims + j] = data[row * dims + j]!;
  }
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest > 0; rest &= rest - 1) count++;
  return count;
}

/** Numbers from 0 to 1 of a seed (Mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
