/** External data and saving: which locations are refused, and that weights arrive wherever they are put. */
import assert from "node:assert/strict";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { TenonError } from "../base/index.js";
import { tensorFromStorage } from "../tensor/index.js";
import { graph } from "./builder.js";
import type { Model } from "./graph.js";
import { readModel } from "./read.js";
import { saveModel } from "./save.js";
import { readTensor } from "./tensor-data.js";
import { weightFiles } from "./weight-files.js";
import { writeModel } from "./write.js";

let root = "";
let folder = "";
let count = 0;

function inFreshFolders(): void {
  before(() => {
    root = mkdtempSync(join(tmpdir(), "tenon-save-"));
  });
  beforeEach(() => {
    folder = join(root, String(count++));
    mkdirSync(folder);
  });
  after(() => rmSync(root, { recursive: true }));
}

const VALUES = Float32Array.from({ length: 1024 }, (_, i) => i);

function model(): Model {
  const g = graph();
  const w = g.initializer("w", tensorFromStorage("float32", [32, 32], VALUES));
  const b = g.initializer("b", tensorFromStorage("int64", [1], BigInt64Array.of(7n)));
  const cast = g.add("Cast", [b], { to: 1 });
  g.output(g.add("Add", [g.add("MatMul", [g.input("x", "float32", ["n", 32]), w]), cast]), "y");
  return g.model();
}

const weightOf = (read: Model): number[] =>
  Array.from(readTensor(read.graph.initializers.get("w")!).data as Float32Array);

function pointingAt(entries: Record<string, string>): Uint8Array {
  const built = model();
  const w = built.graph.initializers.get("w")!;
  const payload = { in: "external", entries: new Map(Object.entries(entries)) } as const;
  const initializers = new Map(built.graph.initializers).set("w", { ...w, payload });
  return writeModel({ ...built, graph: { ...built.graph, initializers } });
}

const refused: Record<string, Record<string, string>> = {
  "a parent path": { location: "../outside.bin" },
  "an absolute path": { location: "/etc/hostname" },
  "a drive": { location: "C:weights.bin" },
  "a NUL": { location: "ok.bin\0.txt" },
  "a backslash": { location: "a\\b" },
  "a dot segment": { location: "./ok.bin" },
  "an empty segment": { location: "a//ok.bin" },
  "no location": { offset: "0" },
  "an unknown key": { location: "ok.bin", basepath: "/" },
  "a negative offset": { location: "ok.bin", offset: "-4096" },
  "a huge offset": { location: "ok.bin", offset: "99999999999999999999" },
  "a hexadecimal length": { location: "ok.bin", length: "0x1000" },
  "data behind the end": { location: "ok.bin", offset: "8192", length: "4096" },
  "a short length": { location: "ok.bin", length: "4092" },
  "a link out of the folder": { location: "link.bin", length: "4096" },
  "a folder link out of the folder": { location: "dir/outside.bin", length: "4096" },
  "a hard link": { location: "hard.bin", length: "4096" },
  "a memory address": { location: "*/_ORT_MEM_ADDR_/*", length: "4096" },
  "a missing file": { location: "missing.bin", length: "4096" },
  "a folder": { location: "sub", length: "4096" },
};

