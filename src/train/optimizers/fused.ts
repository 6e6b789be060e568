/** Formulas over flat arrays as WebAssembly functions: loads, the formulas, and stores or a sum of squares. */
import {
  type Code,
  type FunctionBody,
  f32x4,
  i32,
  type KernelFunction,
  kernel,
  type Local,
  load,
  loopWhile,
  op,
  type Statement,
  store,
} from "../../simd/index.js";
import {
  arrayNames,
  type BinaryOp,
  type Expression,
  type Formulas,
  ordered,
  scalarsOf,
} from "./expression.js";
import type { Optimizer } from "./optimizer.js";
import { FLAT_KERNELS, squareSums } from "./reductions.js";

const BINARY = {
  add: "f32x4.add",
  sub: "f32x4.sub",
  mul: "f32x4.mul",
  div: "f32x4.div",
} as const satisfies Record<BinaryOp, string>;

/** One vector of a turn: where it is, and what the formulas give for it. */
interface Place {
  readonly turn: number;
  readonly offset: number;
  pointer(array: string): Code<"i32">;
  value(e: Expression): Code<"f32x4">;
}

interface Use {
  each(place: Place): readonly Statement[];
  result?(): Code<"f64">;
}

/** name(pointers…, bytes, scalars…): `bytes` is a multiple of 16 × `turns`. */
function loopKernel(
  name: string,
  arrays: readonly string[],
  roots: readonly Expression[],
  turns: number,
  use: (f: FunctionBody) => Use,
): KernelFunction {
  const parameters = Object.fromEntries([
    ...arrays.map((array) => [`at:${array}`, "i32"] as const),
    ["bytes", "i32"] as const,
    ...scalarsOf(roots).map((scalar) => [`scalar:${scalar}`, "f32"] as const),
  ]);
  return kernel(name, parameters, (f, given) => {
    // Names that begin with "at:" and "bytes" were declared i32, the others f32, right above.
    const pointer = (array: string): Local<"i32"> => given[array] as Local<"i32">;
    const at = arrays.map((array) => pointer(`at:${array}`));
    const { each, result } = use(f);
    const setUp: Statement[] = [];
    const body: Statement[] = [];
    let values = new Map<Expression, Code<"f32x4">>();
    let offset = 0;
    const splats = new Map<string, Code<"f32x4">>();
    const keep = (where: Statement[], value: Code<"f32x4">): Code<"f32x4"> => {
      const local = f.local("f32x4");
      where.push(local.set(value));
      return local.get;
    };
    const splat = (scalar: string): Code<"f32x4"> => {
      const known =
        splats.get(scalar) ?? keep(setUp, op("f32x4.splat", (given[`scalar:${scalar}`] as Local<"f32">).get));
      splats.set(scalar, known);
      return known;
    };
    for (let turn = 0; turn < turns; turn++) {
      offset = turn * 16;
      values = new Map();
      for (const e of ordered(roots)) values.set(e, codeOf(e));
      const place = {
        turn,
        offset,
        pointer: (array: string) => pointer(`at:${array}`).get,
        value: (e: Expression) => values.get(e)!,
      };
      body.push(...each(place));
    }
    for (const one of at) body.push(one.set(op("i32.add", one.get, i32(turns * 16))));
    const end = f.local("i32");
    const start = end.set(op("i32.add", at[0]!.get, pointer("bytes").get));
    const loop = loopWhile(op("i32.lt_u", at[0]!.get, end.get), ...body);
    const statements = [start, ...setUp, loop];
    return result === undefined ? { statements } : { statements, result: result() };

    function codeOf(e: Expression): Code<"f32x4"> {
      if (e.kind === "scalar") return splat(e.name);
      if (e.kind === "read") return keep(body, load("f32x4", pointer(`at:${e.name}`).get, offset));
      if (e.kind === "binary") return keep(body, op(BINARY[e.op], values.get(e.a)!, values.get(e.b)!));
      const a = values.get(e.a)!;
      if (e.op === "sqrt") return keep(body, op("f32x4.sqrt", a));
      const positive = op("f32x4.and", f32x4(1), op("f32x4.gt", a, f32x4(0)));
      const negative = op("f32x4.and", f32x4(1), op("f32x4.lt", a, f32x4(0)));
      const sign = op("f32x4.sub", positive, negative);
      return keep(body, op("f32x4.bitselect", sign, a, op("f32x4.eq", a, a)));
    }
  });
}

/** name(pointers…, bytes, scalars…) writes what the formulas give; `bytes` is a multiple of 32. */
function updateKernel(name: string, formulas: Formulas): KernelFunction {
  const written = Object.entries(formulas.update);
  const roots = written.map(([, e]) => e);
  return loopKernel(name, arrayNames(formulas), roots, 2, () => ({
    each: ({ offset, pointer, value }) =>
      written.map(([array, e]) => store(pointer(array), value(e), offset)),
  }));
}

/** name(pointers…, bytes, scalars…) → Σ e², as the kernel `squares` sums; `bytes` is a multiple of 64. */
function squaresKernel(name: string, formulas: Formulas, e: Expression): KernelFunction {
  return loopKernel(name, arrayNames(formulas), [e], 4, (f) => {
    const sums = squareSums(f);
    return { each: ({ turn, value }) => sums.add(turn, value(e)), result: () => sums.total };
  });
}

/** All kernels that a memory needs for an optimiser, by the names under which it calls them. */
export function kernelsOf(optimizer: Optimizer): KernelFunction[] {
  const { matrices, ratios = {} } = optimizer;
  return [
    updateKernel("update", optimizer),
    ...Object.entries(ratios).flatMap(([name, { over, under }]) => [
      squaresKernel(`${name} over`, optimizer, over),
      squaresKernel(`${name} under`, optimizer, under),
    ]),
    ...(matrices === undefined
      ? []
      : [updateKernel("before", matrices.before), updateKernel("after", matrices.after)]),
    ...FLAT_KERNELS,
  ];
}
