/** The message codec against the reader and writer of @bufbuild/protobuf, and against damaged bytes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { isTenonError } from "../../base/index.js";
import { decode } from "./decode.js";
import { encode } from "./encode.js";
import { enumOf, many, mapOf, message, one, oneOf } from "./table.js";

const Color = enumOf("Color", "RED", "GREEN");
const Inner = message("Inner", { text: one(1, "string"), numbers: many(2, "int64") });
const Outer = message("Outer", {
  flag: one(1, "bool"),
  small: one(2, "int32"),
  large: one(3, "uint64"),
  float: one(4, "float"),
  double: one(5, "double"),
  bytes: one(6, "bytes"),
  color: one(7, Color),
  inner: one(8, Inner),
  inners: many(9, Inner),
  names: mapOf(10, "string", "uint32"),
  left: oneOf(11, "int64", "side"),
  right: oneOf(12, "string", "side"),
});

const PLAIN = { noNullPrototype: true } as const;

describe("the codec", () => {
  it("reads what another writer wrote", () => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.Varint).bool(true).tag(2, WireType.Varint).int32(-7);
    writer
      .tag(3, WireType.Varint)
      .uint64(2n ** 64n - 1n)
      .tag(4, WireType.Bit32)
      .float(0.5);
    writer.tag(5, WireType.Bit64).double(-1e300).tag(6, WireType.LengthDelimited).bytes(Uint8Array.of(1, 2));
    writer.tag(7, WireType.Varint).int32(1).tag(99, WireType.LengthDelimited).string("unknown");
    for (const field of [8, 9, 9]) {
      writer.tag(field, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string("é");
      writer
        .tag(2, WireType.LengthDelimited)
        .fork()
        .int64(-1)
        .int64(2n ** 62n)
        .join();
      writer.tag(2, WireType.Varint).int64(3).join();
    }
    writer.tag(10, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string("k");
    writer.tag(2, WireType.Varint).uint32(4_000_000_000).join();
    writer.tag(11, WireType.Varint).int64(5).tag(12, WireType.LengthDelimited).string("wins");
    const inner = { text: "é", numbers: [-1, 2n ** 62n, 3] };
    assert.deepEqual(decode(Outer, writer.finish()), {
      flag: true,
      small: -7,
      large: 2n ** 64n - 1n,
      float: 0.5,
      double: -1e300,
      bytes: Uint8Array.of(1, 2),
      color: "GREEN",
      inner,
      inners: [inner, inner],
      names: new Map([["k", 4_000_000_000]]),
      left: undefined,
      right: "wins",
    });
  });

  it("writes what another reader reads", () => {
    const bytes = encode(Outer, { small: -1, large: 2n ** 63n, inner: { numbers: [-5, 300] }, left: 0 });
    const reader = new BinaryReader(bytes);
    assert.deepEqual([reader.tag(), reader.int32()], [[2, WireType.Varint], -1]);
    assert.deepEqual([reader.tag(), reader.uint64()], [[3, WireType.Varint], 2n ** 63n]);
    assert.deepEqual(reader.tag(), [8, WireType.LengthDelimited]);
    const inner = new BinaryReader(reader.bytes());
    assert.deepEqual([inner.tag(), inner.uint32()], [[2, WireType.LengthDelimited], 12]);
    assert.deepEqual([inner.int64(), inner.int64()], [-5n, 300n]);
    assert.deepEqual([reader.tag(), reader.int64()], [[11, WireType.Varint], 0n]);
    assert.equal(reader.pos, reader.len);
  });

  it("reads back whatever it writes", () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => {
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    });
    const inner = fc.record({ text: fc.string({ unit: "binary" }), numbers: fc.array(int64) }, PLAIN);
    const outer = fc.record(
      {
        flag: fc.boolean(),
        small: fc.integer(),
        large: int64.map((value) => (value < 0 ? -value : value)),
        float: fc.float({ noNaN: true }).map((value) => value + 0),
        double: fc.double({ noNaN: true }).map((value) => value + 0),
        bytes: fc.uint8Array(),
        color: fc.constantFrom("RED", "GREEN"),
        inner: fc.option(inner, { nil: undefined }),
        inners: fc.array(inner),
        names: fc.array(fc.tuple(fc.string(), fc.nat())).map((entries) => new Map(entries)),
        left: fc.option(int64, { nil: undefined }),
        right: fc.constant(undefined),
      },
      PLAIN,
    );
    fc.assert(
      fc.property(outer, (value) =>
        assert.deepEqual(decode(Outer, Uint8Array.from(encode(Outer, value))), value),
      ),
      { seed: 4, numRuns: 300 },
    );
  });

  it("refuses damaged bytes in words, whatever they are", () => {
    const good = encode(Outer, {
      bytes: new Uint8Array(20),
      inners: [{ text: "some text", numbers: [1, 2, 3] }],
      names: new Map([["key", 1]]),
      right: "right",
      double: 1,
    });
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        (changes, length) => {
          const bytes = Uint8Array.from(good).subarray(0, length);
          for (const [at, value] of changes) if (at < length) bytes[at] = value;
          try {
            decode(Outer, bytes);
          } catch (error) {
            assert.ok(isTenonError(error, "REQUEST_INVALID"), String(error));
            refused++;
          }
        },
      ),
      { seed: 5, numRuns: 3000 },
    );
    assert.ok(refused > 500);
  });

  const damaged: readonly (readonly [string, readonly number[], RegExp])[] = [
    ["a length beyond the message", [0x32, 5, 1], /5 bytes are announced, 1 are left at byte 2/],
    ["a length beyond the inner message", [0x42, 3, 0x0a, 9, 65], /9 bytes are announced, 1 are left/],
    ["an endless number", [0x10, ...Array<number>(11).fill(0x80)], /more than 64 bits/],
    ["a number that is cut off", [0x10, 0x80], /cut off/],
    ["field 0", [0x00, 0x00], /field number 0/],
    ["a group", [0x0b], /wire type 3/],
    ["another wire type", [0x12, 1, 1], /Outer\.small has wire type 2/],
    ["no UTF-8", [0x62, 1, 0xff], /not UTF-8/],
    [
      "too many values of a field",
      [0x4a, 0x85, 0x80, 4, 0x12, 0x81, 0x80, 4, ...Array<number>(65_537).fill(1)],
      /more than 65536 values/,
    ],
    [
      "too many values of all fields together",
      Array<number[]>(400)
        .fill([0x4a, 0xca, 0x01, 0x12, 0xc7, 0x01, ...Array<number>(199).fill(1)])
        .flat(),
      /more than 65536 values/,
    ],
  ];
  for (const [what, bytes, text] of damaged) {
    it(`refuses ${what}`, () => {
      assert.throws(() => decode(Outer, Uint8Array.from(bytes)), text);
    });
  }
});
