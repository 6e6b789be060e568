/** Kernels of search over the rows of one memory: products in floats, products in small integers, bits that differ. */

import type { Code, FunctionBody, Local, Statement } from "../../simd/index.js";
import {
  f32x4,
  i32,
  type KernelFunction,
  kernel,
  lane,
  load,
  loopWhile,
  op,
  store,
} from "../../simd/index.js";

/** Where a scan reads and writes, in bytes; `stride` is a row's bytes, whole vectors of 16. */
const SCAN = { query: "i32", rows: "i32", stride: "i32", count: "i32", out: "i32" } as const;

type Scan = { readonly [K in keyof typeof SCAN]: Local<"i32"> };

const add = (a: Code<"i32">, b: Code<"i32">): Code<"i32"> => op("i32.add", a, b);

/** Each row in turn: `body` has its address in `at`, and `end` behind it; `value` is stored. */
function scan<T extends "f32" | "i32">(
  f: FunctionBody,
  { query, rows, stride, count, out }: Scan,
  body: (row: { readonly at: Local<"i32">; readonly end: Local<"i32">; readonly q: Local<"i32"> }) => {
    readonly statements: readonly Statement[];
    readonly value: Code<T>;
  },
): readonly Statement[] {
  const at = f.local("i32");
  const end = f.local("i32");
  const q = f.local("i32");
  const last = f.local("i32");
  const { statements, value } = body({ at, end, q });
  return [
    at.set(rows.get),
    last.set(add(out.get, op("i32.shl", count.get, i32(2)))),
    loopWhile(
      op("i32.lt_u", out.get, last.get),
      q.set(query.get),
      end.set(add(at.get, stride.get)),
      ...statements,
      store(out.get, value),
      out.set(add(out.get, i32(4))),
    ),
  ];
}

/** Products of the query with each row, float32. Four sums of 16 bytes each, then what is left of the row. */
const products: KernelFunction = kernel("products", SCAN, (f, scanned) => ({
  statements: scan(f, scanned, ({ at, end, q }) => {
    const sums = [0, 1, 2, 3].map(() => f.local("f32x4"));
    const wide = f.local("i32");
    const plus = (sum: Local<"f32x4">, offset: number): Statement =>
      sum.set(
        op(
          "f32x4.add",
          sum.get,
          op("f32x4.mul", load("f32x4", at.get, offset), load("f32x4", q.get, offset)),
        ),
      );
    const step = (bytes: number): readonly Statement[] => [
      at.set(add(at.get, i32(bytes))),
      q.set(add(q.get, i32(bytes))),
    ];
    const [a, b, c, d] = sums as [Local<"f32x4">, Local<"f32x4">, Local<"f32x4">, Local<"f32x4">];
    const total = op("f32x4.add", op("f32x4.add", a.get, b.get), op("f32x4.add", c.get, d.get));
    return {
      statements: [
        ...sums.map((sum) => sum.set(f32x4(0))),
        // The part of the row that is whole groups of 64 bytes.
        wide.set(add(at.get, op("i32.and", scanned.stride.get, i32(-64)))),
        loopWhile(op("i32.lt_u", at.get, wide.get), ...sums.map((sum, i) => plus(sum, 16 * i)), ...step(64)),
        loopWhile(op("i32.lt_u", at.get, end.get), plus(a, 0), ...step(16)),
        a.set(total),
      ],
      value: op(
        "f32.add",
        op("f32.add", lane(a.get, 0), lane(a.get, 1)),
        op("f32.add", lane(a.get, 2), lane(a.get, 3)),
      ),
    };
  }),
}));

/** Products of a query of 16-bit integers with rows of bytes, as 32-bit integers; they must not overflow. */
const integerProducts: KernelFunction = kernel("integerProducts", SCAN, (f, scanned) => ({
  statements: scan(f, scanned, ({ at, end, q }) => {
    const low = f.local("i32x4");
    const high = f.local("i32x4");
    const bytes = f.local("i8x16");
    const plus = (
      sum: Local<"i32x4">,
      half: "i16x8.extend_low_i8x16_s" | "i16x8.extend_high_i8x16_s",
      offset: number,
    ): Statement =>
      sum.set(
        op("i32x4.add", sum.get, op("i32x4.dot_i16x8_s", op(half, bytes.get), load("i16x8", q.get, offset))),
      );
    return {
      statements: [
        low.set(op("i32x4.sub", low.get, low.get)),
        high.set(low.get),
        loopWhile(
          op("i32.lt_u", at.get, end.get),
          bytes.set(load("i8x16", at.get)),
          plus(low, "i16x8.extend_low_i8x16_s", 0),
          plus(high, "i16x8.extend_high_i8x16_s", 16),
          at.set(add(at.get, i32(16))),
          q.set(add(q.get, i32(32))),
        ),
        low.set(op("i32x4.add", low.get, high.get)),
      ],
      value: add(add(lane(low.get, 0), lane(low.get, 1)), add(lane(low.get, 2), lane(low.get, 3))),
    };
  }),
}));

/** How many bits of each row differ from the query's. Rows are whole groups of eight bytes. */
const differingBits: KernelFunction = kernel("differingBits", SCAN, (f, scanned) => ({
  statements: scan(f, scanned, ({ at, end, q }) => {
    const sum = f.local("i32");
    const bits = op("i64.popcnt", op("i64.xor", load("i64", at.get), load("i64", q.get)));
    return {
      statements: [
        sum.set(i32(0)),
        loopWhile(
          op("i32.lt_u", at.get, end.get),
          sum.set(add(sum.get, op("i32.wrap_i64", bits))),
          at.set(add(at.get, i32(8))),
          q.set(add(q.get, i32(8))),
        ),
      ],
      value: sum.get,
    };
  }),
}));

export const SEARCH_KERNELS = [products, integerProducts, differingBits] as const;
