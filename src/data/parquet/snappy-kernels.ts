/** Kernels for Snappy's raw block format: the same bytes out as the loops in TypeScript, for data of short elements. */
import {
  type Code,
  copyBytes,
  either,
  type FunctionBody,
  fillBytes,
  i32,
  kernel,
  type Local,
  load,
  loadByte,
  loopWhile,
  op,
  type Statement,
  select,
  store,
  storeByte,
  when,
} from "../../simd/index.js";

type I32 = Code<"i32">;
const add = (a: I32, b: I32): I32 => op("i32.add", a, b);
const sub = (a: I32, b: I32): I32 => op("i32.sub", a, b);
const and = (a: I32, b: I32): I32 => op("i32.and", a, b);
const or = (a: I32, b: I32): I32 => op("i32.or", a, b);
const less = (a: I32, b: I32): I32 => op("i32.lt_u", a, b);
const more = (a: I32, b: I32): I32 => op("i32.gt_u", a, b);
const grow = (local: Local<"i32">, by: I32): Statement => local.set(add(local.get, by));

/** Bytes that reads and writes go past the ends of their places. */
export const OVERRUN = 64;
/** Blocks that are compressed by themselves, and the bits of a place in the table of what was seen. */
export const BLOCK = 65_536;
export const HASH_BITS = 14;
export const HASH_FACTOR = 0x1e35a7bd;
/** Bytes of that table here. */
export const TABLE_BYTES = 4 << HASH_BITS;
/** Bytes from here on are copied by one instruction, fewer by vectors. */
const LONG = 128;

/** Bytes to places that do not overlap within 16 bytes; up to 15 bytes more are written. */
function copyVectors(f: FunctionBody, to: I32, from: I32, count: I32): Statement[] {
  const [target, source, end] = [f.local("i32"), f.local("i32"), f.local("i32")];
  return [
    target.set(to),
    source.set(from),
    either(
      more(count, i32(LONG)),
      [copyBytes(target.get, source.get, count)],
      [
        end.set(add(target.get, count)),
        loopWhile(
          less(target.get, end.get),
          store(target.get, load("i32x4", source.get)),
          grow(target, i32(16)),
          grow(source, i32(16)),
        ),
      ],
    ),
  ];
}

function emitLiteral(f: FunctionBody, from: I32, to: I32, at: Local<"i32">): Statement {
  const [size, less1] = [f.local("i32"), f.local("i32")];
  return when(
    op("i32.ne", from, to),
    size.set(sub(to, from)),
    less1.set(sub(size.get, i32(1))),
    either(
      op("i32.le_u", size.get, i32(60)),
      [storeByte(at.get, op("i32.shl", less1.get, i32(2))), grow(at, i32(1))],
      [
        either(
          op("i32.le_u", size.get, i32(256)),
          [storeByte(at.get, i32(60 << 2)), storeByte(at.get, less1.get, 1), grow(at, i32(2))],
          [
            storeByte(at.get, i32(61 << 2)),
            storeByte(at.get, less1.get, 1),
            storeByte(at.get, op("i32.shr_u", less1.get, i32(8)), 2),
            grow(at, i32(3)),
          ],
        ),
      ],
    ),
    ...copyVectors(f, at.get, from, size.get),
    grow(at, size.get),
  );
}

/**
 * `compress(source, count, target, table)` → bytes written. Elements only: the length in front is not written. The target
 * has room for all that may come, `table` is `TABLE_BYTES` bytes.
 */
const compress = kernel(
  "compress",
  { source: "i32", count: "i32", target: "i32", table: "i32" },
  (f, { source, count, target, table }) => {
    const [at, stop, start, end] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [s, literal, misses, last] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [value, entry, candidate] = [f.local("i32"), f.local("i32"), f.local("i32")];
    const [length, size, going] = [f.local("i32"), f.local("i32"), f.local("i32")];
    const differ = f.local("i64");
    const hash = op("i32.shr_u", op("i32.mul", value.get, i32(HASH_FACTOR)), i32(32 - HASH_BITS));
    return {
      statements: [
        at.set(target.get),
        start.set(source.get),
        stop.set(add(source.get, count.get)),
        loopWhile(
          less(start.get, stop.get),
          end.set(add(start.get, i32(BLOCK))),
          when(more(end.get, stop.get), end.set(stop.get)),
          fillBytes(table.get, i32(0), i32(TABLE_BYTES)),
          literal.set(start.get),
          s.set(add(start.get, i32(1))),
          misses.set(i32(32)),
          // The last place from which four bytes can be read, and one more.
          last.set(sub(end.get, i32(3))),
          loopWhile(
            less(s.get, last.get),
            value.set(load("i32", s.get)),
            entry.set(add(table.get, op("i32.shl", hash, i32(2)))),
            candidate.set(add(start.get, load("i32", entry.get))),
            store(entry.get, sub(s.get, start.get)),
            either(
              op("i32.ne", load("i32", candidate.get), value.get),
              [grow(s, op("i32.shr_u", misses.get, i32(5))), grow(misses, i32(1))],
              [
                misses.set(i32(32)),
                emitLiteral(f, literal.get, s.get, at),
                length.set(i32(4)),
                going.set(i32(1)),
                loopWhile(
                  and(going.get, less(add(s.get, length.get), end.get)),
                  differ.set(
                    op(
                      "i64.xor",
                      load("i64", add(candidate.get, length.get)),
                      load("i64", add(s.get, length.get)),
                    ),
                  ),
                  either(
                    op("i64.eqz", differ.get),
                    [grow(length, i32(8))],
                    [
                      going.set(i32(0)),
                      grow(length, op("i32.shr_u", op("i32.wrap_i64", op("i64.ctz", differ.get)), i32(3))),
                    ],
                  ),
                ),
                length.set(select(more(add(s.get, length.get), end.get), sub(end.get, s.get), length.get)),
                value.set(sub(s.get, candidate.get)),
                grow(s, length.get),
                loopWhile(
                  length.get,
                  size.set(select(more(length.get, i32(64)), i32(64), length.get)),
                  storeByte(at.get, or(op("i32.shl", sub(size.get, i32(1)), i32(2)), i32(2))),
                  storeByte(at.get, value.get, 1),
                  storeByte(at.get, op("i32.shr_u", value.get, i32(8)), 2),
                  grow(at, i32(3)),
                  length.set(sub(length.get, size.get)),
                ),
                literal.set(s.get),
              ],
            ),
          ),
          emitLiteral(f, literal.get, end.get, at),
          start.set(end.get),
        ),
      ],
      result: sub(at.get, target.get),
    };
  },
);

