/** Pickles with demands, lies and bombs: an error of ours, and nothing is called. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isTenonError } from "tenon/base";
import { materialize, openWeights } from "tenon/torch";
import { checkpoint, op, pickle, pickledTensor } from "../support/archives.js";
import { plain, refused, storage, valuesOf } from "../support/weight-files.js";

suite("pickles", () => {
  test("a state dict, views of one storage, a parameter", async () => {
    const data = pickle(
      op.dict({
        a: Buffer.concat([plain, op.put(9)]),
        turned: pickledTensor({ count: 6, offset: 1, shape: [2, 2], strides: [1, 2] }),
        tied: op.get(9),
        parameter: op.call(
          "torch._utils",
          "_rebuild_parameter",
          op.get(9),
          op.false,
          op.call("collections", "OrderedDict"),
        ),
        nested: op.dict({ epoch: op.int(3), name: op.text("x") }),
      }),
    );
    const weights = await openWeights(checkpoint(data, { 0: storage }));
    assert.deepEqual(valuesOf(weights), {
      a: [
        [1, 2, 3],
        [4, 5, 6],
      ],
      turned: [
        [2, 4],
        [3, 5],
      ],
      tied: [
        [1, 2, 3],
        [4, 5, 6],
      ],
      parameter: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    });
    assert.deepEqual(
      [...weights.metadata],
      [
        ["nested.epoch", "3"],
        ["nested.name", "x"],
      ],
    );
    assert.equal(weights.tensors.get("a")?.storage, weights.tensors.get("turned")?.storage);
  });

  const loot = join(tmpdir(), `tenon-loot-${process.pid}`);
  const demands: Readonly<Record<string, Buffer>> = {
    "os.system": op.call("posix", "system", op.text(`touch ${loot}`)),
    eval: op.call("builtins", "eval", op.text("1")),
    getattr: op.call("builtins", "getattr", op.text("a"), op.text("b")),
    "a prototype": op.call("__proto__", "constructor", op.text("a")),
    "a method of maps": op.call("collections", "OrderedDict.fromkeys", op.emptyList),
  };
  for (const [name, demand] of Object.entries(demands)) {
    test(`${name} is named and not called`, async () => {
      const file = checkpoint(pickle(op.dict({ a: plain, x: demand })), { 0: storage });
      await refused(file, /not on the list of constructors/);
      const inert = await openWeights(file, { unknown: "placeholder" });
      assert.deepEqual([...inert.tensors.keys()], ["a"]);
      assert.ok(!existsSync(loot));
    });
  }

  test("a name that nothing calls is data", async () => {
    const data = pickle(op.dict({ a: plain, optimizer: op.global("torch.optim", "Adam") }));
    const { metadata } = await openWeights(checkpoint(data, { 0: storage }));
    assert.equal(metadata.get("optimizer"), "torch.optim.Adam");
  });

  test("a tensor that depends on a placeholder is refused", async () => {
    const made = op.call("evil", "shape");
    const data = pickle(
      op.call("torch._utils", "_rebuild_tensor_v2", made, op.int(0), op.emptyTuple, op.emptyTuple),
    );
    await assert.rejects(
      openWeights(checkpoint(data), { unknown: "placeholder" }),
      /depends on something that is no storage/,
    );
  });

  const called = (path: string, ...args: readonly Buffer[]): Buffer => op.call("torch._utils", path, ...args);
  const wrong: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
    "a quantised tensor": [pickle(called("_rebuild_qtensor")), /quantised/],
    "a sparse tensor": [pickle(called("_rebuild_sparse_tensor")), /sparse/],
    "a quantised storage": [
      pickle(pickledTensor({ storage: "QInt8Storage", count: 6, shape: [1], strides: [1] })),
      /quantised/,
    ],
    "an unknown storage": [
      pickle(pickledTensor({ storage: "EvilStorage", count: 6, shape: [1], strides: [1] })),
      /element type/,
    ],
    "a storage that is not there": [
      pickle(pickledTensor({ key: "7", count: 6, shape: [1], strides: [1] })),
      /no entry/,
    ],
    "a storage outside the archive": [
      pickle(pickledTensor({ key: "../version", count: 6, shape: [1], strides: [1] })),
      /no entry/,
    ],
    "a storage of another size": [
      pickle(pickledTensor({ count: 7, shape: [1], strides: [1] })),
      /another size/,
    ],
    "a storage of a negative size": [
      pickle(pickledTensor({ count: -6, shape: [1], strides: [1] })),
      /no count/,
    ],
    "a view beyond the storage": [
      pickle(pickledTensor({ count: 6, shape: [7], strides: [1] })),
      /leaves its storage/,
    ],
    "an offset beyond the storage": [
      pickle(pickledTensor({ count: 6, offset: 6, shape: [1], strides: [1] })),
      /leaves its storage/,
    ],
    "a negative stride": [
      pickle(pickledTensor({ count: 6, offset: 5, shape: [2], strides: [-1] })),
      /no count/,
    ],
    "a negative size": [pickle(pickledTensor({ count: 6, shape: [-1], strides: [1] })), /no count/],
    "another number of strides": [
      pickle(pickledTensor({ count: 6, shape: [1, 1], strides: [1] })),
      /number of strides/,
    ],
    "a size that overflows": [
      pickle(pickledTensor({ count: 6, shape: [2 ** 30, 2 ** 30], strides: [0, 0] })),
      /larger than any file/,
    ],
    "an item set on a tensor": [pickle(plain, op.text("a"), op.int(1), Buffer.from("s")), /no dict/],
    "an item set on a list": [pickle(op.emptyList, op.text("a"), op.int(1), Buffer.from("s")), /no dict/],
    "an append to a dict": [pickle(op.emptyDict, op.int(1), op.append), /no list/],
    "a call of a text": [pickle(op.text("a"), op.emptyTuple, op.reduce), /no name/],
    "attributes of a list": [pickle(op.emptyList, op.emptyDict, op.build), /has none/],
    "a persistent id of another kind": [pickle(op.text("a"), op.persistent), /no storage/],
    INST: [pickle(op.mark, Buffer.from("ios\nsystem\n")), /opcode.*0x69/],
    OBJ: [pickle(op.mark, op.global("os", "system"), Buffer.from("o")), /opcode.*0x6f/],
    EXT1: [pickle(Buffer.of(0x82, 1)), /opcode.*0x82/],
    NEWOBJ_EX: [
      pickle(op.global("os", "system"), op.emptyTuple, op.emptyDict, Buffer.of(0x92)),
      /opcode.*0x92/,
    ],
    "protocol 6": [Buffer.concat([op.proto(6), op.none, op.stop]), /unknown protocol/],
    "an empty stack": [pickle(), /not there/],
    "values left behind": [pickle(op.none, op.none), /leaves values/],
    "a mark left behind": [pickle(op.mark, op.none), /leaves values/],
    "a memo that is not there": [pickle(op.get(3)), /memo that is not there/],
    "a string longer than the file": [pickle(Buffer.from([0x58, 0xff, 0xff, 0xff, 0])), /cut off/],
    "a string longer than allowed": [pickle(Buffer.from([0x58, 0xff, 0xff, 0xff, 0xff])), /too long/],
    "no end": [Buffer.concat([op.proto(), op.none]), /cut off/],
    "a deep stack of marks": [pickle(Buffer.alloc(2000, "(")), /nested too deeply/],
    "deep lists": [
      pickle(Buffer.alloc(3000, "]"), Buffer.alloc(2999, "a")),
      /contains itself, or is nested too deeply/,
    ],
    "a list in itself": [pickle(op.emptyList, op.put(0), op.get(0), op.append), /contains itself/],
    "too many values on the stack": [pickle(Buffer.alloc(1_000_001, "N")), /stack is too large/],
    "too many collections": [pickle(Buffer.alloc(2_100_000, "}0")), /too many collections/],
    "a key without a value": [pickle(op.emptyDict, op.mark, op.none, op.setItems), /key without a value/],
  };
  for (const [name, [data, message]] of Object.entries(wrong)) {
    test(`refuses ${name}`, () => refused(checkpoint(data, { 0: storage }), message));
  }

  test("lists of lists of lists do not take for ever", async () => {
    let laughs = Buffer.concat([op.emptyList, op.put(0)]);
    for (let level = 1; level < 30; level++) {
      const ten = Buffer.concat(Array.from({ length: 10 }, () => op.get(level - 1)));
      laughs = Buffer.concat([laughs, op.emptyList, op.mark, ten, Buffer.from("e"), op.put(level)]);
    }
    const last = Buffer.concat([op.tuple(op.get(29))]);
    await refused(checkpoint(pickle(laughs, Buffer.from("0".repeat(30)), last)), /too many values/);
  });

  test("a list copied again and again does not fill the memory", async () => {
    const list = Buffer.concat([
      op.emptyList,
      op.mark,
      Buffer.alloc(50_000, "N"),
      Buffer.from("e"),
      op.put(0),
    ]);
    const copy = Buffer.concat([op.call("builtins", "list", op.get(0)), Buffer.from("0")]);
    const copies = Buffer.concat(Array.from({ length: 2_000 }, () => copy));
    await refused(checkpoint(pickle(list, copies)), /copies too much/);
  });

  test("a view that repeats is listed, and capped when it is read", async () => {
    const data = pickle(pickledTensor({ count: 6, shape: [2 ** 20, 2 ** 20], strides: [0, 0] }));
    const { tensors } = await openWeights(checkpoint(data, { 0: storage }));
    assert.throws(
      () => materialize(tensors.get("tensor")!),
      (error) => isTenonError(error, "TENSOR_SHAPE"),
    );
  });
});
