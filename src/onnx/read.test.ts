/** The reader: what it refuses, what it keeps, how little it reads, and that damaged bytes give only our errors. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { TenonError } from "../base/index.js";
import { tensorFromStorage } from "../tensor/index.js";
import { graph } from "./builder.js";
import { encode } from "./encode.js";
import type { Model } from "./graph.js";
import {
  ATTRIBUTE,
  type AttributeProto,
  DIM,
  GRAPH,
  type GraphProto,
  type Int,
  type Message,
  MODEL,
  type ModelProto,
  make,
  NODE,
  OPERATOR_SET,
  SHAPE,
  TENSOR,
  TENSOR_TYPE,
  type TensorProto,
  TYPE,
  VALUE_INFO,
} from "./proto.js";
import { parse, readModel } from "./read.js";
import { FileSource } from "./source.js";
import { readTensor } from "./tensor-data.js";
import { concat } from "./types.js";
import { writeModel } from "./write.js";

const OPSETS = [make(OPERATOR_SET, { version: 20 })];

function modelBytes(parts: Partial<GraphProto>, model: Partial<ModelProto> = {}): Uint8Array {
  const message = make(MODEL, { irVersion: 10, opsets: OPSETS, graph: make(GRAPH, parts), ...model });
  return concat(encode(message, MODEL).chunks);
}

const withTensor = (parts: Partial<TensorProto>): Uint8Array =>
  modelBytes({ initializer: [make(TENSOR, { name: "w", ...parts })] });

const withAttribute = (parts: Partial<AttributeProto>): Uint8Array =>
  modelBytes({
    node: [make(NODE, { opType: "Relu", attribute: [make(ATTRIBUTE, { name: "a", ...parts })] })],
  });

/** A message's bytes with records behind them that its table does not write. */
function withRecords(base: Uint8Array, write: (writer: BinaryWriter) => BinaryWriter): Uint8Array {
  return write(new BinaryWriter().raw(base)).finish();
}

const withInputDim = (value: Int): Uint8Array =>
  modelBytes({
    input: [
      make(VALUE_INFO, {
        name: "x",
        type: make(TYPE, {
          tensor: make(TENSOR_TYPE, { elementType: 1, shape: make(SHAPE, { dims: [make(DIM, { value })] }) }),
        }),
      }),
    ],
  });

const EMPTY_MODEL = modelBytes({});
const FLOAT = 1;
const four = new Uint8Array(4);

