/** JsonWriter: every number reads back as itself, and none has a digit too many. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type FloatFormat, JsonWriter } from "./writer.js";

const FLOAT: FloatFormat = { floats: "float", nonFinite: "bare" };

function float32(value: number, format = FLOAT): string {
  const writer = new JsonWriter(1);
  writer.float32s(Float32Array.of(value), 0, 1, format);
  return writer.latin1();
}

function float64(value: number): string {
  const writer = new JsonWriter();
  writer.float64s(Float64Array.of(value), 0, 1, FLOAT);
  return writer.latin1();
}

/** Significant digits of a decimal text, without the zeros around them. */
function digitsIn(text: string): string {
  return text
    .replace(/e.*$/, "")
    .replace(/[-.]/g, "")
    .replace(/^0+|0+$/g, "");
}

function check(value: number): void {
  const text = float32(value);
  assert.ok(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?(e-?[0-9]+)?$/.test(text), text);
  assert.ok(Object.is(Math.fround(Number(text)), value), `${value} → ${text}`);
  let shortest = "";
  for (let precision = 1; precision <= 9; precision++) {
    shortest = value.toPrecision(precision);
    if (Math.fround(Number(shortest)) === value) break;
  }
  assert.ok(digitsIn(text).length <= digitsIn(shortest).length, `${text} is longer than ${shortest}`);
  // Of two decimals of one length, the nearer one.
  if (digitsIn(text).length === digitsIn(shortest).length) {
    assert.ok(Math.abs(Number(text) - value) <= Math.abs(Number(shortest) - value), `${text} ${shortest}`);
  }
}

describe("JsonWriter", () => {
  it("prints float32 as its shortest decimal", () => {
    const table: readonly [number, string][] = [
      [0.1, "0.1"],
      [3, "3.0"],
      [-2.5, "-2.5"],
      [0, "0.0"],
      [-0, "-0.0"],
      [1e10, "10000000000.0"],
      [16777216, "16777216.0"],
      [1e21, "1e21"],
      [1.5e-7, "1.5e-7"],
      [0.000001, "0.000001"],
      [1.17549435e-38, "1.1754944e-38"],
      [1e-45, "1e-45"],
      [3.4028234663852886e38, "3.4028235e38"],
      [123.456, "123.456"],
      [0.30000001192092896, "0.3"],
    ];
    for (const [value, text] of table) assert.equal(float32(Math.fround(value)), text);
  });

  it("prints float32 right for any bits", () => {
    const bits = new Uint32Array(1);
    const float = new Float32Array(bits.buffer);
    const anyFloat = fc.nat(0xffff_ffff).map((word) => {
      bits[0] = word;
      return float[0]!;
    });
    fc.assert(
      fc.property(
        anyFloat.filter((value) => Number.isFinite(value) && value !== 0),
        check,
      ),
      { numRuns: 20_000 },
    );
    for (let exponent = -149; exponent < 128; exponent++) check(2 ** exponent);
    for (let i = -45; i < 37; i++)
      for (let d = 1; d < 100; d += 7) check(Math.fround(Number(`${d}e${i - 1}`)) || 1);
  });

  it("prints doubles as JavaScript does, with a point in whole ones", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = float64(value);
        assert.ok(Object.is(Number(text), value));
        assert.ok(/[.e]/.test(text), text);
      }),
    );
    assert.equal(float32(Math.fround(0.1), { floats: "double", nonFinite: "bare" }), "0.10000000149011612");
    assert.equal(float32(3, { floats: "double", nonFinite: "bare" }), "3.0");
  });

  it("prints what is not finite bare or as null", () => {
    const values = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    const writer = new JsonWriter();
    writer.float32s(values, 0, 3, FLOAT);
    assert.equal(writer.latin1(), "NaN,Infinity,-Infinity");
    writer.reset();
    writer.float32s(values, 0, 3, { floats: "float", nonFinite: "null" });
    assert.equal(writer.latin1(), "null,null,null");
  });

  it("prints integers of every width", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.array(fc.nat(0xffff_ffff)), (signed, unsigned) => {
        const writer = new JsonWriter();
        writer.integers(Int32Array.from(signed), 0, signed.length);
        assert.equal(writer.latin1(), signed.map((value) => value | 0).join(","));
        writer.reset();
        writer.integers(Uint32Array.from(unsigned), 0, unsigned.length);
        assert.equal(writer.latin1(), unsigned.join(","));
      }),
    );
    const edges = [
      0n,
      1n,
      10n ** 9n,
      10n ** 9n - 1n,
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 63n - 1n,
    ];
    const signed = BigInt64Array.from([...edges, ...edges.map((value) => -value), -(2n ** 63n)]);
    const unsigned = BigUint64Array.from([...edges, 2n ** 64n - 1n]);
    const writer = new JsonWriter();
    writer.longs(signed, new Uint32Array(signed.buffer), new Int32Array(signed.buffer), 0, signed.length);
    assert.equal(writer.latin1(), signed.join(","));
    writer.reset();
    const words = new Uint32Array(unsigned.buffer);
    writer.longs(unsigned, words, words, 0, unsigned.length);
    assert.equal(writer.latin1(), unsigned.join(","));
  });

  it("escapes strings and grows", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (list) => {
        const writer = new JsonWriter(4);
        writer.ascii("[");
        list.forEach((text, i) => {
          if (i > 0) writer.ascii(",");
          writer.string(text);
        });
        writer.ascii("]");
        assert.deepEqual(
          JSON.parse(writer.take().toString("utf8")),
          list.map((text) => text.toWellFormed()),
        );
      }),
    );
    const writer = new JsonWriter();
    writer.booleans(Uint8Array.of(1, 0, 2), 0, 3);
    assert.equal(writer.latin1(), "true,false,true");
  });
});
