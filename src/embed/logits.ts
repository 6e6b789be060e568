/** Logits to scores: of labels that exclude each other, and of one alone. */

/** Shares of a whole. */
export function softmax(values: Float32Array): Float32Array {
  const most = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
