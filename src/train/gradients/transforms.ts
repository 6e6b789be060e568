/** Gradients of Fourier transforms. */
import { Refusal, type Rule } from "./site.js";

/** Linear, and its own transpose but for the sign of the angle: the other transform of the gradient gives it back. */
const fourier: Rule = (s) => {
  const x = s.x(0);
  const rank = s.rank(x);
  const given = s.has(2) ? s.numbers(2) : [-2];
  if (given === undefined) throw new Refusal("its axis is not known");
  const axis = s.axisOf(given[0]!, x);
  const size = s.dim(x, axis);
  if (s.has(1) && s.numbers(1)?.[0] !== size) throw new Refusal("another length than the axis has no rule");
  const inverse = s.int("inverse", 0);
  let g = s.g;
  if (s.int("onesided", 0) === 1) {
    if (inverse === 1) throw new Refusal("an inverse of one side has no rule");
    const pads = new Array<number>(2 * rank).fill(0);
    pads[rank + axis] = size - s.dim(s.y, axis);
    g = s.op("Pad", [g, s.vector(pads), s.k(0)]);
  }
  const back = s.op("DFT", [g, "", s.k(axis, "int64")], { inverse: 1 - inverse });
  // The inverse divides by the length; its transpose is meant here.
  const scaled = s.scale(back, inverse === 1 ? 1 / size : size);
  const isReal = s.dim(x, rank - 1) === 1;
  return [isReal ? s.slice(scaled, [0], [1], [rank - 1]) : scaled, undefined, undefined];
};

export const TRANSFORMS = { DFT: fourier } satisfies Record<string, Rule>;
