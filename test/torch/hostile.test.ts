/** Files that lie: zip tricks, pickles with demands, JSON bombs, views without end, and bytes turned at random. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { isTenonError } from "tenon/base";
import { decodeProgram, materialize, openWeights, readProgram, type Weights } from "tenon/torch";
import { checkpoint, op, pickle, pickledTensor, type StoredEntry, storedZip } from "../support/archives.js";
import { seededRandom } from "../support/random.js";
import { programArchive } from "../support/tiny-program.js";

const floats = (...values: readonly number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);
const storage = floats(1, 2, 3, 4, 5, 6);
const plain = pickledTensor({ count: 6, shape: [2, 3], strides: [3, 1] });

async function refused(file: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(openWeights(file), (error) => {
    assert.ok(isTenonError(error), String(error));
    assert.match(error.message, message);
    return true;
  });
}

const valuesOf = ({ tensors }: Weights): unknown =>
  Object.fromEntries([...tensors].map(([name, ref]) => [name, materialize(ref).toArray()]));

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

suite("zip archives", () => {
  const data = pickle(op.dict({ a: plain }));
  const entries = (lie: StoredEntry["lie"] = {}): StoredEntry[] => [
    { name: "archive/data.pkl", data },
    { name: "archive/data/0", data: storage, lie },
  ];
  const wrong: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "a name twice": [storedZip([...entries(), { name: "archive/data.pkl", data }]), /two entries/],
    "two names for one entry": [storedZip(entries({ localName: "archive/data/1" })), /two names/],
    "two ways of packing": [storedZip(entries({ localMethod: 8 })), /packed in two ways/],
    "a compressed weight": [storedZip(entries({ method: 8 })), /is compressed/],
    "an encrypted weight": [storedZip(entries({ flags: 1 })), /is encrypted/],
    "an overlap": [storedZip(entries({ local: 0 })), /overlap/],
    "a size beyond the directory": [storedZip(entries({ size: 4096 })), /overlap|cut off/],
    "a header that is none": [storedZip(entries({ local: 3, size: 1 })), /overlap|missing/],
    "more entries than listed": [storedZip(entries(), { count: 1 }), /another size than its entries/],
    "fewer entries than listed": [storedZip(entries(), { count: 3 }), /cut off/],
    "a directory outside the file": [storedZip(entries(), { offset: 1 << 30 }), /cut off/],
    "a way out": [storedZip([...entries(), { name: "archive/../../etc/passwd", data }]), /leads out/],
    "an absolute name": [storedZip([...entries(), { name: "/etc/passwd", data }]), /leads out/],
    "a Windows path": [storedZip([...entries(), { name: "a\\..\\b", data }]), /leads out/],
    "a wrong checksum": [storedZip([{ name: "archive/data.pkl", data, lie: { crc: 1 } }]), /checksum/],
    "nothing of ours": [storedZip([{ name: "a.txt", data }]), /no weights/],
    "compiled code": [storedZip([{ name: "m/data/aotinductor/model/a.so", data }]), /compiled code/],
    "an ExecuTorch program": [storedZip([{ name: "m/model.pte", data }]), /ExecuTorch/],
  };
  for (const [name, [file, message]] of Object.entries(wrong)) {
    test(`refuses ${name}`, () => refused(file, message));
  }

  test("refuses big-endian numbers", () =>
    refused(
      storedZip([...entries(), { name: "archive/byteorder", data: Buffer.from("big") }]),
      /big-endian/,
    ));

  test("64-bit records are read", async () => {
    assert.equal((await openWeights(storedZip(entries(), { wide: true }))).tensors.size, 1);
  });

  test("refuses more than 65,536 entries before it lists them", () => {
    const filler = { name: "filler", data: new Uint8Array(46 * 65_537) };
    const lies = { wide: true, count: 65_537, offset: 0, size: 46 * 65_537 };
    return refused(storedZip([...entries(), filler], lies), /too many entries/);
  });

  test("a weight's checksum is compared when asked", async () => {
    const file = storedZip(entries({ crc: 1 }));
    assert.equal((await openWeights(file)).tensors.size, 1);
    await assert.rejects(openWeights(file, { verify: true }), /checksum/);
  });
});

suite("other files", () => {
  const named: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "a bare pickle": [pickle(op.none), /bare pickle/],
    "a tar file": [
      Uint8Array.from({ length: 512 }, (_, i) => "ustar".charCodeAt(i - 257) || 0),
      /\.tar checkpoint/,
    ],
    GGUF: [Buffer.from("GGUF\0\0\0\0"), /GGUF/],
    ExecuTorch: [Buffer.from("\x10\0\0\0ET12\0\0\0\0"), /ExecuTorch/],
    nothing: [new Uint8Array(0), /no weights/],
    text: [Buffer.from("hello, world"), /no weights/],
  };
  for (const [name, [file, message]] of Object.entries(named))
    test(`refuses ${name}`, () => refused(file, message));
});

const LEGACY_MAGIC = Buffer.from([
  0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
]);

function legacy(
  root: Buffer,
  keys: readonly string[],
  tail: readonly Uint8Array[],
  littleEndian = true,
): Uint8Array {
  const info = op.dict({ little_endian: Buffer.of(littleEndian ? 0x88 : 0x89) });
  const list = Buffer.concat([op.emptyList, op.mark, ...keys.map(op.text), Buffer.from("e")]);
  const pickles = [pickle(op.int(1001)), pickle(info), pickle(root), pickle(list)];
  return new Uint8Array(Buffer.concat([LEGACY_MAGIC, ...pickles, ...tail]));
}

function counted(data: Uint8Array, count = data.length / 4): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(count));
  return Buffer.concat([length, data]);
}

const legacyTensor = pickledTensor({ count: 6, shape: [2, 3], strides: [3, 1], legacy: true });

suite("the old format", () => {
  test("is read", async () => {
    const weights = await openWeights(legacy(op.dict({ a: legacyTensor }), ["0"], [counted(storage)]));
    assert.equal(weights.format, "torch-legacy");
    assert.deepEqual(valuesOf(weights), {
      a: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    });
  });

  const root = op.dict({ a: legacyTensor });
  const wrong: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "big-endian numbers": [legacy(root, ["0"], [counted(storage)], false), /big-endian/],
    "bytes left over": [legacy(root, ["0"], [counted(storage), Buffer.of(0)]), /after the last storage/],
    "a storage that is missing": [legacy(root, [], []), /no data/],
    "a storage that is cut off": [legacy(root, ["0"], [counted(storage.subarray(4), 6)]), /cut off/],
    "a storage of another size": [legacy(root, ["0"], [counted(storage, 5)]), /another size/],
    "a storage of a size beyond 2^53": [legacy(root, ["0"], [Buffer.alloc(8, 0xff)]), /another size/],
    "a storage twice": [legacy(root, ["0", "0"], [counted(storage), counted(storage)]), /one twice/],
    "a storage that nobody uses": [legacy(root, ["1"], [counted(storage)]), /nothing uses/],
    "no more than the magic": [new Uint8Array(LEGACY_MAGIC), /cut off/],
  };
  for (const [name, [file, message]] of Object.entries(wrong))
    test(`refuses ${name}`, () => refused(file, message));
});

/** The least program: one input, one weight, one node. */
const meta = { dtype: 7, sizes: [{ as_int: 2 }, { as_int: 3 }], strides: [{ as_int: 3 }, { as_int: 1 }] };
const rest = {
  requires_grad: false,
  device: { type: "cpu", index: null },
  storage_offset: { as_int: 0 },
  layout: 7,
};
const tensor = (name: string): object => ({ as_tensor: { name } });
const program = {
  graph_module: {
    graph: {
      inputs: [tensor("w"), tensor("x")],
      outputs: [tensor("y")],
      nodes: [
        {
          target: "torch.ops.aten.add.Tensor",
          inputs: [
            { name: "self", arg: tensor("x"), kind: 1 },
            { name: "other", arg: tensor("w"), kind: 1 },
            { name: "alpha", arg: { as_float: "Infinity" }, kind: 2 },
          ],
          outputs: [tensor("y")],
          metadata: { stack_trace: "secret", nn_module_stack: "L__self__,,M;L__self___a,a.b,M" },
        },
      ],
      tensor_values: { w: { ...meta, ...rest }, x: { ...meta, ...rest }, y: { ...meta, ...rest } },
      sym_int_values: {},
      sym_bool_values: {},
    },
    signature: {
      input_specs: [
        { parameter: { arg: { name: "w" }, parameter_name: "lin.w" } },
        { user_input: { arg: tensor("x") } },
      ],
      output_specs: [{ user_output: { arg: tensor("y") } }],
    },
    module_call_graph: [],
  },
  opset_version: { aten: 10 },
  range_constraints: {},
  schema_version: { major: 8, minor: 20 },
  torch_version: "2.13.0",
};

