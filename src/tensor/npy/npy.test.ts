/** .npy and .npz: what is written reads the same, hand-made files of each kind, and no bytes make it fail but cleanly. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ErrorCode, isTenonError, TenonError } from "../../base/index.js";
import { DTYPES, type DType, readNpy, readNpz, Tensor, tensor, writeNpy, writeNpz, zeros } from "../index.js";

function npy(header: string, data: Uint8Array, version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const lengthBytes = version === 1 ? 2 : 4;
  const out = new Uint8Array(8 + lengthBytes + text.length + data.length);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0]);
  new DataView(out.buffer).setUint16(8, text.length, true);
  out.set(text, 8 + lengthBytes);
  out.set(data, 8 + lengthBytes + text.length);
  return out;
}

function throwsCode(code: ErrorCode, body: () => unknown, text: RegExp): void {
  assert.throws(body, (error) => isTenonError(error, code) && text.test(error.message));
}

const header = (descr: string, shape: string, fortran = "False"): string =>
  `{'descr': ${descr}, 'fortran_order': ${fortran}, 'shape': ${shape}}`;

test("every dtype that numpy has comes back, as a view where it is aligned", () => {
  for (const dtype of Object.keys(DTYPES) as DType[]) {
    if (DTYPES[dtype].numpy === null) continue;
    const x = zeros(dtype, [2, 3]) as Tensor;
    (x.storage as Float32Array)[1] = (dtype.includes("int64") ? 1n : 1) as number;
    const bytes = writeNpy(x);
    const back = readNpy(bytes);
    assert.equal(back.toString(), x.toString());
    assert.deepEqual(back.toArray(), x.toArray());
    assert.equal((back.data as Uint8Array).buffer, bytes.buffer, "a copy was made");
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    assert.deepEqual(readNpy(odd.subarray(1)).toArray(), x.toArray());
  }
  throwsCode("TENSOR_DTYPE", () => writeNpy(zeros("bfloat16", [1])), /cast/);
});

test("texts, scalars, vectors and strided views are written", () => {
  const texts = tensor([
    ["a", "🙂é"],
    ["", "xyz"],
  ]);
  assert.deepEqual(readNpy(writeNpy(texts.transpose())).toArray(), texts.transpose().toArray());
  assert.deepEqual(readNpy(writeNpy(tensor(7))).toArray(), 7);
  assert.deepEqual(readNpy(writeNpy(tensor([1, 2, 3]).slice([null, null, -1]))).toArray(), [3, 2, 1]);
  assert.deepEqual(readNpy(writeNpy(zeros("string", [0]))).shape, [0]);
  throwsCode("TENSOR_VALUE", () => writeNpy(tensor(["a\0"])), /NUL/);
});

test("versions, Fortran order, big-endian, byte texts, long integers of Python 2", () => {
  const data = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
  const fortran = readNpy(npy(header("'<f4'", "(2, 3)", "True"), data));
  assert.deepEqual(fortran.toArray(), [
    [1, 3, 5],
    [2, 4, 6],
  ]);
  assert.deepEqual(readNpy(npy(header("'=f4'", "(6L,)"), data, 2)).toArray(), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(readNpy(npy(header('"<f4"', "(3, 2, )"), data, 3)).shape, [3, 2]);
  assert.deepEqual(readNpy(npy(header("'>i2'", "(2,)"), Uint8Array.of(1, 2, 255, 254))).toArray(), [258, -2]);
  assert.deepEqual(readNpy(npy(header("'|S3'", "(2,)"), new TextEncoder().encode("a\0\0bcd"))).toArray(), [
    "a",
    "bcd",
  ]);
  assert.deepEqual(readNpy(npy(header("'>U1'", "()"), Uint8Array.of(0, 0, 0, 65))).toArray(), "A");
  assert.deepEqual(readNpy(npy(header("'?'", "(1,)"), Uint8Array.of(1))).toArray(), [true]);
});

test("object, structured and unknown types are refused; damage is named", () => {
  throwsCode("TENSOR_DTYPE", () => readNpy(npy(header("'|O'", "(1,)"), Uint8Array.of(1))), /never executed/);
  throwsCode(
    "TENSOR_DTYPE",
    () => readNpy(npy(header("[('a', '<f4')]", "(1,)"), new Uint8Array(4))),
    /structured/,
  );
  throwsCode("TENSOR_DTYPE", () => readNpy(npy(header("'<M8'", "(1,)"), new Uint8Array(8))), /M8/);
  throwsCode("FILE_INVALID", () => readNpy(npy(header("'<f4'", "(2,)"), new Uint8Array(4))), /truncated/);
  throwsCode(
    "FILE_INVALID",
    () => readNpy(npy(header("'<f4'", "(2,)"), new Uint8Array(12))),
    /after the array/,
  );
  throwsCode("FILE_INVALID", () => readNpy(npy(header("'<f4'", "(-2,)"), new Uint8Array(4))), /character/);
  throwsCode("FILE_INVALID", () => readNpy(npy("{'descr': '<f4'}", new Uint8Array(4))), /keys/);
  throwsCode("FILE_INVALID", () => readNpy(npy(`${"(".repeat(5000)}`, new Uint8Array(4))), /character/);
  throwsCode(
    "FILE_INVALID",
    () => readNpy(npy(header("'<U0'", "(1000000000,)"), new Uint8Array(0))),
    /length 0/,
  );
  throwsCode(
    "FILE_INVALID",
    () => readNpy(npy(header("'<U1'", "(1,)"), Uint8Array.of(0, 0, 0x11, 1))),
    /Unicode/,
  );
  throwsCode("FILE_INVALID", () => readNpy(new Uint8Array(3)), /NUMPY/);
  throwsCode("FILE_INVALID", () => readNpy(npy(header("'<f4'", "(1,)"), new Uint8Array(4), 9)), /version/);
});

test("archives come back, stored as aligned views or deflated, in the same bytes each time", () => {
  const record = {
    b: tensor([1, 2]),
    a: tensor(["x"]),
    ["__proto__"]: tensor(3n),
    "ü/z": zeros("float64", [0]),
  };
  for (const compress of [false, true]) {
    const bytes = writeNpz(record, { compress });
    const back = readNpz(bytes);
    assert.deepEqual(Object.keys(back), Object.keys(record));
    assert.deepEqual(back.b!.toArray(), [1, 2]);
    assert.deepEqual(Object.getOwnPropertyDescriptor(back, "__proto__")?.value.toArray(), 3n);
    assert.deepEqual(writeNpz(back, { compress }), bytes);
    if (!compress) assert.equal((back.b!.data as Float32Array).buffer, bytes.buffer);
  }
  assert.deepEqual(readNpz(writeNpz({})), {});
});

test("damaged archives are refused", () => {
  const good = writeNpz({ x: tensor([1, 2, 3]) });
  const change = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = good.slice();
    copy.set(bytes, at < 0 ? copy.length + at : at);
    return copy;
  };
  const central = good.length - 22 - 46 - 5;
  const refuse = (bytes: Uint8Array, text: RegExp): void =>
    throwsCode("FILE_INVALID", () => readNpz(bytes), text);
  refuse(good.subarray(0, good.length - 1), /truncated/);
  refuse(new Uint8Array(0), /truncated/);
  refuse(change(central - 1, 0xff), /checksum/);
  refuse(change(central + 8, 1), /encrypted/);
  refuse(change(central + 10, 12), /method 12/);
  refuse(change(central + 46, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e), /no \.npy/);
  refuse(change(0, 0), /missing/);
  refuse(change(central, 0), /cut off/);
  refuse(change(-10, 0xff), /cut off/);
  throwsCode("FILE_INVALID", () => readNpz(good, { maxBytes: 10 }), /too large/);
  const twice = writeNpz({ a: tensor([1]), b: tensor([2]) });
  const name = new TextDecoder("latin1").decode(twice).lastIndexOf("b.npy");
  twice[name] = 0x61;
  refuse(twice, /two entries/);
  const bomb = writeNpz({ z: zeros("uint8", [1 << 20]) }, { compress: true });
  const view = new DataView(bomb.buffer);
  const entry = bomb.length - 22 - 46 - 5;
  view.setUint32(entry + 24, 0xfffffff0, true);
  refuse(bomb, /claims more/);
  view.setUint32(entry + 24, 1000, true);
  refuse(bomb, /cannot be unpacked/);
});

test("any bytes give a tensor or a TenonError", () => {
  const files = [
    writeNpy(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ),
    writeNpy(tensor(["ab", "c"])),
    npy(header("'|S3'", "(2,)"), new Uint8Array(6)),
    npy(header("'>c8'", "(1, 1)", "True"), new Uint8Array(8)),
    writeNpz({ a: tensor([1, 2]), b: tensor([[1n]]) }),
    writeNpz({ a: zeros("float32", [100]), t: tensor(["x"]) }, { compress: true }),
  ];
  const edit = fc.record({ at: fc.nat(), byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 255, 0x30, 0x39)) });
  fc.assert(
    fc.property(
      fc.nat(files.length - 1),
      fc.array(edit, { maxLength: 6 }),
      fc.option(fc.nat()),
      (which, edits, cut) => {
        const file = files[which]!;
        const bytes = cut === null ? file.slice() : file.slice(0, cut % (file.length + 1));
        for (const { at, byte } of edits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        for (const read of [readNpy, readNpz]) {
          try {
            const got = read(bytes);
            for (const x of got instanceof Tensor ? [got] : Object.values(got)) x.clone();
          } catch (error) {
            assert.ok(error instanceof TenonError, String(error));
          }
        }
      },
    ),
    { seed: 11, numRuns: 5000 },
  );
});
