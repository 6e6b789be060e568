/** Kernels that make rows of float32 columns: four columns and four rows at a time, and rows copied in any order. */
import { type Code, i32, kernel, type Local, load, loopWhile, op, shuffle, store } from "../simd/index.js";

const add = (a: Code<"i32">, b: Code<"i32">): Code<"i32"> => op("i32.add", a, b);

/**
 * `transpose(table, groups, from, rows, out, stride)`: rows of 4 × `groups` columns, whose addresses lie in `table`, from
 * byte `from` of each on. Rows are written `stride` bytes apart, whole vectors of them: what a vector writes past the end
 * of its row is written over by the next row, so that the last group goes first and rows go up.
 */
const transpose = kernel(
  "transpose",
  { table: "i32", groups: "i32", from: "i32", rows: "i32", out: "i32", stride: "i32" },
  (f, { table, groups, from, rows, out, stride }) => {
    const [a, b, c, d] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [entry, column, to, end] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [va, vb, vc, vd] = [f.local("f32x4"), f.local("f32x4"), f.local("f32x4"), f.local("f32x4")];
    const [ab, cd, ba, dc] = [f.local("f32x4"), f.local("f32x4"), f.local("f32x4"), f.local("f32x4")];
    const begin = (local: Local<"i32">, offset: number) =>
      local.set(add(load("i32", entry.get, offset), from.get));
    const next = (local: Local<"i32">, step: Code<"i32">) => local.set(add(local.get, step));
    const low = [0, 4, 1, 5] as const;
    const high = [2, 6, 3, 7] as const;
    return {
      statements: [
        loopWhile(
          groups.get,
          groups.set(op("i32.sub", groups.get, i32(1))),
          column.set(op("i32.shl", groups.get, i32(4))),
          entry.set(add(table.get, column.get)),
          begin(a, 0),
          begin(b, 4),
          begin(c, 8),
          begin(d, 12),
          to.set(add(out.get, column.get)),
          end.set(add(a.get, op("i32.shl", rows.get, i32(2)))),
          loopWhile(
            op("i32.lt_u", a.get, end.get),
            va.set(load("f32x4", a.get)),
            vb.set(load("f32x4", b.get)),
            vc.set(load("f32x4", c.get)),
            vd.set(load("f32x4", d.get)),
            ab.set(shuffle(va.get, vb.get, low)),
            ba.set(shuffle(va.get, vb.get, high)),
            cd.set(shuffle(vc.get, vd.get, low)),
            dc.set(shuffle(vc.get, vd.get, high)),
            store(to.get, shuffle(ab.get, cd.get, [0, 1, 4, 5])),
            next(to, stride.get),
            store(to.get, shuffle(ab.get, cd.get, [2, 3, 6, 7])),
            next(to, stride.get),
            store(to.get, shuffle(ba.get, dc.get, [0, 1, 4, 5])),
            next(to, stride.get),
            store(to.get, shuffle(ba.get, dc.get, [2, 3, 6, 7])),
            next(to, stride.get),
            next(a, i32(16)),
            next(b, i32(16)),
            next(c, i32(16)),
            next(d, i32(16)),
          ),
        ),
      ],
    };
  },
);

/**
 * `gather(rows, order, count, out, stride, width)`: rows of `stride` bytes, whole vectors, by their numbers, written `width`
 * bytes apart.
 */
const gather = kernel(
  "gather",
  { rows: "i32", order: "i32", count: "i32", out: "i32", stride: "i32", width: "i32" },
  (f, { rows, order, count, out, stride, width }) => {
    const [from, end, to, last] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    return {
      statements: [
        last.set(add(order.get, op("i32.shl", count.get, i32(2)))),
        loopWhile(
          op("i32.lt_u", order.get, last.get),
          from.set(add(rows.get, op("i32.mul", load("i32", order.get), stride.get))),
          end.set(add(from.get, stride.get)),
          to.set(out.get),
          loopWhile(
            op("i32.lt_u", add(from.get, i32(48)), end.get),
            store(to.get, load("f32x4", from.get)),
            store(to.get, load("f32x4", from.get, 16), 16),
            store(to.get, load("f32x4", from.get, 32), 32),
            store(to.get, load("f32x4", from.get, 48), 48),
            from.set(add(from.get, i32(64))),
            to.set(add(to.get, i32(64))),
          ),
          loopWhile(
            op("i32.lt_u", from.get, end.get),
            store(to.get, load("f32x4", from.get)),
            from.set(add(from.get, i32(16))),
            to.set(add(to.get, i32(16))),
          ),
          out.set(add(out.get, width.get)),
          order.set(add(order.get, i32(4))),
        ),
      ],
    };
  },
);

export const ROW_KERNELS = [transpose, gather] as const;
