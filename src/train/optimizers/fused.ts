/** An optimiser's update as one WebAssembly function: loads, the formulas, stores, four elements a turn. */
import {
  type Code,
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
import { type BinaryOp, type Expression, ordered } from "./expression.js";
import type { Optimizer } from "./rows.js";

const BINARY = {
  add: "f32x4.add",
  sub: "f32x4.sub",
  mul: "f32x4.mul",
  div: "f32x4.div",
} as const satisfies Record<BinaryOp, string>;

/** Arrays in the order of the kernel's pointers: `p`, `g`, then the states. */
export function arrayNames(optimizer: Optimizer): readonly string[] {
  return ["p", "g", ...optimizer.state];
}

/** Scalars in the order of the kernel's parameters. */
export function scalarNames(optimizer: Optimizer): readonly string[] {
  const scalars = ordered(Object.values(optimizer.update)).filter((e) => e.kind === "scalar");
  return [...new Set(scalars.map(({ name }) => name))];
}

/** Vectors of one turn of the loop. */
const TURN = 2;

/** update(pointers…, bytes, scalars…): `bytes` is a multiple of 32. */
export function updateKernel(optimizer: Optimizer): KernelFunction {
  const arrays = arrayNames(optimizer);
  const scalars = scalarNames(optimizer);
  const parameters = Object.fromEntries([
    ...arrays.map((name) => [`at:${name}`, "i32"] as const),
    ["bytes", "i32"] as const,
    ...scalars.map((name) => [`scalar:${name}`, "f32"] as const),
  ]);
  return kernel("update", parameters, (f, given) => {
    // Names that begin with "at:" and "bytes" were declared i32, the others f32, right above.
    const pointer = (name: string): Local<"i32"> => given[name] as Local<"i32">;
    const at = arrays.map((name) => pointer(`at:${name}`));
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
    const splat = (name: string): Code<"f32x4"> => {
      const known =
        splats.get(name) ?? keep(setUp, op("f32x4.splat", (given[`scalar:${name}`] as Local<"f32">).get));
      splats.set(name, known);
      return known;
    };
    for (let turn = 0; turn < TURN; turn++) {
      offset = turn * 16;
      values = new Map();
      for (const e of ordered(Object.values(optimizer.update))) values.set(e, codeOf(e));
      for (const [name, e] of Object.entries(optimizer.update))
        body.push(store(pointer(`at:${name}`).get, values.get(e)!, offset));
    }
    for (const one of at) body.push(one.set(op("i32.add", one.get, i32(TURN * 16))));
    const end = f.local("i32");
    const start = end.set(op("i32.add", at[0]!.get, pointer("bytes").get));
    return { statements: [start, ...setUp, loopWhile(op("i32.lt_u", at[0]!.get, end.get), ...body)] };

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
