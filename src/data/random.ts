/** Randomness without state: numbers from a key and a counter, so that any place of a shuffle is found at once. */

/** Two 32-bit words that every draw depends on. */
export type Key = readonly [number, number];

/** Rounds of a multiply-xorshift hash with full avalanche (bias below 0.2 %: "lowbias32" of the hash prospector). */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}

/** A key from whole numbers of any size, such as seed, epoch and window. */
export function keyOf(...parts: readonly number[]): Key {
  let a = 0x9e3779b9;
  let b = 0x85ebca6b;
  for (const part of parts) {
    for (const word of [part >>> 0, Math.floor(part / 2 ** 32) >>> 0]) {
      a = mix(a ^ word);
      b = mix((b + a + Math.imul(word, 0xc2b2ae35)) | 0);
    }
  }
  return [a >>> 0, b >>> 0];
}

/** 32 random bits for a counter. */
export function drawOf([a, b]: Key, counter: number): number {
  return mix(mix((counter + a) | 0) ^ b) >>> 0;
}

/** A permutation of 0 … n-1 (Fisher-Yates, a draw of 32 random bits for each step); n below 2^31. */
export function permutation(n: number, key: Key): Uint32Array {
  const a = key[0];
  const b = key[1];
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = n - 1; i > 0; i--) {
    const draw = mix(mix((i + a) | 0) ^ b) >>> 0;
    const j = (draw * 2 ** -32 * (i + 1)) >>> 0;
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}
