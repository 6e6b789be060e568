/** Exported programs that lie, and the least one that does not. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isTenonError } from "tenon/base";
import { decodeProgram, materialize, readProgram } from "tenon/torch";
import { checkpoint, op, pickle, storedZip } from "../support/archives.js";
import { meta, plain, programText, pt2, rest, storage } from "../support/weight-files.js";

suite("exported programs", () => {
  test("the least one is read", async () => {
    const read = await readProgram(pt2(programText));
    assert.equal(read.graph.nodes[0]?.module, "a.b");
    assert.deepEqual(read.graph.nodes[0]?.inputs[2]?.arg, { kind: "float", value: Number.POSITIVE_INFINITY });
    assert.deepEqual(materialize(read.weights.get("lin.w")!).toArray(), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const older = await readProgram(pt2(programText.replace('"Infinity"', "Infinity")));
    assert.deepEqual(older.graph.nodes, read.graph.nodes);
  });

  test("the container of PyTorch 2.8 holds checkpoints", async () => {
    const inner = checkpoint(pickle(op.dict({ "lin.w": plain })), { 0: storage });
    const file = storedZip([
      { name: "m/archive_format", data: Buffer.from("pt2") },
      { name: "m/models/model.json", data: Buffer.from(programText) },
      { name: "m/data/weights/model.pt", data: inner },
    ]);
    const read = await readProgram(file);
    assert.deepEqual(materialize(read.weights.get("lin.w")!).toArray(), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  const wrong: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "schema 9": [pt2(programText.replace('"major":8', '"major":9')), /schema version/],
    "an unknown kind of argument": [
      pt2(programText.replace("as_float", "as_future")),
      /unknown kind.*as_future/,
    ],
    "an argument of two kinds": [
      pt2(programText.replace('"as_float":"Infinity"', '"as_float":1,"as_int":1')),
      /one member/,
    ],
    "a key twice": [
      pt2(programText.replace('"opset_version"', '"opset_version":{},"opset_version"')),
      /twice/,
    ],
    "a weight that is missing": [pt2(programText, {}), /lacks parameter "lin\.w"/],
    "a pickled weight": [pt2(programText, { "lin.w": { use_pickle: true } }), /pickled object/],
    "a path out": [pt2(programText, { "lin.w": { path_name: "../models/model.json" } }), /not allowed/],
    "a weight that is too short": [pt2(programText, undefined, storage.subarray(4)), /leaves its storage/],
    "a weight of an odd type": [
      pt2(programText, { "lin.w": { tensor_meta: { ...meta, ...rest, dtype: 9 } } }),
      /element type/,
    ],
    "a sparse weight": [
      pt2(programText, { "lin.w": { tensor_meta: { ...meta, ...rest, layout: 1 } } }),
      /not dense/,
    ],
    "deep nesting": [
      pt2(programText.replace('"range_constraints":{}', `"range_constraints":${"[".repeat(500)}`)),
      /nested too deeply/,
    ],
    "another number of inputs": [
      pt2(programText.replace('[{"as_tensor":{"name":"w"}},', "[")),
      /number of inputs/,
    ],
  };
  for (const [name, [file, message]] of Object.entries(wrong)) {
    test(`refuses ${name}`, () =>
      assert.rejects(readProgram(file), (error) => {
        assert.ok(isTenonError(error), String(error));
        assert.match(error.message, message);
        return true;
      }));
  }

  test("metadata that nobody asks for costs nothing, and lies in it are found when asked", () => {
    const many = Array.from({ length: 100_000 }, (_, i) => `"v${i}":{"dtype":true}`).join(",");
    const read = decodeProgram(
      Buffer.from(programText.replace('"tensor_values":{', `"tensor_values":{${many},`)),
      "m",
    );
    assert.equal(read.graph.tensors.size, 100_003);
    assert.throws(
      () => read.graph.tensors.get("v7"),
      (error) => isTenonError(error, "FILE_INVALID"),
    );
  });
});
