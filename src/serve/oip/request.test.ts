/** The infer request's reader: what it takes from any order and spelling of JSON, and that nothing breaks it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../../base/index.js";
import { type InferRequest, parseInferRequest } from "./request.js";

const parse = (text: string): InferRequest => parseInferRequest(Buffer.from(text));

/** JSON with its members in any order and any white space, which mean nothing. */
function respell(value: unknown, random: () => number): string {
  const space = (): string => ["", "", " ", "\n", "\t \r"][Math.floor(random() * 5)]!;
  if (Array.isArray(value))
    return `[${space()}${value.map((v) => respell(v, random)).join(`${space()},${space()}`)}${space()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, v]) => `${JSON.stringify(key)}${space()}:${space()}${respell(v, random)}`,
  );
  for (let i = members.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [members[i], members[j]] = [members[j]!, members[i]!];
  }
  return `{${space()}${members.join(`${space()},`)}${space()}}`;
}

const jsonName = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((s) => s.toWellFormed());
const input = fc.record({
  name: jsonName,
  datatype: fc.constant("FP32"),
  shape: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
  later: fc.jsonValue({ maxDepth: 3 }),
});
const request = fc.record({
  id: jsonName,
  inputs: fc.uniqueArray(input, { maxLength: 4, selector: ({ name }) => name }),
  outputs: fc.array(fc.record({ name: jsonName, parameters: fc.record({ binary_data: fc.boolean() }) }), {
    maxLength: 4,
  }),
  parameters: fc.dictionary(
    jsonName.filter((name) => !name.startsWith("triton_")),
    fc.oneof(fc.boolean(), fc.integer(), jsonName),
    { noNullPrototype: true },
  ),
  unknown: fc.jsonValue({ maxDepth: 4 }),
});

describe("parseInferRequest", () => {
  it("reads what JSON.parse reads, however it is spelt", () => {
    fc.assert(
      fc.property(request, fc.integer({ min: 1, max: 2 ** 31 - 1 }), (wanted, seed) => {
        let state = seed;
        const random = (): number => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return state / 2 ** 32;
        };
        const inputs = wanted.inputs.map((one) => {
          const size = one.shape.reduce((a, b) => a * b, 1);
          return { ...one, data: Array.from({ length: size }, (_, i) => i / 4) };
        });
        const got = parse(respell({ ...wanted, inputs }, random));
        assert.equal(got.id, wanted.id);
        assert.deepEqual(
          Object.fromEntries(got.parameters),
          Object.fromEntries(Object.entries(wanted.parameters)),
        );
        assert.deepEqual(
          got.inputs.map(({ name, dtype, shape, values }) => ({ name, dtype, shape, values })),
          inputs.map(({ name, shape, data }) => ({
            name,
            dtype: "float32",
            shape,
            values: Float32Array.from(data),
          })),
        );
        const names = [...new Set(wanted.outputs.map(({ name }) => name))];
        assert.deepEqual(
          got.outputs.map(({ name }) => name),
          names,
        );
      }),
      { numRuns: 500 },
    );
  });

  it("keeps large integers in parameters exact", () => {
    const { parameters } = parse(
      '{"inputs":[],"parameters":{"a":18446744073709551615,"b":-7,"c":1e3,"d":0.5}}',
    );
    assert.deepEqual([...parameters.values()], [18446744073709551615n, -7, 1000, 0.5]);
  });

  it("counts brackets of skipped and of read values alike", () => {
    const nested = (depth: number): string => `{"x":${"[".repeat(depth)}${"]".repeat(depth)},"inputs":[]}`;
    assert.equal(parse(nested(63)).inputs.length, 0);
    assert.throws(() => parse(nested(64)), /exceeds maximum allowed limit \(64\)/);
    assert.throws(() => parse(nested(500_000)), /exceeds maximum allowed limit \(64\)/);
  });

  it("reads as many names as a body holds", { timeout: 60_000 }, () => {
    const names = Array.from({ length: 150_000 }, (_, i) => ({ name: `o${i}` }));
    const outputs = parse(JSON.stringify({ inputs: [], outputs: [...names, ...names] })).outputs;
    assert.equal(outputs.length, names.length);
    const inputs = names
      .slice(0, 60_000)
      .map((input) => ({ ...input, datatype: "BOOL", shape: [0], data: [] }));
    assert.equal(parse(JSON.stringify({ inputs })).inputs.length, inputs.length);
    assert.throws(() => parse(JSON.stringify({ inputs: [...inputs, inputs[7]] })), /'o7' already exists/);
  });

  it("only ever throws errors of ours, whatever the bytes", () => {
    const good = Buffer.from(
      JSON.stringify({
        id: "é",
        parameters: { timeout: 5, f: 1.5e3, g: true },
        inputs: [
          {
            name: "a",
            shape: [2, 2],
            datatype: "FP32",
            data: [
              [1.5, -2e-3],
              [3, 4],
            ],
          },
          { data: ["x", "\n😀"], name: "b", datatype: "BYTES", shape: [2] },
          { name: "c", shape: [3], datatype: "INT64", data: [1, 2, 0] },
          { name: "d", shape: [2], datatype: "BOOL", data: [true, false] },
          { name: "e", shape: [1], datatype: "FP16", parameters: { binary_data_size: 2 } },
        ],
        outputs: [{ name: "y", parameters: { binary_data: true } }],
      }).replace("[1,2,0]", "[1,-9223372036854775808,0]"),
    );
    assert.equal(parseInferRequest(good).inputs.length, 5);
    const edit = fc.record({
      at: fc.nat(good.length),
      remove: fc.nat(6),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 4 }),
        fc
          .constantFrom("[", "]", "{", "}", ",", ":", '"', "\\", "-", "1e9", "NaN", "null", "\\ud800")
          .map((s) => Buffer.from(s)),
      ),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), (edits, cut) => {
        let bytes = good;
        for (const { at, remove, insert } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        }
        if (cut) bytes = bytes.subarray(0, edits[0]!.at);
        try {
          parseInferRequest(bytes);
        } catch (error) {
          if (!isTenonError(error)) throw error;
          assert.ok(
            ["REQUEST_INVALID", "INPUT_VALUE", "INPUT_DUPLICATE", "REQUEST_UNSUPPORTED"].includes(error.code),
            error.code,
          );
        }
      }),
      { numRuns: 5000, seed: 11 },
    );
  });
});
