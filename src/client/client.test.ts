/** Requests and answers of the client, without a server: encodings, shapes, declarations, damaged answers. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Client } from "./client.js";
import { decodeElements, encodeElements } from "./datatypes.js";
import { declareModels } from "./declaration.js";
import { InferenceError } from "./errors.js";
import { solveShape } from "./shape.js";
import { decodeAnswer, encodeRequest } from "./wire.js";

describe("datatypes of the client", () => {
  test("elements come back from their bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
        const bytes = encodeElements("INT64", values);
        assert.deepEqual([...decodeElements("INT64", bytes, values.length)], values);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (texts) => {
        const bytes = encodeElements("BYTES", texts);
        assert.deepEqual(
          decodeElements("BYTES", bytes, texts.length),
          texts.map((text) => text.toWellFormed()),
        );
      }),
    );
  });

  test("elements at an odd place of a buffer", () => {
    const bytes = new Uint8Array(9);
    bytes.set(encodeElements("FP32", [1.5, -2]), 1);
    assert.deepEqual(decodeElements("FP32", bytes.subarray(1), 2), Float32Array.of(1.5, -2));
  });

  test("no value is guessed", () => {
    assert.throws(() => encodeElements("FP32", new Float64Array(1)), /FP32 is carried by Float32Array/);
    assert.throws(() => encodeElements("INT64", [1]), /bigint, and element 0 is of type number/);
    assert.throws(() => encodeElements("FP16", [1]), /bit patterns/);
    assert.throws(() => encodeElements("UINT8", [0, 256]), /UINT8 cannot hold 256, which is element 1/);
    assert.throws(() => encodeElements("INT32", [1.5]), /cannot hold 1.5/);
    assert.throws(() => encodeElements("INT32", [Number.NaN]), /cannot hold NaN/);
    assert.throws(() => encodeElements("INT64", [2n ** 63n]), /cannot hold 9223372036854775808/);
    assert.throws(() => encodeElements("UINT64", [-1n]), /cannot hold -1/);
    assert.throws(() => encodeElements("BYTES", ["a", 1] as never), /element 1 is of type number/);
    assert.throws(() => decodeElements("BYTES", Uint8Array.of(9, 0, 0, 0, 65), 1), RangeError);
    assert.throws(() => decodeElements("BYTES", Uint8Array.of(1, 0, 0, 0, 65, 66), 1), RangeError);
    assert.throws(() => decodeElements("FP32", new Uint8Array(5), 1), RangeError);
  });
});

describe("shapes that are left out", () => {
  test("one open dim is solved", () => {
    assert.deepEqual(solveShape("x", [-1, 3], 6), [2, 3]);
    assert.deepEqual(solveShape("x", [2, 3], 6), [2, 3]);
    assert.deepEqual(solveShape("x", [-1], 0), [0]);
  });

  test("several, and numbers that do not divide, are refused", () => {
    assert.throws(() => solveShape("x", [-1, -1], 6), /several open dims/);
    assert.throws(() => solveShape("x", [-1, 4], 6), /no multiple of 4/);
  });
});

describe("answers", () => {
  const answer = (header: object, ...sections: Uint8Array[]): [Uint8Array, number] => {
    const json = Buffer.from(JSON.stringify(header));
    return [new Uint8Array(Buffer.concat([json, ...sections])), json.length];
  };
  const y = { name: "y", datatype: "FP32", shape: [2] };

  test("binary and JSON outputs side by side", () => {
    const [body, length] = answer(
      {
        model_name: "m",
        model_version: "1",
        outputs: [
          { ...y, parameters: { binary_data_size: 8 } },
          { name: "label", datatype: "BYTES", shape: [2, 1], data: [["a"], ["b"]] },
        ],
      },
      encodeElements("FP32", [1, 2]),
    );
    const { outputs, modelName } = decodeAnswer(body, length);
    assert.equal(modelName, "m");
    assert.deepEqual(outputs.get("y")?.data, Float32Array.of(1, 2));
    assert.deepEqual(outputs.get("label"), { datatype: "BYTES", shape: [2, 1], data: ["a", "b"] });
  });

  test("JSON values are taken as they are, or refused", () => {
    const read = (datatype: string, data: readonly unknown[]): unknown =>
      decodeAnswer(...answer({ outputs: [{ name: "y", datatype, shape: [data.length], data }] })).outputs.get(
        "y",
      )?.data;
    assert.deepEqual(read("INT64", [1, -2]), BigInt64Array.of(1n, -2n));
    assert.deepEqual(read("BOOL", [true, false, 1, 0]), Uint8Array.of(1, 0, 1, 0));
    assert.deepEqual(read("FP32", [0.5, 3]), Float32Array.of(0.5, 3));
    const refused: [string, unknown][] = [
      ["INT64", 2 ** 53],
      ["INT64", 0.5],
      ["UINT8", 256],
      ["FP32", null],
      ["FP16", 1.5],
      ["BOOL", 2],
      ["BYTES", 7],
    ];
    for (const [datatype, value] of refused) {
      assert.throws(() => read(datatype, [value]), InferenceError, `${datatype} ${value}`);
    }
  });

  test("damaged ones are errors of one kind", () => {
    const damaged: [Uint8Array, number][] = [
      answer({ outputs: [{ ...y, parameters: { binary_data_size: 8 } }] }),
      answer({ outputs: [{ ...y, datatype: "FP33", data: [1, 2] }] }),
      answer({ outputs: [{ ...y, data: [1] }] }),
      answer({ outputs: [y] }),
      answer({ error: "none" }),
      [Buffer.from("{"), 1],
      [Buffer.from("{}"), 99],
      [Buffer.from("{}"), Number.NaN],
    ];
    for (const [body, length] of damaged) {
      assert.throws(() => decodeAnswer(body, length), InferenceError, Buffer.from(body).toString());
    }
  });

  test("a request says how long each part is", () => {
    const { body, headerLength } = encodeRequest(
      [{ name: "x", datatype: "UINT8", shape: [2], data: Uint8Array.of(7, 8) }],
      { id: "a", outputs: ["y"], parameters: { priority: 1 } },
    );
    assert.deepEqual(JSON.parse(Buffer.from(body.subarray(0, headerLength)).toString()), {
      id: "a",
      parameters: { priority: 1, binary_data_output: true },
      inputs: [{ name: "x", datatype: "UINT8", shape: [2], parameters: { binary_data_size: 2 } }],
      outputs: [{ name: "y", parameters: { binary_data: true } }],
    });
    assert.deepEqual([...body.subarray(headerLength)], [7, 8]);
    assert.throws(
      () => encodeRequest([{ name: "x", datatype: "UINT8", shape: [3], data: Uint8Array.of(1) }], {}),
      /has 3 elements, and 1 were given/,
    );
  });
});

describe("addresses and declarations", () => {
  test("only http and https", () => {
    assert.throws(() => new Client("file:///etc"), TypeError);
    assert.throws(() => new Client("127.0.0.1:8000"), TypeError);
    assert.equal(new Client("http://127.0.0.1:8000//").url, "http://127.0.0.1:8000");
  });

  test("names of any kind, and texts that would end the comment", () => {
    const model = {
      name: "a-b",
      platform: "p",
      inputs: [{ name: "x*/0", datatype: "FP32", shape: [-1, 2] }],
      outputs: [{ name: "y", datatype: "BYTES", shape: [1] }],
    };
    const text = declareModels([model], "*/ evil");
    assert.match(text, /readonly "a-b": \{/);
    assert.match(text, /readonly inputs: \{ readonly "x\*\/0": "FP32" \};/);
    assert.match(text, /readonly outputs: \{ readonly y: "BYTES" \};/);
    assert.equal(text.match(/\*\//g)?.length, 3);
    const odd = { ...model, outputs: [{ name: "y", datatype: "FP33", shape: [] }] };
    assert.throws(() => declareModels([odd], "s"), /FP33/);
  });
});
