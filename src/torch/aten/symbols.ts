/** Sizes of a program as ONNX values: numbers where the program knows them, int64 scalars where it does not. */
import type { ProgramNode } from "../pt2/program.js";
import type { Bindings, Size } from "./arguments.js";
import { axisOf, type Emitter } from "./emitter.js";
import { Unsupported } from "./unsupported.js";

/** Targets that only say what holds; they compute nothing. */
const SILENT =
  /^(_operator\.(eq|ne|lt|le|gt|ge|and_|or_|not_)|aten\.(_assert_\w+|sym_constrain_range\w*|_assert_tensor_metadata)\.\w+|torch\.sym_not)$/;

export function isSilent(target: string): boolean {
  return SILENT.test(target);
}

type Arithmetic = (c: Emitter, a: Size, b: Size) => Size;

const op =
  (name: string, exact: (a: number, b: number) => number): Arithmetic =>
  (c, a, b) =>
    typeof a === "number" && typeof b === "number"
      ? exact(a, b)
      : c.add(name, [c.sizeValue(a), c.sizeValue(b)]);

/** ONNX divides towards zero; sizes may be negated before (`-(-n // 2)`). */
const floorDiv: Arithmetic = (c, a, b) => {
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  const [x, y] = [c.sizeValue(a), c.sizeValue(b)];
  const rest = c.add("Mod", [x, y]);
  return c.add("Div", [c.add("Sub", [x, rest]), y]);
};

const ARITHMETIC: Readonly<Record<string, Arithmetic>> = {
  "_operator.add": op("Add", (a, b) => a + b),
  "_operator.sub": op("Sub", (a, b) => a - b),
  "_operator.mul": op("Mul", (a, b) => a * b),
  "_operator.mod": op("Mod", (a, b) => a - Math.floor(a / b) * b),
  "_operator.floordiv": floorDiv,
  "torch.sym_max": op("Max", Math.max),
  "torch.sym_min": op("Min", Math.min),
};

/** The size that a node computes; undefined: it is no node on sizes. */
export function sizeOf(c: Emitter, node: ProgramNode, target: string, bindings: Bindings): Size | undefined {
  if (target === "aten.sym_size.int" || target === "aten.sym_numel.default") {
    const [self, dim] = node.inputs.map(({ arg }) => arg);
    if (self?.kind !== "tensor") throw new Unsupported("no tensor");
    const x = bindings.tensor(self.name);
    if (target !== "aten.sym_size.int") {
      return x.dims.every((size) => size !== null)
        ? (x.dims as number[]).reduce((product, size) => product * size, 1)
        : c.add("Size", [x.value]);
    }
    const axis = dim?.kind === "int" || dim?.kind === "symInt" ? Number(dim.value) : Number.NaN;
    return c.dim(x, axisOf(axis, x.rank));
  }
  const arithmetic = ARITHMETIC[target];
  if (arithmetic === undefined && target !== "_operator.neg") return undefined;
  const operands = node.inputs.map(({ arg }): Size => {
    if (arg.kind === "int") return Number(arg.value);
    if (arg.kind !== "symInt") throw new Unsupported(`an operand of kind ${arg.kind}`);
    return typeof arg.value === "object" ? bindings.size(arg.value.name) : Number(arg.value);
  });
  if (target === "_operator.neg") return ARITHMETIC["_operator.sub"]!(c, 0, operands[0]!);
  return arithmetic!(c, operands[0]!, operands[1]!);
}