/**
 * `decompress(source, count, target, length)` → 1 where the elements give exactly `length` bytes, else 0. Nothing is read or
 * written further than `OVERRUN` bytes outside of its places.
 */
const decompress = kernel(
  "decompress",
  { source: "i32", count: "i32", target: "i32", length: "i32" },
  (f, { source, count, target, length }) => {
    const [s, limit, at, end] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [tag, kind, size, distance] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const [bytes, from, to, good] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    const bad = good.set(i32(0));
    const left = sub(limit.get, s.get);
    const room = sub(end.get, at.get);
    return {
      statements: [
        s.set(source.get),
        limit.set(add(source.get, count.get)),
        at.set(target.get),
        end.set(add(target.get, length.get)),
        good.set(i32(1)),
        loopWhile(
          and(good.get, less(s.get, limit.get)),
          tag.set(loadByte(s.get)),
          grow(s, i32(1)),
          kind.set(and(tag.get, i32(3))),
          size.set(op("i32.shr_u", tag.get, i32(2))),
          either(
            op("i32.eqz", kind.get),
            [
              when(
                op("i32.ge_u", size.get, i32(60)),
                bytes.set(sub(size.get, i32(59))),
                // The bytes of the size that there are, of the four that are read.
                size.set(
                  and(
                    load("i32", s.get),
                    op("i32.shr_u", i32(-1), sub(i32(32), op("i32.shl", bytes.get, i32(3)))),
                  ),
                ),
                grow(s, bytes.get),
                when(more(s.get, limit.get), bad, s.set(limit.get)),
              ),
              // A size of 2^32 - 1 and one more would be none at all.
              either(
                or(op("i32.ge_u", size.get, left), op("i32.ge_u", size.get, room)),
                [bad],
                [
                  grow(size, i32(1)),
                  ...copyVectors(f, at.get, s.get, size.get),
                  grow(at, size.get),
                  grow(s, size.get),
                ],
              ),
            ],
            [
              either(
                op("i32.eq", kind.get, i32(1)),
                [
                  distance.set(or(op("i32.shl", op("i32.shr_u", size.get, i32(3)), i32(8)), loadByte(s.get))),
                  size.set(add(and(size.get, i32(7)), i32(4))),
                  grow(s, i32(1)),
                ],
                [
                  grow(size, i32(1)),
                  distance.set(load("i32", s.get)),
                  either(
                    op("i32.eq", kind.get, i32(2)),
                    [distance.set(and(distance.get, i32(0xffff))), grow(s, i32(2))],
                    [grow(s, i32(4))],
                  ),
                ],
              ),
              either(
                or(
                  or(op("i32.eqz", distance.get), more(distance.get, sub(at.get, target.get))),
                  or(more(size.get, room), more(s.get, limit.get)),
                ),
                [bad],
                [
                  to.set(at.get),
                  from.set(sub(at.get, distance.get)),
                  grow(at, size.get),
                  either(
                    op("i32.ge_u", distance.get, i32(8)),
                    [
                      loopWhile(
                        less(to.get, at.get),
                        store(to.get, load("i64", from.get)),
                        grow(to, i32(8)),
                        grow(from, i32(8)),
                      ),
                    ],
                    [
                      loopWhile(
                        less(to.get, at.get),
                        storeByte(to.get, loadByte(from.get)),
                        grow(to, i32(1)),
                        grow(from, i32(1)),
                      ),
                    ],
                  ),
                ],
              ),
            ],
          ),
        ),
      ],
      result: and(good.get, op("i32.eq", at.get, end.get)),
    };
  },
);

export const SNAPPY_KERNELS = [compress, decompress] as const;
