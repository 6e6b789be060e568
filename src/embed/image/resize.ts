/** Images of bytes in another size, with the filters and the rounding of Pillow: two passes, each to whole bytes. */

/** Rows of pixels, three bytes each: red, green, blue. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

interface Filter {
  readonly support: number;
  weight(x: number): number;
}

/** By the numbers that `resample` has in Pillow. */
export const FILTERS: Readonly<Record<number, Filter>> = {
  2: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: {
    support: 2,
    weight: (given) => {
      const x = Math.abs(given);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
    },
  },
};

/** Bits behind the point of a weight. */
const BITS = 22;

/** Where each pixel's weights begin, and the weights. */
interface Weights {
  readonly from: Int32Array;
  readonly values: readonly Int32Array[];
}

function weightsOf(filter: Filter, before: number, after: number): Weights {
  const scale = before / after;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  const from = new Int32Array(after);
  const values = Array.from({ length: after }, (_, at) => {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const behind = Math.min(before, Math.trunc(centre + support + 0.5));
    const exact = Float64Array.from({ length: behind - first }, (_, i) =>
      filter.weight((i + first - centre + 0.5) * (1 / wide)),
    );
    const sum = exact.reduce((total, value) => total + value, 0);
    from[at] = first;
    return Int32Array.from(exact, (value) => {
      const whole = (sum === 0 ? value : value * (1 / sum)) * 2 ** BITS;
      return Math.trunc(whole < 0 ? whole - 0.5 : whole + 0.5);
    });
  });
  return { from, values };
}

function byte(sum: number): number {
  return Math.max(0, Math.min(255, sum >> BITS));
}

export function resize(pixels: Pixels, width: number, height: number, resample: number): Pixels {
  const filter = FILTERS[resample]!;
  const wide =
    pixels.width === width ? pixels : across(pixels, width, weightsOf(filter, pixels.width, width));
  return wide.height === height ? wide : down(wide, height, weightsOf(filter, wide.height, height));
}

function across({ data, width, height }: Pixels, to: number, { from, values }: Weights): Pixels {
  const out = new Uint8Array(to * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < to; x++) {
      const weights = values[x]!;
      let at = (y * width + from[x]!) * 3;
      let [r, g, b] = [1 << (BITS - 1), 1 << (BITS - 1), 1 << (BITS - 1)];
      for (let i = 0; i < weights.length; i++, at += 3) {
        const weight = weights[i]!;
        r += data[at]! * weight;
        g += data[at + 1]! * weight;
        b += data[at + 2]! * weight;
      }
      const to3 = (y * to + x) * 3;
      out[to3] = byte(r);
      out[to3 + 1] = byte(g);
      out[to3 + 2] = byte(b);
    }
  }
  return { data: out, width: to, height };
}

function down({ data, width }: Pixels, to: number, { from, values }: Weights): Pixels {
  const row = width * 3;
  const out = new Uint8Array(to * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < to; y++) {
    const weights = values[y]!;
    sums.fill(1 << (BITS - 1));
    for (let i = 0; i < weights.length; i++) {
      const at = (from[y]! + i) * row;
      const weight = weights[i]!;
      for (let x = 0; x < row; x++) sums[x]! += data[at + x]! * weight;
    }
    for (let x = 0; x < row; x++) out[y * row + x] = byte(sums[x]!);
  }
  return { data: out, width, height: to };
}
