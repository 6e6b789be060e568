/**
 * Random graphs of a few ops whose gradients are held against differences: what single ops do not show, such as values that
 * are used twice. TENON_FUZZ_GRAPHS sets how many (default 60), TENON_FUZZ_SEED the first.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type GraphBuilder, graph, type OnnxModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { sizeOf, tensor } from "tenon/tensor";
import { seededRandom } from "../support/random.js";
import { differences, type Values } from "./gradcheck.js";

interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

const SMOOTH = ["Tanh", "Sigmoid", "Sin", "Cos", "Exp", "Neg", "Reciprocal", "Sqrt", "Log"];
/** Ops whose inputs must be above 0; they are given exp of a bounded value. */
const POSITIVE = new Set(["Reciprocal", "Sqrt", "Log"]);

/** Draws a graph whose values are all in float64, smooth, and of sizes that stay small. */
class Drawing {
  readonly g: GraphBuilder = graph({ opset: 20 });
  readonly inputs: Values = {};
  readonly #values: Value[] = [];
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const shapes = [[2, 3], [3], [2, 1], [2, 3, 4], [4, 3], [1, 3, 1]];
    for (let i = 0; i < 3; i++) this.#input(shapes[this.#below(shapes.length)]!);
    const moves = [
      this.#unary,
      this.#binary,
      this.#reduce,
      this.#move,
      this.#product,
      this.#choose,
      this.#norm,
    ];
    for (let i = 0; i < 8; i++) moves[this.#below(moves.length)]!.call(this);
    // The last ones are used, and others as they come to be.
    const ends = this.#values
      .slice(-4)
      .map(({ name }) => this.#op("ReduceSum", [this.#op("Tanh", [name])], { keepdims: 0 }));
    this.g.output(
      ends.reduce((a, b) => this.#op("Add", [a, b])),
      "loss",
    );
  }

  model(): OnnxModel {
    return this.g.model();
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #pick(): Value {
    return this.#values[this.#below(this.#values.length)]!;
  }

  #op(op: string, inputs: readonly string[], attrs: Record<string, number | number[]> = {}): string {
    return this.g.add(op, inputs, attrs) as string;
  }

  #input(shape: readonly number[]): void {
    const name = `x${this.#values.length}`;
    const values = Array.from({ length: sizeOf(shape) }, () => 2 * this.#random() - 1);
    this.inputs[name] = tensor(values, { dtype: "float64" }).reshape([...shape]);
    this.#values.push({ name: this.g.input(name, "float64", shape), shape });
  }

  #ints(values: readonly number[]): string {
    return this.g.initializer(
      `ints${this.g.graph().initializers.size}`,
      tensor(values.map(BigInt), { dtype: "int64" }).reshape([values.length]),
    );
  }

