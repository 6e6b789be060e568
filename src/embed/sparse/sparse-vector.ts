/** SparseVector: the numbers of a long vector that are not 0, by their places in rising order. */

export interface SparseVector {
  /** Rising. */
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

export function sparseOf(values: ReadonlyMap<number, number>): SparseVector {
  const indices = Uint32Array.from(values.keys()).sort();
  return { indices, values: Float32Array.from(indices, (index) => values.get(index)!) };
}
