/** Kernels of search over the rows of one memory: products in floats, products in small integers, bits that differ. */

import type { Code, FunctionBody, Local, Statement } from "../../simd/index.js";
import { f32x4, i32, kernel, lane, load, loadBytes, loopWhile, op, store } from "../../simd/index.js";

/** Where a scan reads and writes, in bytes; `stride` is a row's bytes, whole vectors of 16. */
const SCAN = { query: "i32", rows: "i32", stride: "i32", count: "i32", out: "i32" } as const;

type Scan = { readonly [K in keyof typeof SCAN]: Local<"i32"> };

const add = (a: Code<"i32">, b: Code<"i32">): Code<"i32"> => op("i32.add", a, b);

/** Rows that are read side by side: their addresses, and the end of the first. */
interface Rows {
  readonly at: readonly Local<"i32">[];
  readonly end: Local<"i32">;
  readonly q: Local<"i32">;
}

/**
 * Every row, `body` has `streams` of them at a time and gives each one's value, which is stored; what does not divide comes
 * one by one. The rows of a turn are far from each other: memory is fetched ahead within a page of 4 KiB and not beyond it, so
 * that one stream waits at the start of each page, and several wait together.
 */
function scan<T extends "f32" | "i32">(
  f: FunctionBody,
  { query, rows, stride, count, out }: Scan,
  streams: number,
  body: (rows: Rows) => { readonly statements: readonly Statement[]; readonly values: readonly Code<T>[] },
): readonly Statement[] {
  const at = Array.from({ length: streams }, () => f.local("i32"));
  const end = f.local("i32");
  const q = f.local("i32");
  const last = f.local("i32");
  const each = f.local("i32");
  const apart = f.local("i32");
  const turns = (rowsAtOnce: readonly Local<"i32">[]): Statement => {
    const { statements, values } = body({ at: rowsAtOnce, end, q });
    const stores = values.map((value, i) => {
      const place = i === 0 ? out.get : add(out.get, op("i32.mul", each.get, i32(4 * i)));
      return store(place, value);
    });
    return loopWhile(
      op("i32.lt_u", out.get, last.get),
      q.set(query.get),
      end.set(add(at[0]!.get, stride.get)),
      ...statements,
      ...stores,
      out.set(add(out.get, i32(4))),
    );
  };
  return [
    each.set(op("i32.div_u", count.get, i32(streams))),
    apart.set(op("i32.mul", each.get, stride.get)),
    at[0]!.set(rows.get),
    ...at.slice(1).map((row, i) => row.set(add(at[i]!.get, apart.get))),
    last.set(add(out.get, op("i32.shl", each.get, i32(2)))),
    turns(at),
    // The rows behind those of the last stream.
    at[0]!.set(at[streams - 1]!.get),
    out.set(add(out.get, op("i32.mul", each.get, i32(4 * (streams - 1))))),
    last.set(add(out.get, op("i32.shl", op("i32.rem_u", count.get, i32(streams)), i32(2)))),
    turns([at[0]!]),
  ];
}

/** The rows of a turn, and the query, so many bytes on. */
function step({ at, q }: Rows, bytes: number, queryBytes = bytes): readonly Statement[] {
  return [...at.map((row) => row.set(add(row.get, i32(bytes)))), q.set(add(q.get, i32(queryBytes)))];
}

/** Where the part of the first row ends that is whole groups of 64 bytes. */
const wholeGroups = ({ at }: Rows, stride: Local<"i32">): Code<"i32"> =>
  add(at[0]!.get, op("i32.and", stride.get, i32(-64)));

