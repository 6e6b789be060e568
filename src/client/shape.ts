/** The shape of an input from the number of its elements and the dims that its model declares. */

/**
 * The declared dims with the one open dim (−1) solved; a model without open dims has one shape only. Throws TypeError
 * when several dims are open or the number of elements does not divide.
 */
export function solveShape(name: string, declared: readonly number[], elements: number): readonly number[] {
  const text = `[${declared.join(", ")}]`;
  const open = declared.filter((dim) => dim < 0).length;
  if (open > 1) {
    throw new TypeError(
      `input "${name}" is declared ${text}: with several open dims the shape must be given, as { data, shape }`,
    );
  }
  const known = declared.reduce((product, dim) => (dim < 0 ? product : product * dim), 1);
  if (open === 0) return declared;
  if (known === 0 || elements % known !== 0) {
    throw new TypeError(
      `input "${name}" is declared ${text}: ${elements} elements are no multiple of ${known}; give { data, shape }`,
    );
  }
  return declared.map((dim) => (dim < 0 ? elements / known : dim));
}
