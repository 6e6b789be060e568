/** JSON tensor data: equal to JSON.parse where both read it, refused where the tensor cannot hold it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../../base/index.js";
import { type DType, isDType } from "../../tensor/index.js";
import { JsonScanner } from "./scanner.js";
import { type EncodedStrings, scanTensorData, type TensorValues } from "./tensor-data.js";

function scan(text: string, dtype: DType, shape: readonly number[]): TensorValues {
  const bytes = Buffer.from(text);
  const scanner = new JsonScanner(bytes, 0, bytes.length, 64);
  const size = shape.reduce((a, b) => a * b, 1);
  const values = scanTensorData(scanner, dtype, shape, size);
  scanner.finish();
  return values;
}

function texts(values: TensorValues): string[] {
  const { bytes, offsets } = values as EncodedStrings;
  return Array.from({ length: offsets.length - 1 }, (_, i) =>
    Buffer.from(bytes.subarray(offsets[i], offsets[i + 1])).toString(),
  );
}

const refused = (text: string, dtype: DType, shape: readonly number[], code: string): void =>
  assert.throws(
    () => scan(text, dtype, shape),
    (error) => isTenonError(error) && error.code === code,
    `${dtype} ${text}`,
  );

/** Decimals of every length and size, as text. */
const decimals = fc
  .tuple(
    fc.boolean(),
    fc.bigInt({ min: 0n, max: 10n ** 24n }),
    fc.option(fc.bigInt({ min: 0n, max: 10n ** 20n }), { nil: undefined }),
    fc.nat(12),
    fc.option(fc.integer({ min: -340, max: 310 }), { nil: undefined }),
  )
  .map(
    ([negative, whole, fraction, zeros, exponent]) =>
      (negative ? "-" : "") +
      whole +
      (fraction === undefined ? "" : `.${"0".repeat(zeros)}${fraction}`) +
      (exponent === undefined ? "" : `e${exponent}`),
  );

describe("numbers", () => {
  it("equal Number(text), and Math.fround of it for float32", () => {
    const numbers = fc.oneof(
      decimals,
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
      fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => value.toPrecision(17)),
      fc.integer().map(String),
    );
    fc.assert(
      fc.property(
        fc.array(numbers, { minLength: 1, maxLength: 20 }),
        fc.constantFrom(",", ", ", " ,\n\t"),
        (list, comma) => {
          const text = `[${list.join(comma)}]`;
          const wanted = list.map(Number);
          assert.deepEqual(scan(text, "float64", [list.length]), Float64Array.from(wanted));
          assert.deepEqual(scan(text, "float32", [list.length]), Float32Array.from(wanted));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("round ties between neighbouring float32 values as Math.fround does", () => {
    fc.assert(
      fc.property(
        fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(1e-30), max: Math.fround(1e30) }),
        fc.integer({ min: -3, max: 3 }),
        (low, off) => {
          const bits = new Uint32Array(Float32Array.of(low).buffer);
          bits[0]!++;
          const high = new Float32Array(bits.buffer)[0]!;
          const middle = low / 2 + high / 2;
          const text = (middle * (1 + off * 2 ** -52)).toPrecision(17 + Math.abs(off));
          assert.deepEqual(scan(`[${text}]`, "float32", [1]), Float32Array.of(Number(text)));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("read NaN and the infinities bare, for floats only", () => {
    assert.deepEqual(
      scan("[NaN, Infinity ,-Infinity,1]", "float32", [4]),
      Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1),
    );
    for (const text of ["[NaN]", "[Infinity]", "[-Infinity]"]) refused(text, "int32", [1], "INPUT_VALUE");
    refused("[nan]", "float32", [1], "INPUT_VALUE");
    refused("[-NaN]", "float32", [1], "REQUEST_INVALID");
  });

  it("keep 64-bit integers exact", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 }),
        (list) => {
          assert.deepEqual(scan(`[${list.join(",")}]`, "int64", [list.length]), BigInt64Array.from(list));
        },
      ),
    );
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1 }), (list) => {
        assert.deepEqual(scan(`[${list.join(", ")}]`, "uint64", [list.length]), BigUint64Array.from(list));
      }),
    );
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        assert.deepEqual(scan(`[${value}]`, "int64", [1]), BigInt64Array.of(BigInt(value)));
      }),
    );
  });

  const LIMITS: readonly [DType, bigint, bigint][] = [
    ["int8", -128n, 127n],
    ["int16", -32768n, 32767n],
    ["int32", -(2n ** 31n), 2n ** 31n - 1n],
    ["int64", -(2n ** 63n), 2n ** 63n - 1n],
    ["uint8", 0n, 255n],
    ["uint16", 0n, 65535n],
    ["uint32", 0n, 2n ** 32n - 1n],
    ["uint64", 0n, 2n ** 64n - 1n],
  ];
  for (const [dtype, min, max] of LIMITS) {
    it(`${dtype}: its range and whole numbers only`, () => {
      const values = scan(`[${min}, ${max}]`, dtype, [2]) as BigInt64Array;
      assert.deepEqual([BigInt(values[0]!), BigInt(values[1]!)], [min, max]);
      for (const text of [
        min - 1n,
        max + 1n,
        "1.0",
        "1e3",
        "0.5",
        "99999999999999999999999",
        "true",
        '"1"',
        "null",
      ]) {
        refused(`[${text}]`, dtype, [1], "INPUT_VALUE");
      }
    });
  }

  it("refuse what is no JSON number", () => {
    for (const text of ["01", "-01", "1.", "1.e5", "1e", "1e+", "-", "1 2", "1,", ",1", "0x10", "1_000"]) {
      for (const dtype of ["float32", "float64"] as const) {
        assert.throws(() => scan(`[${text}]`, dtype, [1]), isTenonError, text);
      }
    }
    for (const text of ["+1", ".5", "--1"])
      assert.throws(() => scan(`[${text}]`, "int64", [1]), isTenonError);
  });

  it("fill more than one block", () => {
    const list = Array.from({ length: 5000 }, (_, i) => i / 8);
    assert.deepEqual(scan(JSON.stringify(list), "float32", [5000]), Float32Array.from(list));
    refused(JSON.stringify(list), "float32", [4096], "REQUEST_INVALID");
    refused(JSON.stringify(list), "float32", [5001], "REQUEST_INVALID");
  });
});

