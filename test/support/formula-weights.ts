/** Weights and inputs by a formula that another program fills in alike: uniform numbers from a name. */
import { crc32 } from "node:zlib";

/** `count` float32 numbers in [−1, 1). */
function unitNumbers(name: string, count: number): Float32Array {
  const seed = crc32(name);
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let h = (Math.imul(i, 0x9e3779b1) + seed) >>> 0;
    h ^= h >>> 16;
    h = Math.imul(h, 0x85ebca6b) >>> 0;
    h ^= h >>> 13;
    h = Math.imul(h, 0xc2b2ae35) >>> 0;
    h ^= h >>> 16;
    numbers[i] = ((h >>> 8) - 2 ** 23) * 2 ** -23;
  }
  return numbers;
}

/** A weight: its scale follows from the last part of its name and from its shape. Products and sums are float32. */
export function formulaWeight(name: string, shape: readonly number[]): Float32Array {
  const count = shape.reduce((product, size) => product * size, 1);
  const u = unitNumbers(name, count);
  const fan = shape.slice(1).reduce((product, size) => product * size, 1);
  let [scale, shift] = [0.05, 0];
  if (name.endsWith("running_var")) [scale, shift] = [0.25, 1];
  else if (name.endsWith("running_mean")) [scale, shift] = [0.1, 0];
  else if (shape.length >= 2) [scale, shift] = [Math.sqrt(3 / Math.max(1, fan)), 0];
  else if (name.endsWith("weight")) [scale, shift] = [0.1, 1];
  const factor = Math.fround(scale);
  return u.map((value) => Math.fround(Math.fround(value * factor) + shift));
}

/** An input of case `c`: in [0, 1). */
export function formulaInput(c: number, name: string, count: number): Float32Array {
  return unitNumbers(`in${c}/${name}`, count).map((value) => value * 0.5 + 0.5);
}