/** Products of the query with each row, float32. Four sums of 16 bytes each, then what is left of the row. */
const products = () =>
  kernel("products", SCAN, (f, scanned) => ({
    statements: scan(f, scanned, 4, (rows) => {
      const { at, end, q } = rows;
      const wide = f.local("i32");
      const sums = at.map(() => [0, 1, 2, 3].map(() => f.local("f32x4")));
      const plus = (group: number): readonly Statement[] =>
        at.map((row, i) => {
          const sum = sums[i]![group]!;
          const product = op(
            "f32x4.mul",
            load("f32x4", row.get, 16 * group),
            load("f32x4", q.get, 16 * group),
          );
          return sum.set(op("f32x4.add", sum.get, product));
        });
      return {
        statements: [
          ...sums.flat().map((sum) => sum.set(f32x4(0))),
          wide.set(wholeGroups(rows, scanned.stride)),
          loopWhile(op("i32.lt_u", at[0]!.get, wide.get), ...[0, 1, 2, 3].flatMap(plus), ...step(rows, 64)),
          loopWhile(op("i32.lt_u", at[0]!.get, end.get), ...plus(0), ...step(rows, 16)),
          ...sums.map(([a, b, c, d]) =>
            a!.set(op("f32x4.add", op("f32x4.add", a!.get, b!.get), op("f32x4.add", c!.get, d!.get))),
          ),
        ],
        values: sums.map(([a]) =>
          op(
            "f32.add",
            op("f32.add", lane(a!.get, 0), lane(a!.get, 1)),
            op("f32.add", lane(a!.get, 2), lane(a!.get, 3)),
          ),
        ),
      };
    }),
  }));

/** Products of a query of 16-bit integers with rows of bytes, as 32-bit integers; they must not overflow. */
const integerProducts = () =>
  kernel("integerProducts", SCAN, (f, scanned) => ({
    statements: scan(f, scanned, 4, (rows) => {
      const { at, end, q } = rows;
      const wide = f.local("i32");
      const sums = at.map(() => [0, 1].map(() => f.local("i32x4")));
      // Eight bytes of each row.
      const plus = (group: number): readonly Statement[] =>
        at.map((row, i) => {
          const sum = sums[i]![group % 2]!;
          const bytes = loadBytes(row.get, 8 * group);
          const product = op("i32x4.dot_i16x8_s", bytes, load("i16x8", q.get, 16 * group));
          return sum.set(op("i32x4.add", sum.get, product));
        });
      return {
        statements: [
          ...sums.flat().map((sum) => sum.set(op("i32x4.splat", i32(0)))),
          wide.set(wholeGroups(rows, scanned.stride)),
          loopWhile(
            op("i32.lt_u", at[0]!.get, wide.get),
            ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap(plus),
            ...step(rows, 64, 128),
          ),
          loopWhile(op("i32.lt_u", at[0]!.get, end.get), ...plus(0), ...plus(1), ...step(rows, 16, 32)),
          ...sums.map(([a, b]) => a!.set(op("i32x4.add", a!.get, b!.get))),
        ],
        values: sums.map(([a]) =>
          add(add(lane(a!.get, 0), lane(a!.get, 1)), add(lane(a!.get, 2), lane(a!.get, 3))),
        ),
      };
    }),
  }));

/** How many bits of each row differ from the query's. Rows are whole groups of eight bytes. */
const differingBits = () =>
  kernel("differingBits", SCAN, (f, scanned) => ({
    statements: scan(f, scanned, 1, (rows) => {
      const at = rows.at[0]!;
      const sum = f.local("i32");
      const bits = op("i64.popcnt", op("i64.xor", load("i64", at.get), load("i64", rows.q.get)));
      return {
        statements: [
          sum.set(i32(0)),
          loopWhile(
            op("i32.lt_u", at.get, rows.end.get),
            sum.set(add(sum.get, op("i32.wrap_i64", bits))),
            ...step(rows, 8),
          ),
        ],
        values: [sum.get],
      };
    }),
  }));

let made: ReturnType<typeof makeKernels> | undefined;

function makeKernels() {
  return [products(), integerProducts(), differingBits()] as const;
}

/** Assembled at the first use. */
export function searchKernels(): ReturnType<typeof makeKernels> {
  made ??= makeKernels();
  return made;
}
