/** The kernels of search where the process has no WebAssembly SIMD: the same sums in the same order. */
import type { Kernel } from "../../simd/index.js";

export function plainKernels(
  buffer: ArrayBuffer,
): Readonly<Record<"products" | "integerProducts" | "differingBits", Kernel>> {
  const floats = new Float32Array(buffer);
  const shorts = new Int16Array(buffer);
  const bytes = new Int8Array(buffer);
  const words = new Int32Array(buffer);
  const each = (
    [rows, stride, count, out]: readonly [number, number, number, number],
    value: (at: number) => number,
    to: Float32Array | Int32Array,
  ): number => {
    for (let i = 0; i < count; i++) to[out / 4 + i] = value(rows + i * stride);
    return 0;
  };
  // What a kernel is called with, each of them with five addresses and sizes.
  type Scan = [number, number, number, number, number];
  return {
    products: (...values) => {
      const [query, rows, stride, count, out] = values as unknown as Scan;
      const sums = new Float32Array(16);
      const wide = (stride & -64) / 4;
      const product = (at: number): number => {
        sums.fill(0);
        for (let j = 0; j < stride / 4; j++) {
          const into = j < wide ? j % 16 : j % 4;
          sums[into]! += Math.fround(floats[at / 4 + j]! * floats[query / 4 + j]!);
        }
        for (let i = 0; i < 4; i++)
          sums[i] = Math.fround(sums[i]! + sums[i + 4]!) + Math.fround(sums[i + 8]! + sums[i + 12]!);
        return Math.fround(sums[0]! + sums[1]!) + Math.fround(sums[2]! + sums[3]!);
      };
      return each([rows, stride, count, out], product, floats);
    },
    integerProducts: (...values) => {
      const [query, rows, stride, count, out] = values as unknown as Scan;
      const product = (at: number): number => {
        let sum = 0;
        for (let j = 0; j < stride; j++) sum += bytes[at + j]! * shorts[query / 2 + j]!;
        return sum;
      };
      return each([rows, stride, count, out], product, words);
    },
    differingBits: (...values) => {
      const [query, rows, stride, count, out] = values as unknown as Scan;
      const distance = (at: number): number => {
        let sum = 0;
        for (let j = 0; j < stride / 4; j++) sum += ones(words[at / 4 + j]! ^ words[query / 4 + j]!);
        return sum;
      };
      return each([rows, stride, count, out], distance, words);
    },
  };
}

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
