/** Newton–Schulz orthogonalisation of a matrix: as ONNX nodes, and as plain loops that those are held against. */
import type { NewtonSchulz } from "./optimizer.js";
import type { NodeWriter } from "./writer.js";

/** Adds the nodes that orthogonalise the float32 matrix `x` of the shape given; returns the result's name. */
export function newtonSchulzNodes(
  g: NodeWriter,
  x: string,
  [rows = 0, columns = 0]: readonly number[],
  { coefficients, steps, epsilon }: NewtonSchulz,
): string {
  const float = (value: number): string => g.add("Constant", [], { value_float: value });
  const [a, b, c] = coefficients.map(float) as [string, string, string];
  const flip = (name: string): string => g.add("Transpose", [name], { perm: [1, 0] });
  const wide = g.add("Cast", [x], { to: 11 });
  const norm = g.add("Cast", [g.add("Sqrt", [g.add("ReduceSumSquare", [wide], { keepdims: 0 })])], { to: 1 });
  let value = g.add("Div", [rows > columns ? flip(x) : x, g.add("Max", [norm, float(epsilon)])]);
  for (let step = 0; step < steps; step++) {
    const gram = g.add("MatMul", [value, flip(value)]);
    const square = g.add("MatMul", [gram, gram]);
    const factor = g.add("Add", [g.add("Mul", [gram, b]), g.add("Mul", [square, c])]);
    value = g.add("Add", [g.add("Mul", [value, a]), g.add("MatMul", [factor, value])]);
  }
  return rows > columns ? flip(value) : value;
}

/** Orthogonalises the matrix in place, in double precision. */
export function plainNewtonSchulz(
  x: Float32Array,
  [rows = 0, columns = 0]: readonly number[],
  { coefficients: [a, b, c], steps, epsilon }: NewtonSchulz,
): void {
  const [n, k] = [Math.min(rows, columns), Math.max(rows, columns)];
  const place = (i: number, j: number): number => (rows > columns ? j * columns + i : i * columns + j);
  let value = new Float64Array(n * k);
  let squares = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < k; j++) {
      value[i * k + j] = x[place(i, j)]!;
      squares += x[place(i, j)]! ** 2;
    }
  const norm = Math.max(Math.sqrt(squares), epsilon);
  value.forEach((each, i) => void (value[i] = each / norm));
  for (let step = 0; step < steps; step++) {
    const gram = product(value, transposed(value, n, k), n, k, n);
    const square = product(gram, gram, n, n, n);
    const factor = gram.map((each, i) => b * each + c * square[i]!);
    const moved = product(factor, value, n, n, k);
    value = value.map((each, i) => a * each + moved[i]!);
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) x[place(i, j)] = value[i * k + j]!;
}

function transposed(x: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from(x, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]!);
}

function product(
  x: Float64Array,
  y: Float64Array,
  n: number,
  inner: number,
  m: number,
): Float64Array<ArrayBuffer> {
  const result = new Float64Array(n * m);
  for (let i = 0; i < n; i++)
    for (let l = 0; l < inner; l++) {
      const factor = x[i * inner + l]!;
      for (let j = 0; j < m; j++) result[i * m + j]! += factor * y[l * m + j]!;
    }
  return result;
}