function pt2(json: string, config: object = { "lin.w": {} }, weight: Uint8Array = storage): Uint8Array {
  const payload = {
    path_name: "weight_0",
    is_param: true,
    use_pickle: false,
    tensor_meta: { ...meta, ...rest },
  };
  const payloads = Object.fromEntries(
    Object.entries(config).map(([name, change]) => [name, { ...payload, ...change }]),
  );
  return programArchive(json, payloads, weight);
}

const text = JSON.stringify(program);

suite("exported programs", () => {
  test("the least one is read", async () => {
    const read = await readProgram(pt2(text));
    assert.equal(read.graph.nodes[0]?.module, "a.b");
    assert.deepEqual(read.graph.nodes[0]?.inputs[2]?.arg, { kind: "float", value: Number.POSITIVE_INFINITY });
    assert.deepEqual(materialize(read.weights.get("lin.w")!).toArray(), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const older = await readProgram(pt2(text.replace('"Infinity"', "Infinity")));
    assert.deepEqual(older.graph.nodes, read.graph.nodes);
  });

  test("the container of PyTorch 2.8 holds checkpoints", async () => {
    const inner = checkpoint(pickle(op.dict({ "lin.w": plain })), { 0: storage });
    const file = storedZip([
      { name: "m/archive_format", data: Buffer.from("pt2") },
      { name: "m/models/model.json", data: Buffer.from(text) },
      { name: "m/data/weights/model.pt", data: inner },
    ]);
    const read = await readProgram(file);
    assert.deepEqual(materialize(read.weights.get("lin.w")!).toArray(), [
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  const wrong: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "schema 9": [pt2(text.replace('"major":8', '"major":9')), /schema version/],
    "an unknown kind of argument": [pt2(text.replace("as_float", "as_future")), /unknown kind.*as_future/],
    "an argument of two kinds": [
      pt2(text.replace('"as_float":"Infinity"', '"as_float":1,"as_int":1')),
      /one member/,
    ],
    "a key twice": [pt2(text.replace('"opset_version"', '"opset_version":{},"opset_version"')), /twice/],
    "a weight that is missing": [pt2(text, {}), /lacks parameter "lin\.w"/],
    "a pickled weight": [pt2(text, { "lin.w": { use_pickle: true } }), /pickled object/],
    "a path out": [pt2(text, { "lin.w": { path_name: "../models/model.json" } }), /not allowed/],
    "a weight that is too short": [pt2(text, undefined, storage.subarray(4)), /leaves its storage/],
    "a weight of an odd type": [
      pt2(text, { "lin.w": { tensor_meta: { ...meta, ...rest, dtype: 9 } } }),
      /element type/,
    ],
    "a sparse weight": [
      pt2(text, { "lin.w": { tensor_meta: { ...meta, ...rest, layout: 1 } } }),
      /not dense/,
    ],
    "deep nesting": [
      pt2(text.replace('"range_constraints":{}', `"range_constraints":${"[".repeat(500)}`)),
      /nested too deeply/,
    ],
    "another number of inputs": [pt2(text.replace('[{"as_tensor":{"name":"w"}},', "[")), /number of inputs/],
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
      Buffer.from(text.replace('"tensor_values":{', `"tensor_values":{${many},`)),
      "m",
    );
    assert.equal(read.graph.tensors.size, 100_003);
    assert.throws(
      () => read.graph.tensors.get("v7"),
      (error) => isTenonError(error, "FILE_INVALID"),
    );
  });
});

suite("bytes turned at random", () => {
  const data = pickle(
    op.dict({ a: plain, b: pickledTensor({ count: 6, offset: 1, shape: [2, 2], strides: [1, 2] }) }),
  );
  const sources: Readonly<Record<string, (mutate: (bytes: Uint8Array) => Uint8Array) => Uint8Array>> = {
    "a checkpoint": (mutate) => mutate(checkpoint(data, { 0: storage })),
    "a pickle with a right checksum": (mutate) => checkpoint(mutate(data), { 0: storage }),
    "a checkpoint of the old format": (mutate) =>
      mutate(legacy(op.dict({ a: legacyTensor }), ["0"], [counted(storage)])),
    "an exported program": (mutate) => mutate(pt2(text)),
    "a program's JSON with a right checksum": (mutate) =>
      pt2(Buffer.from(mutate(Buffer.from(text))).toString("latin1")),
  };
  for (const [name, make] of Object.entries(sources)) {
    test(`${name}: an error of ours, or tensors within bounds`, async () => {
      const random = seededRandom(5);
      for (let round = 0; round < 300; round++) {
        const file = make((bytes) => turned(bytes, random));
        for (const open of [
          openWeights,
          async (input: Uint8Array) => ({ tensors: (await readProgram(input)).weights }),
        ]) {
          try {
            for (const ref of (await open(file)).tensors.values()) materialize(ref, { maxBytes: 2 ** 20 });
          } catch (error) {
            assert.ok(isTenonError(error), `round ${round}: ${(error as Error).stack}`);
          }
        }
      }
    });
  }
});

/** A few bytes changed, cut, doubled or put in. */
function turned(bytes: Uint8Array, random: () => number): Uint8Array {
  let out = Uint8Array.from(bytes);
  const edits = 1 + Math.floor(random() * 3);
  for (let i = 0; i < edits; i++) {
    const at = Math.floor(random() * out.length);
    const value = Math.floor(random() * 256);
    const kind = random();
    if (kind < 0.6) out[at] = value;
    else if (kind < 0.75) out[at] = out[at]! ^ (1 << (value % 8));
    else if (kind < 0.85) out = out.slice(0, at);
    else if (kind < 0.95) out = Uint8Array.from([...out.slice(0, at), value, ...out.slice(at)]);
    else out = Uint8Array.from([...out.slice(0, at), ...out.slice(Math.max(0, at - 16))]);
  }
  return out;
}