  #push(name: string, shape: readonly number[]): void {
    if (sizeOf(shape) <= 400) this.#values.push({ name, shape });
  }

  readonly #unary = (): void => {
    const { name, shape } = this.#pick();
    const op = SMOOTH[this.#below(SMOOTH.length)]!;
    const bounded = this.#op("Tanh", [name]);
    const input = POSITIVE.has(op) ? this.#op("Exp", [bounded]) : op === "Exp" ? bounded : name;
    this.#push(this.#op(op, [input]), shape);
  };

  readonly #binary = (): void => {
    const a = this.#pick();
    const fits = this.#values.filter(({ shape }) => broadcast(a.shape, shape) !== undefined);
    const b = fits[this.#below(fits.length)]!;
    const op = ["Add", "Sub", "Mul", "Div"][this.#below(4)]!;
    const right = op === "Div" ? this.#op("Exp", [this.#op("Tanh", [b.name])]) : b.name;
    this.#push(this.#op(op, [a.name, right]), broadcast(a.shape, b.shape)!);
  };

  readonly #reduce = (): void => {
    const { name, shape } = this.#pick();
    if (shape.length === 0) return;
    const axis = this.#below(shape.length);
    const keepdims = this.#below(2);
    const op = ["ReduceSum", "ReduceMean", "ReduceLogSumExp", "ReduceSumSquare"][this.#below(4)]!;
    const given = this.#random() < 0.5 ? axis : axis - shape.length;
    const left = shape.flatMap((size, i) => (i !== axis ? [size] : keepdims === 1 ? [1] : []));
    this.#push(this.#op(op, [name, this.#ints([given])], { keepdims }), left);
  };

  readonly #move = (): void => {
    const { name, shape } = this.#pick();
    if (shape.length === 0) return;
    const axis = this.#below(shape.length);
    const size = shape[axis]!;
    const along = (wanted: number): number[] => shape.map((each, i) => (i === axis ? wanted : each));
    const kind = this.#below(6);
    if (kind === 0) {
      const perm = shape.map((_, i) => (i + 1) % shape.length);
      this.#push(
        this.#op("Transpose", [name], { perm }),
        perm.map((i) => shape[i]!),
      );
    } else if (kind === 1)
      this.#push(this.#op("Concat", [name, name], { axis: axis - shape.length }), along(2 * size));
    else if (kind === 2) {
      // The same element more than once.
      const indices = [0, size - 1, 0];
      this.#push(this.#op("Gather", [name, this.#ints(indices)], { axis }), along(3));
    } else if (kind === 3) {
      const inputs = [[size - 1], [-size - 1], [axis], [-1]].map((values) => this.#ints(values));
      this.#push(this.#op("Slice", [name, ...inputs]), shape);
    } else if (kind === 4) {
      const pads = [...shape.map((_, i) => Number(i === axis)), ...shape.map(() => 0)];
      this.#push(this.#op("Pad", [name, this.#ints(pads)]), along(size + 1));
    } else this.#push(this.#op("Reshape", [name, this.#ints([-1, size])]), [sizeOf(shape) / size, size]);
  };

  readonly #product = (): void => {
    const a = this.#pick();
    const fits = this.#values.filter(
      ({ shape }) => shape.length === 2 && a.shape.length >= 2 && a.shape.at(-1) === shape[0],
    );
    if (fits.length === 0) return;
    const b = fits[this.#below(fits.length)]!;
    this.#push(this.#op("MatMul", [a.name, b.name]), [...a.shape.slice(0, -1), b.shape[1]!]);
  };

  readonly #choose = (): void => {
    const a = this.#pick();
    const fits = this.#values.filter(({ shape }) => broadcast(a.shape, shape) !== undefined);
    const b = fits[this.#below(fits.length)]!;
    const condition = this.g.initializer(
      `condition${this.g.graph().initializers.size}`,
      tensor(Array.from({ length: a.shape.at(-1) ?? 1 }, () => this.#random() < 0.5)).reshape(
        a.shape.length === 0 ? [] : [a.shape.at(-1)!],
      ),
    );
    this.#push(this.#op("Where", [condition, a.name, b.name]), broadcast(a.shape, b.shape)!);
  };

  readonly #norm = (): void => {
    const { name, shape } = this.#pick();
    if (shape.length === 0) return;
    const axis = this.#below(shape.length);
    this.#push(this.#op(this.#below(2) === 0 ? "Softmax" : "LogSoftmax", [name], { axis }), shape);
  };
}

function broadcast(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], i: number): number => shape[shape.length - rank + i] ?? 1;
  const sizes = Array.from({ length: rank }, (_, i) => [at(a, i), at(b, i)] as const);
  if (sizes.some(([x, y]) => x !== y && x !== 1 && y !== 1)) return undefined;
  return sizes.map(([x, y]) => Math.max(x, y));
}

describe("gradients of random graphs", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(() => engine.close());

  const count = Number(process.env.TENON_FUZZ_GRAPHS ?? 60);
  const first = Number(process.env.TENON_FUZZ_SEED ?? 1);
  test(`${count} graphs against differences`, async () => {
    for (let seed = first; seed < first + count; seed++) {
      const drawing = new Drawing(seed);
      const wrt = Object.keys(drawing.inputs);
      const off = await differences(engine, drawing.model(), drawing.inputs, wrt, "loss", 1e-6, seed);
      assert.ok(off < 1e-5, `seed ${seed}: off by ${off}`);
    }
  });
});
