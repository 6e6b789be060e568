/** safetensors: round trips, the reference's refusals, and bytes turned at random. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import fc from "fast-check";
import { isTenonError } from "../base/index.js";
import { allocateStorage, type DType, type Tensor, tensor, tensorFromBytes } from "../tensor/index.js";
import { readSafetensors, SAFETENSORS_DTYPES } from "./safetensors.js";
import { saveSafetensors } from "./safetensors-write.js";
import { makeTensorRef, materialize } from "./tensor-ref.js";

/** A file of a header text and data. */
function file(header: string, data = new Uint8Array(0), length = Buffer.byteLength(header)): Uint8Array {
  const bytes = new Uint8Array(8 + Buffer.byteLength(header) + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(Buffer.from(header), 8);
  bytes.set(data, bytes.length - data.length);
  return bytes;
}

const entry = (dtype: string, shape: string, begin: number, end: number): string =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${begin},${end}]}`;

function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-torch-"));
  return use(folder).finally(() => rmSync(folder, { recursive: true }));
}

suite("safetensors", () => {
  test("every dtype goes out and comes back, aligned", async () => {
    await inFolder(async (folder) => {
      const tensors = new Map<string, Tensor>();
      for (const [code, dtype] of Object.entries(SAFETENSORS_DTYPES)) {
        const bytes = new Uint8Array(allocateStorage(dtype, 8).buffer).map((_, i) => i % 2);
        tensors.set(`t.${code}`, tensorFromBytes(dtype, [2, 4], bytes));
      }
      tensors.set("scalar", tensor(3, { dtype: "float64" }));
      tensors.set("empty", tensor([], { dtype: "float32", shape: [0, 3] }));
      tensors.set(
        "turned",
        tensor([
          [1, 2, 3],
          [4, 5, 6],
        ]).transpose(),
      );
      const path = join(folder, "all.safetensors");
      await saveSafetensors(path, tensors, { metadata: { format: "pt", 'a"b': "ü" } });
      assert.deepEqual(readdirSync(folder), ["all.safetensors"]);
      for (const input of [path, new Uint8Array(readFileSync(path))]) {
        const read = await readSafetensors(input);
        assert.equal(read.format, "safetensors");
        assert.deepEqual(
          [...read.metadata],
          [
            ["format", "pt"],
            ['a"b', "ü"],
          ],
        );
        assert.equal(read.tensors.size, tensors.size);
        for (const [name, wanted] of tensors) {
          const ref = read.tensors.get(name)!;
          const found = materialize(ref);
          assert.equal(found.dtype, wanted.dtype);
          assert.deepEqual(found.shape, wanted.shape);
          assert.deepEqual(found.bytes, wanted.contiguous().bytes);
        }
      }
      const copy = join(folder, "copy.safetensors");
      const read = await readSafetensors(path);
      await saveSafetensors(copy, read.tensors, { metadata: read.metadata });
      assert.deepEqual(readFileSync(copy), readFileSync(path));
      writeFileSync(path, "changed");
      assert.throws(() => materialize(read.tensors.get("t.F32")!), /changed after/);
    });
  });

  test("what cannot be written is refused, and no file is left", async () => {
    await inFolder(async (folder) => {
      const path = join(folder, "x.safetensors");
      const refused = (dtype: DType, count: number): Promise<void> =>
        assert.rejects(
          saveSafetensors(path, {
            a: tensorFromBytes(
              dtype as "int4",
              [count],
              new Uint8Array(allocateStorage(dtype, count).buffer),
            ),
          }),
          (error) => isTenonError(error, "TENSOR_DTYPE"),
        );
      await refused("int4", 2);
      await refused("complex128", 1);
      await refused("float4e2m1", 3);
      await assert.rejects(saveSafetensors(path, { a: tensor(["text"]) }), /cannot be written/);
      await assert.rejects(saveSafetensors(path, { __metadata__: tensor(1) }), /kept for metadata/);
      const huge = makeTensorRef({
        name: "a",
        dtype: "float32",
        shape: [2 ** 40],
        strides: [0],
        offset: 0,
        storage: new Uint8Array(4),
      });
      await assert.rejects(saveSafetensors(path, { huge }), /larger than may be read/);
      assert.ok(!existsSync(path));
      assert.deepEqual(readdirSync(folder), []);
    });
  });

  const data = new Uint8Array(8);
  const wrong: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "no length": [new Uint8Array(7), /shorter than its own length/],
    "a header beyond the file": [file("{}", data, 1000), /header is cut off/],
    "a header beyond the limit": [file("{}", data, 100_000_001), /too long/],
    "a header that begins with a space": [file(" {}"), /does not begin with/],
    "a header of another kind": [file("[]"), /does not begin with/],
    "a key twice": [file(`{"a":${entry("F32", "1", 0, 4)},"a":${entry("F32", "1", 4, 8)}}`, data), /twice/],
    "a hole": [file(`{"a":${entry("F32", "1", 4, 8)}}`, data), /follows a hole/],
    "a hole between": [
      file(`{"a":${entry("U8", "1", 0, 1)},"b":${entry("U8", "1", 2, 3)}}`, data.subarray(5)),
      /follows a hole/,
    ],
    "an overlap": [file(`{"a":${entry("F32", "2", 0, 8)},"b":${entry("F32", "1", 4, 8)}}`, data), /overlaps/],
    "bytes left over": [file(`{"a":${entry("F32", "1", 0, 4)}}`, data), /after the last tensor/],
    "an end before the data's": [file(`{"a":${entry("F32", "3", 0, 12)}}`, data), /before its last|cut off/],
    "a size that is not the shape's": [file(`{"a":${entry("F32", "3", 0, 8)}}`, data), /another size/],
    "offsets in reverse": [file(`{"a":${entry("F32", "1", 4, 0)}}`, data), /another size/],
    "a shape that overflows": [
      file(`{"a":${entry("F32", "4294967296,4294967296", 0, 8)}}`, data),
      /fewer than/,
    ],
    "a shape beyond 2^53": [file(`{"a":${entry("F32", "18446744073709551615", 0, 8)}}`, data), /counts/],
    "a negative size": [file(`{"a":${entry("F32", "-2", 0, 8)}}`, data), /count belongs/],
    "a fraction": [file(`{"a":${entry("F32", "2.0", 0, 8)}}`, data), /count belongs/],
    "half a byte": [file(`{"a":${entry("F4", "3", 0, 2)}}`, data.subarray(6)), /whole byte/],
    "an unknown dtype": [file(`{"a":${entry("F128", "1", 0, 8)}}`, data), /unknown dtype/],
    "a dtype from the prototype": [file(`{"a":${entry("toString", "1", 0, 8)}}`, data), /unknown dtype/],
    "metadata that is no text": [file('{"__metadata__":{"a":1}}'), /no text/],
    "metadata that is no object": [file('{"__metadata__":[]}'), /no object/],
    "no dtype": [file('{"a":{"shape":[],"data_offsets":[0,0]}}'), /wrongly/],
    "text after the header": [file("{} x"), /after its end/],
    "no UTF-8": [
      file('{"\ufffd":1}'.replace("\ufffd", "")).map((b, i) => (i === 9 ? 0xff : b)),
      /UTF-8|lacks/,
    ],
  };
  for (const [name, [bytes, message]] of Object.entries(wrong)) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(readSafetensors(bytes), (error) => {
        assert.ok(isTenonError(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test("any bytes turned: an error of ours, or the tensors the header speaks of", async () => {
    const good = file(
      `{"__metadata__":{"k":"v"},"a":${entry("F32", "1", 0, 4)},"b":${entry("U8", "2,2", 4, 8)}}`,
      data,
    );
    const edit = fc.tuple(fc.nat(good.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(
        fc.array(edit, { minLength: 1, maxLength: 4 }),
        fc.nat(good.length),
        async (edits, cut) => {
          const bytes = Uint8Array.from(good);
          for (const [at, value] of edits) bytes[at] = value;
          for (const input of [bytes, bytes.subarray(0, cut)]) {
            try {
              for (const ref of (await readSafetensors(input)).tensors.values()) materialize(ref);
            } catch (error) {
              assert.ok(isTenonError(error), String(error));
            }
          }
        },
      ),
      { seed: 11, numRuns: 400 },
    );
  });
});

suite("TensorRef", () => {
  const storage = new Uint8Array(new Float32Array([0, 1, 2, 3, 4, 5]).buffer);
  const base = { name: "t", dtype: "float32", storage } as const;

  test("views are materialized dense", () => {
    const ref = makeTensorRef({ ...base, shape: [3, 2], strides: [1, 3], offset: 0 });
    assert.deepEqual(materialize(ref).toArray(), [
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    const shifted = makeTensorRef({ ...base, shape: [2, 2], strides: [0, 2], offset: 4 });
    assert.deepEqual(materialize(shifted).toArray(), [
      [1, 3],
      [1, 3],
    ]);
    const odd = new Uint8Array(25);
    odd.set(storage, 1);
    const unaligned = makeTensorRef({ ...base, storage: odd, shape: [3], strides: [2], offset: 1 });
    assert.deepEqual(materialize(unaligned).toArray(), [0, 2, 4]);
  });

  const outside = [
    { shape: [7], strides: [1], offset: 0 },
    { shape: [6], strides: [1], offset: 4 },
    { shape: [2], strides: [6], offset: 0 },
    { shape: [2], strides: [-1], offset: 8 },
    { shape: [-2], strides: [1], offset: 0 },
    { shape: [2], strides: [1], offset: -4 },
    { shape: [2, 1], strides: [1], offset: 0 },
    { shape: [2 ** 30, 2 ** 30], strides: [0, 0], offset: 0 },
    { shape: [3], strides: [2 ** 53], offset: 0 },
    { shape: [0], strides: [1], offset: 25 },
    { shape: new Array(65).fill(1), strides: new Array(65).fill(1), offset: 0 },
  ];
  for (const layout of outside) {
    test(`refuses ${JSON.stringify(layout).slice(0, 60)}`, () => {
      assert.throws(
        () => makeTensorRef({ ...base, ...layout }),
        (error) => isTenonError(error, "FILE_INVALID"),
      );
    });
  }

  test("a stride of 0 does not fill the memory", () => {
    const ref = makeTensorRef({ ...base, shape: [2 ** 20, 2 ** 20], strides: [0, 0], offset: 0 });
    assert.throws(
      () => materialize(ref),
      (error) => isTenonError(error, "TENSOR_SHAPE"),
    );
  });
});