describe("tensor data", () => {
  it("booleans are true and false, strings are strings", () => {
    assert.deepEqual(scan("[true, false ,true]", "bool", [3]), Uint8Array.of(1, 0, 1));
    for (const text of ["[1]", '["true"]', "[null]"]) refused(text, "bool", [1], "INPUT_VALUE");
    refused("[tru]", "bool", [1], "REQUEST_INVALID");
    assert.deepEqual(texts(scan('["a", "", "é\\n\\ud83d\\ude00"]', "string", [3])), ["a", "", "é\n😀"]);
    for (const text of ["[1]", "[true]", "[null]", "[{}]"]) refused(text, "string", [1], "INPUT_VALUE");
    refused('["\\ud83d"]', "string", [1], "REQUEST_INVALID");
  });

  it("strings equal those of JSON.parse", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }),
        fc.boolean(),
        (list, escaped) => {
          let text = JSON.stringify(list);
          if (escaped) text = text.replace(/[^ -~]/gu, escapeAll);
          assert.deepEqual(
            texts(scan(text, "string", [list.length])),
            list.map((s) => s.toWellFormed()),
          );
        },
      ),
    );
  });

  it("nested data must have the shape's nesting, flat data its number of elements", () => {
    const nested = (shape: readonly number[], next = { value: 0 }): unknown =>
      shape.length === 0
        ? next.value++
        : Array.from({ length: shape[0]! }, () => nested(shape.slice(1), next));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 }), (shape) => {
        const size = shape.reduce((a, b) => a * b, 1);
        const wanted = Int32Array.from({ length: size }, (_, i) => i);
        assert.deepEqual(scan(JSON.stringify(nested(shape)), "int32", shape), wanted);
        assert.deepEqual(scan(JSON.stringify([...wanted]), "int32", shape), wanted);
        for (let axis = 0; axis < shape.length; axis++) {
          const other = [...shape];
          other[axis]!++;
          refused(JSON.stringify(nested(other)), "int32", shape, "REQUEST_INVALID");
        }
      }),
    );
    refused("[[1,2],[3]]", "int32", [2, 2], "REQUEST_INVALID");
    refused("[[1,2],[3,4,5]]", "int32", [2, 2], "REQUEST_INVALID");
    refused("[[1,2],3,4]", "int32", [2, 2], "REQUEST_INVALID");
    refused("[[1],[2]]", "int32", [2], "REQUEST_INVALID");
    refused("[1,[2]]", "int32", [2], "REQUEST_INVALID");
    refused("[]", "int32", [1], "REQUEST_INVALID");
    refused("[1]", "int32", [0], "REQUEST_INVALID");
    refused("[[[1]]]", "int32", [1, 1], "REQUEST_INVALID");
  });

  it("empty tensors and scalars", () => {
    assert.deepEqual(scan("[]", "float32", [0, 3]), new Float32Array(0));
    assert.deepEqual(scan("[ [ ], [] ]", "float32", [2, 0]), new Float32Array(0));
    assert.deepEqual(scan("[7]", "float32", []), Float32Array.of(7));
  });

  it("never allocates what the document cannot hold", () => {
    refused("[1,2]", "float32", [50_000_000], "REQUEST_INVALID");
  });

  it("deep brackets are refused, not followed", () => {
    refused(`${"[".repeat(100_000)}${"]".repeat(100_000)}`, "float32", [1, 1, 1, 1], "REQUEST_INVALID");
  });
});

function escapeAll(text: string): string {
  return [...text]
    .flatMap((c) => Array.from({ length: c.length }, (_, i) => c.charCodeAt(i)))
    .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
    .join("");
}

describe("damaged data", () => {
  it("only ever throws errors of ours", () => {
    const alphabet = fc.constantFrom(...'[]{},:"\\ 0123456789.eE+-truefalsnINy\n\u00e9');
    const dtypes = fc.constantFrom("float32", "float64", "int64", "uint8", "bool", "string").filter(isDType);
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 40 }), dtypes, fc.nat(4), (text, dtype, size) => {
        try {
          scan(`[${text}]`, dtype, [size]);
        } catch (error) {
          if (!isTenonError(error)) throw error;
        }
      }),
      { numRuns: 5000, seed: 7 },
    );
  });
});