describe("saveModel", () => {
  inFreshFolders();

  test("weights: external, then kept, then embedded again", async () => {
    const path = join(folder, "m.onnx");
    await saveModel(model(), path, { weights: "external" });
    assert.equal(statSync(join(folder, "m.onnx.data")).size, 4096);
    const external = await readModel(path);
    assert.equal(external.graph.initializers.get("w")!.payload.in, "external");
    assert.equal(external.graph.initializers.get("b")!.payload.in, "raw");
    assert.deepEqual(weightOf(external), [...VALUES]);
    assert.deepEqual(weightFiles(external), [realpathSync(join(folder, "m.onnx.data"))]);

    const kept = join(folder, "kept.onnx");
    await saveModel(external, kept);
    assert.ok(statSync(kept).size < 1024);
    assert.deepEqual(weightOf(await readModel(kept)), [...VALUES]);

    const elsewhere = join(folder, "sub");
    mkdirSync(elsewhere);
    await saveModel(external, join(elsewhere, "m.onnx"));
    assert.deepEqual(readdirSync(elsewhere), ["m.onnx"]);
    assert.deepEqual(weightOf(await readModel(join(elsewhere, "m.onnx"))), [...VALUES]);

    assert.deepEqual(weightOf(await readModel(writeModel(external))), [...VALUES]);
  });

  test("tells what is written, over both files", async () => {
    const path = join(folder, "told.onnx");
    const told: [number, number][] = [];
    await saveModel(model(), path, { weights: "external", onWrite: (...bytes) => told.push(bytes) });
    const total = statSync(path).size + statSync(`${path}.data`).size;
    assert.deepEqual(told.at(-1), [total, total]);
    assert.ok(told.every(([written, of], i) => of === total && written > (told[i - 1]?.[0] ?? 0)));
  });

  test("a model can be saved over itself and over its own data", async () => {
    const path = join(folder, "m.onnx");
    await saveModel(model(), path);
    await saveModel(await readModel(path), path);
    assert.deepEqual(weightOf(await readModel(path)), [...VALUES]);
    await saveModel(await readModel(path), path, { weights: "external" });
    await saveModel(await readModel(path), path, { weights: "external" });
    assert.deepEqual(weightOf(await readModel(path)), [...VALUES]);
  });

  test("a failed save leaves neither a file nor a temporary one", async () => {
    const source = join(folder, "m.onnx");
    await saveModel(model(), source, { weights: "external" });
    const read = await readModel(source);
    writeFileSync(join(folder, "m.onnx.data"), new Uint8Array(4096));
    const target = join(folder, "copy.onnx");
    await assert.rejects(saveModel(read, target, { weights: "embed" }), { code: "FILE_INVALID" });
    assert.deepEqual(readdirSync(folder).sort(), ["m.onnx", "m.onnx.data"]);
    await assert.rejects(saveModel(read, target, { weights: "external", dataFile: "../x" }), {
      code: "USAGE",
    });
  });
});

describe("external data", () => {
  inFreshFolders();

  for (const [what, entries] of Object.entries(refused)) {
    test(`refuses ${what}`, async () => {
      const inner = join(folder, "model");
      mkdirSync(join(inner, "sub"), { recursive: true });
      writeFileSync(join(inner, "ok.bin"), new Uint8Array(8192));
      writeFileSync(join(folder, "outside.bin"), new Uint8Array(8192));
      symlinkSync(join(folder, "outside.bin"), join(inner, "link.bin"));
      symlinkSync(folder, join(inner, "dir"));
      linkSync(join(folder, "outside.bin"), join(inner, "hard.bin"));
      const path = join(inner, "m.onnx");
      writeFileSync(path, pointingAt(entries));
      await assert.rejects(readModel(path), (error: TenonError) => {
        assert.ok(error instanceof TenonError);
        assert.match(error.code, /^(MODEL_INVALID|FILE_NOT_FOUND)$/);
        return true;
      });
    });
  }

  test("data of a model given as bytes is found with baseDir, and left alone without", async () => {
    writeFileSync(join(folder, "ok.bin"), new Uint8Array(VALUES.buffer));
    const bytes = pointingAt({ location: "ok.bin", offset: "0", length: "4096" });
    assert.deepEqual(weightOf(await readModel(bytes, { baseDir: folder })), [...VALUES]);
    const unresolved = await readModel(bytes);
    assert.throws(() => weightOf(unresolved), { code: "FILE_NOT_FOUND" });
    assert.deepEqual(writeModel(unresolved), bytes);
  });

  test("a hub cache's layout is read: model and data are links into one folder", async () => {
    const blobs = join(folder, "blobs");
    const snapshot = join(folder, "snapshot");
    mkdirSync(blobs);
    mkdirSync(snapshot);
    writeFileSync(join(blobs, "a1"), pointingAt({ location: "w.bin", length: "4096" }));
    writeFileSync(join(blobs, "b2"), new Uint8Array(VALUES.buffer));
    symlinkSync(join(blobs, "a1"), join(snapshot, "m.onnx"));
    symlinkSync(join(blobs, "b2"), join(snapshot, "w.bin"));
    assert.deepEqual(weightOf(await readModel(join(snapshot, "m.onnx"))), [...VALUES]);
  });

  test("hard links are accepted when allowed", async () => {
    writeFileSync(join(folder, "a.bin"), new Uint8Array(VALUES.buffer));
    linkSync(join(folder, "a.bin"), join(folder, "b.bin"));
    const path = join(folder, "m.onnx");
    writeFileSync(path, pointingAt({ location: "b.bin", length: "4096" }));
    assert.deepEqual(weightOf(await readModel(path, { hardLinks: true })), [...VALUES]);
    assert.ok(existsSync(path) && readFileSync(path).length < 1024);
  });
});
