/** Randomness without state: a hash of (seed, place, position), the same on every machine and provider. */

/** The finaliser of MurmurHash3 (Appleby, public domain): every bit of the result depends on every bit given. */
function mix(value: number): number {
  let h = value >>> 0;
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** What positions are multiplied by before the key is added, so that near keys give no shifted copies. */
export const STRIDE = 0x9e3779b1;

/** A key of 32 bits from whole numbers, such as (seed, step, node). */
export function keyOf(seed: number, ...path: readonly number[]): number {
  return path.reduce((key, each) => mix(key ^ (each >>> 0)), mix(seed));
}

/** Word `position` of the sequence of a key: 32 bits. */
function wordAt(key: number, position: number): number {
  return mix((Math.imul(position, STRIDE) + key) | 0);
}

/** Fills with values uniform in [low, high). */
export function fillUniform(into: Float32Array, key: number, low: number, high: number): void {
  const scale = (high - low) / 2 ** 32;
  for (let i = 0; i < into.length; i++) into[i] = low + wordAt(key, i) * scale;
}

/** Fills with normal values (Box and Muller, in double precision). */
export function fillNormal(into: Float32Array, key: number, mean: number, deviation: number): void {
  for (let i = 0; i < into.length; i += 2) {
    const radius = deviation * Math.sqrt(-2 * Math.log((wordAt(key, i) + 1) / 2 ** 32));
    const angle = (2 * Math.PI * wordAt(key, i + 1)) / 2 ** 32;
    into[i] = mean + radius * Math.cos(angle);
    if (i + 1 < into.length) into[i + 1] = mean + radius * Math.sin(angle);
  }
}

/** The numbers 0 … count − 1 in an order that the key decides. */
export function permutation(count: number, key: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((wordAt(key, i) / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