const refused: Record<string, Uint8Array> = {
  "no bytes": new Uint8Array(0),
  "a text file": new TextEncoder().encode("<!doctype html><html><body>Not found</body></html>"),
  "a zip file": Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0, 8, 0, 1, 2, 3, 4),
  "an .ort file": Uint8Array.of(0, 0, 0, 0, 0x4f, 0x52, 0x54, 0x4d, 1, 2, 3),
  "no graph": concat(encode(make(MODEL, { irVersion: 10 }), MODEL).chunks),
  "two graphs": withRecords(EMPTY_MODEL, (w) => w.tag(7, 2).bytes(new Uint8Array(0))),
  "two IR versions": withRecords(EMPTY_MODEL, (w) => w.tag(1, 0).int64(9)),
  "a group": withRecords(EMPTY_MODEL, (w) => w.tag(99, 3).tag(99, 4)),
  "field number 0": withRecords(EMPTY_MODEL, (w) => w.raw(Uint8Array.of(2, 0))),
  "the wrong wire type": withRecords(EMPTY_MODEL, (w) => w.tag(2, 0).uint32(7)),
  "a tag of more than 32 bits": withRecords(EMPTY_MODEL, (w) =>
    w.raw(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x7f, 0)),
  ),
  "a length behind the end": withRecords(EMPTY_MODEL, (w) => w.tag(2, 2).uint32(100)),
  "a child longer than its parent": withRecords(
    concat(encode(make(MODEL, { irVersion: 10 }), MODEL).chunks),
    (w) =>
      // A graph of 2 bytes whose name says 5, with bytes enough in the file.
      w.raw(Uint8Array.of((7 << 3) | 2, 2, (2 << 3) | 2, 5, 97, 97, 97, 97, 97)),
  ),
  "a name that is no UTF-8": withRecords(EMPTY_MODEL, (w) => w.tag(2, 2).bytes(Uint8Array.of(0xff, 0xfe))),
  "two versions of an opset": modelBytes(
    {},
    { opsets: [...OPSETS, make(OPERATOR_SET, { domain: "ai.onnx", version: 19 })] },
  ),
  "an unknown dtype": withTensor({ dtype: 99, rawData: four }),
  "a negative dim": withTensor({ dtype: FLOAT, dims: [-1], rawData: four }),
  "dims whose product is no safe integer": withTensor({
    dtype: FLOAT,
    dims: [2 ** 32, 2 ** 32],
    rawData: four,
  }),
  "a declared dim below -1": withInputDim(-2),
  "a declared dim of more than 53 bits": withInputDim(2n ** 62n),
  "too few bytes": withTensor({ dtype: FLOAT, dims: [2], rawData: four }),
  "too many bytes": withTensor({ dtype: FLOAT, dims: [], rawData: new Uint8Array(8) }),
  "too few values": withTensor({ dtype: 7, dims: [3], int64Data: Uint8Array.of(1, 2) }),
  "a value that ends in the middle": withTensor({ dtype: 7, dims: [1], int64Data: Uint8Array.of(1, 0x80) }),
  "no data": withTensor({ dtype: FLOAT, dims: [1] }),
  "two data fields": withTensor({ dtype: FLOAT, dims: [], rawData: four, floatData: four }),
  "a data field of another dtype": withTensor({ dtype: FLOAT, dims: [], int32Data: Uint8Array.of(1) }),
  "raw bytes of strings": withTensor({ dtype: 8, dims: [], rawData: four }),
  "an unknown data location": withTensor({ dtype: FLOAT, dims: [], rawData: four, location: 7 }),
  "inline and external data": withTensor({ dtype: FLOAT, dims: [], rawData: four, location: 1 }),
  "two initializers of one name": modelBytes({
    initializer: [0, 1].map(() => make(TENSOR, { name: "w", dtype: FLOAT, rawData: four })),
  }),
  "an attribute with two values": withAttribute({ type: 1, f: 1, i: 1 }),
  "an attribute of another type than it says": withAttribute({ type: 2, f: 1 }),
  "an attribute of an unknown type": withAttribute({ type: 77 }),
  "an attribute without a graph": withAttribute({ type: 5 }),
  "a reference outside a function": withAttribute({ type: 1, refAttrName: "alpha" }),
  "an attribute given twice": modelBytes({
    node: [
      make(NODE, {
        opType: "Relu",
        attribute: [0, 1].map(() => make(ATTRIBUTE, { name: "a", i: 1, type: 2 })),
      }),
    ],
  }),
  "120 graphs in each other": modelBytes({ node: nested(60) }),
};

function nested(depth: number): GraphProto["node"] {
  const g = depth === 0 ? make(GRAPH, {}) : make(GRAPH, { node: nested(depth - 1) });
  return [make(NODE, { opType: "If", attribute: [make(ATTRIBUTE, { name: "then_branch", type: 5, g })] })];
}

for (const [what, bytes] of Object.entries(refused)) {
  test(`refuses ${what}`, async () => {
    await assert.rejects(readModel(bytes), { name: "TenonError", code: "MODEL_INVALID" });
  });
}

test("unknown fields are kept and written again", async () => {
  const unknown = (w: BinaryWriter): BinaryWriter =>
    w.tag(900, 2).string("from the future").tag(901, 0).uint32(7);
  const bytes = withRecords(EMPTY_MODEL, unknown);
  const written = writeModel(await readModel(bytes));
  assert.ok(Buffer.from(written).includes(Buffer.from(unknown(new BinaryWriter()).finish())));
});

