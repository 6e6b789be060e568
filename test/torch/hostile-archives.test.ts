/** Zip tricks, files of other formats, and checkpoints of the old one that lie. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { openWeights } from "tenon/torch";
import { op, pickle, type StoredEntry, storedZip } from "../support/archives.js";
import {
  counted,
  LEGACY_MAGIC,
  legacy,
  legacyTensor,
  plain,
  refused,
  storage,
  valuesOf,
} from "../support/weight-files.js";

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