test("numbers are read packed and unpacked, big integers stay exact", async () => {
  const ints = [0, -1, 2 ** 31, 2n ** 63n - 1n, -(2n ** 63n)];
  const unpacked = await readModel(withAttribute({ type: 7, ints }));
  assert.deepEqual(unpacked.graph.nodes[0]!.attrs.get("a"), { kind: "ints", value: ints });
  const payload = new BinaryWriter();
  for (const value of ints) payload.int64(value);
  const attribute = new BinaryWriter()
    .tag(1, 2)
    .string("a")
    .tag(20, 0)
    .uint32(7)
    .tag(8, 2)
    .bytes(payload.finish());
  const node = new BinaryWriter().tag(4, 2).string("Relu").tag(5, 2).bytes(attribute.finish());
  const packed = withRecords(concat(encode(make(MODEL, { irVersion: 10 }), MODEL).chunks), (w) =>
    w.tag(7, 2).bytes(new BinaryWriter().tag(1, 2).bytes(node.finish()).finish()),
  );
  assert.deepEqual((await readModel(packed)).graph.nodes[0]!.attrs.get("a"), { kind: "ints", value: ints });
});

test("typed data fields hold bit patterns and small integers", async () => {
  const read = async (parts: Partial<TensorProto>): Promise<unknown> =>
    readTensor((await readModel(withTensor(parts))).graph.initializers.get("w")!).toArray();
  const varints = (...values: number[]): Uint8Array => {
    const writer = new BinaryWriter();
    for (const value of values) writer.int64(value);
    return writer.finish();
  };
  assert.deepEqual(await read({ dtype: 10, dims: [2], int32Data: varints(0x3c00, 0xc000) }), [1, -2]);
  assert.deepEqual(await read({ dtype: 3, dims: [2], int32Data: varints(-128, 127) }), [-128, 127]);
  assert.deepEqual(await read({ dtype: 9, dims: [2], int32Data: varints(1, 0) }), [true, false]);
  assert.deepEqual(await read({ dtype: 7, dims: [2], int64Data: varints(-5, 2 ** 40) }), [-5n, 2n ** 40n]);
  assert.deepEqual(await read({ dtype: 12, dims: [1], uint64Data: varints(2 ** 32 - 1) }), [2 ** 32 - 1]);
  const float = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  assert.deepEqual(await read({ dtype: 14, dims: [1], floatData: float }), [[1.5, -2]]);
  assert.deepEqual(await read({ dtype: 8, dims: [1], stringData: [Uint8Array.of(104, 105)] }), ["hi"]);
});

test("below IR 4, inputs that repeat an initializer are constants, and are listed again when written", async () => {
  const g = graph({ opset: 8, irVersion: 3 });
  const w = g.initializer("w", tensorFromStorage("float32", [1], Float32Array.of(2)));
  g.output(g.add("Add", [g.input("x", "float32", [1]), w]), "y");
  const read = await readModel(writeModel(g.model()));
  assert.deepEqual(
    read.graph.inputs.map((input) => input.name),
    ["x"],
  );
  assert.ok(Buffer.from(writeModel(read)).equals(Buffer.from(writeModel(g.model()))));
});

// ── files ──────────────────────────────────────────────────────────────────────────────────────

function bigModel(values: number): Model {
  const g = graph();
  const weight = tensorFromStorage("float32", [values / 1000, 1000], new Float32Array(values).fill(0.5));
  g.output(g.add("MatMul", [g.input("x", "float32", ["n", values / 1000]), g.initializer("w", weight)]), "y");
  return g.model();
}

test("a file's weights stay in the file until they are used", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-onnx-"));
  try {
    const path = join(folder, "big.onnx");
    writeFileSync(path, writeModel(bigModel(4_000_000)));
    const source = new FileSource(path);
    const model = await parse(source, dirname(path), undefined, {});
    source.close();
    assert.equal(source.size > 16e6, true);
    assert.ok(source.bytesRead < 1e6, `${source.bytesRead} bytes were read`);
    const weight = model.graph.initializers.get("w")!;
    assert.equal(weight.payload.in === "raw" && weight.payload.bytes instanceof Uint8Array, false);
    assert.equal(readTensor(weight).at(3999, 999), 0.5);
    assert.throws(() => readTensor(weight, { maxBytes: 1e6 }), { code: "MODEL_UNSUPPORTED" });
    writeFileSync(path, "another file");
    assert.throws(() => readTensor(weight), { code: "FILE_INVALID" });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a file read through windows is the model that its bytes are", async () => {
  const g = graph();
  let value = g.input("x", "float32", ["n", 600]);
  const next = random(3);
  for (let i = 0; i < 3000; i++) {
    const size = next() < 0.1 ? 600 : 1;
    const name = `layer.${i}/${"w".repeat(Math.floor(next() * 40))}`;
    const weight = g.initializer(name, tensorFromStorage("float32", [size], new Float32Array(size).fill(i)));
    value = g.add(
      "Mul",
      [value, weight],
      {},
      { name: `node ${i} über ${"x".repeat(Math.floor(next() * 200))}` },
    );
  }
  g.output(value, "y");
  const bytes = writeModel(g.model());
  const folder = mkdtempSync(join(tmpdir(), "tenon-onnx-"));
  try {
    const path = join(folder, "model.onnx");
    writeFileSync(path, bytes);
    const fromFile = await readModel(path);
    assert.ok(bytes.length > 4 * 256 * 1024);
    assert.deepEqual(fromFile.graph.nodes, (await readModel(bytes)).graph.nodes);
    assert.ok(Buffer.from(writeModel(fromFile)).equals(bytes));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("reading a large graph gives way to other work", async () => {
  const g = graph();
  let value = g.input("x", "float32", ["n"]);
  for (let i = 0; i < 20_000; i++) value = g.add("LeakyRelu", [value], { alpha: 0.5 });
  g.output(value);
  const bytes = writeModel(g.model());
  let turns = 0;
  const timer = setInterval(() => void turns++, 1);
  await readModel(bytes);
  clearInterval(timer);
  assert.ok(turns > 0);
});

test("a missing file and a folder are named", async () => {
  await assert.rejects(readModel("/nowhere/model.onnx"), { code: "FILE_NOT_FOUND" });
  await assert.rejects(readModel(tmpdir()), { code: "FILE_NOT_FOUND" });
});

// ── damage ─────────────────────────────────────────────────────────────────────────────────────

function sample(): Uint8Array {
  const g = graph();
  const x = g.input("x", "float32", ["batch", 4]);
  const w = g.initializer("w", tensorFromStorage("float32", [4, 2], new Float32Array(8).fill(1)));
  const body = g.subgraph("body");
  body.output(body.add("Softmax", [x], { axis: -1 }));
  const other = g.subgraph("other");
  other.output(other.add("Clip", [x, "", ""]));
  const cond = g.initializer("cond", tensorFromStorage("bool", [], Uint8Array.of(1)));
  const y = g.add("If", [cond], { then_branch: body, else_branch: other });
  g.output(g.add("Gemm", [y, w], { alpha: 0.5, transB: 0 }), "out");
  return writeModel(g.model());
}

/** Mulberry32: the same damage in every run. */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function onlyOurErrors(bytes: Uint8Array): Promise<"read" | "refused"> {
  try {
    // What was read can be written, too.
    writeModel(await readModel(bytes));
    return "read";
  } catch (error) {
    assert.ok(error instanceof TenonError, String((error as Error).stack));
    assert.notEqual(error.code, "INTERNAL");
    return "refused";
  }
}

test("every prefix of a model is read or refused", async () => {
  const bytes = sample();
  for (let length = 0; length < bytes.length; length++) await onlyOurErrors(bytes.subarray(0, length));
});

test("damaged models are read or refused, never worse", async () => {
  const good = sample();
  const next = random(7);
  let refusedCount = 0;
  for (let round = 0; round < 4000; round++) {
    const bytes = good.slice();
    for (let flips = 1 + Math.floor(next() * 4); flips > 0; flips--) {
      bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
    }
    if ((await onlyOurErrors(bytes)) === "refused") refusedCount++;
  }
  assert.ok(refusedCount > 1000, `only ${refusedCount} of 4000 were refused`);
});

test("a file of empty messages is refused before it fills the memory", async () => {
  const nodes = new Uint8Array(2 * 2_100_000);
  for (let i = 0; i < nodes.length; i += 2) nodes[i] = (1 << 3) | 2;
  const bytes = new BinaryWriter().tag(7, 2).bytes(nodes).finish();
  await assert.rejects(readModel(bytes), { code: "MODEL_INVALID" });
});

test("the tables have no field number twice", () => {
  for (const table of [MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR] as const) {
    const numbers = table.fields.map((field) => field.number);
    assert.equal(new Set(numbers).size, numbers.length);
    const message: Message = make<Message>(table, {});
    assert.deepEqual(
      Object.keys(message).sort(),
      ["extra", ...table.fields.map((field) => field.key)].sort(),
    );
  }
});
